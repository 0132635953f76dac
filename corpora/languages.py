"""The one table of language codes: ISO 639-1, ISO 639-3 and FLORES-200."""

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """
    A language and the codes it goes by.

    Args:
        iso1 (`str` or `None`): ISO 639-1 code (`id`), or None where the language has none.
        iso3 (`str`): ISO 639-3 code (`ind`); for a macrolanguage such as Swahili, the code of the macrolanguage.
        flores (`str`): FLORES-200 code with script (`ind_Latn`).
        name (`str`): English name.
        aliases (`tuple[str, ...]`, *optional*, defaults to `()`): other codes in use, newer FLORES ones among them.
    """

    iso1: str | None
    iso3: str
    flores: str
    name: str
    aliases: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code of the language, shortest form first: the names its column may have in a data file."""
        first = (self.iso1,) if self.iso1 else ()
        return (*first, self.iso3, self.flores, *self.aliases)


LANGUAGES: tuple[Language, ...] = (
    Language("en", "eng", "eng_Latn", "English"),
    Language("id", "ind", "ind_Latn", "Indonesian"),
    Language("tr", "tur", "tur_Latn", "Turkish"),
    Language("et", "est", "est_Latn", "Estonian", ("ekk", "ekk_Latn")),
    Language("sw", "swa", "swh_Latn", "Swahili", ("swh",)),
    Language("zh", "zho", "zho_Hans", "Chinese (simplified)", ("cmn", "cmn_Hans")),
    Language(None, "zho", "zho_Hant", "Chinese (traditional)", ("cmn_Hant",)),
    Language(None, "ace", "ace_Latn", "Acehnese"),
    Language(None, "ban", "ban_Latn", "Balinese"),
    Language(None, "bjn", "bjn_Latn", "Banjar"),
    Language(None, "bug", "bug_Latn", "Buginese"),
    Language(None, "ceb", "ceb_Latn", "Cebuano"),
    Language(None, "ilo", "ilo_Latn", "Ilocano"),
    Language(None, "min", "min_Latn", "Minangkabau"),
    Language("jv", "jav", "jav_Latn", "Javanese"),
    Language("su", "sun", "sun_Latn", "Sundanese"),
    Language("ms", "msa", "zsm_Latn", "Malay", ("zsm",)),
    Language("tl", "tgl", "tgl_Latn", "Tagalog", ("fil", "fil_Latn")),
    Language("af", "afr", "afr_Latn", "Afrikaans"),
    Language("am", "amh", "amh_Ethi", "Amharic"),
    Language("ha", "hau", "hau_Latn", "Hausa"),
    Language("ig", "ibo", "ibo_Latn", "Igbo"),
    Language("rw", "kin", "kin_Latn", "Kinyarwanda"),
    Language("lg", "lug", "lug_Latn", "Ganda"),
    Language("ln", "lin", "lin_Latn", "Lingala"),
    Language("mg", "mlg", "plt_Latn", "Malagasy", ("plt",)),
    Language("om", "orm", "gaz_Latn", "Oromo", ("gaz",)),
    Language("sn", "sna", "sna_Latn", "Shona"),
    Language("so", "som", "som_Latn", "Somali"),
    Language("ti", "tir", "tir_Ethi", "Tigrinya"),
    Language("wo", "wol", "wol_Latn", "Wolof"),
    Language("xh", "xho", "xho_Latn", "Xhosa"),
    Language("yo", "yor", "yor_Latn", "Yoruba"),
    Language("zu", "zul", "zul_Latn", "Zulu"),
    Language("bn", "ben", "ben_Beng", "Bengali"),
    Language("gu", "guj", "guj_Gujr", "Gujarati"),
    Language("hi", "hin", "hin_Deva", "Hindi"),
    Language("kn", "kan", "kan_Knda", "Kannada"),
    Language("ml", "mal", "mal_Mlym", "Malayalam"),
    Language("mr", "mar", "mar_Deva", "Marathi"),
    Language("ne", "nep", "npi_Deva", "Nepali", ("npi",)),
    Language("pa", "pan", "pan_Guru", "Punjabi"),
    Language("si", "sin", "sin_Sinh", "Sinhala"),
    Language("ta", "tam", "tam_Taml", "Tamil"),
    Language("te", "tel", "tel_Telu", "Telugu"),
    Language("ur", "urd", "urd_Arab", "Urdu"),
    Language("az", "aze", "azj_Latn", "Azerbaijani", ("azj",)),
    Language("kk", "kaz", "kaz_Cyrl", "Kazakh"),
    Language("ky", "kir", "kir_Cyrl", "Kyrgyz"),
    Language("mn", "mon", "khk_Cyrl", "Mongolian", ("khk",)),
    Language("tg", "tgk", "tgk_Cyrl", "Tajik"),
    Language("uz", "uzb", "uzn_Latn", "Uzbek", ("uzn",)),
    Language("hy", "hye", "hye_Armn", "Armenian"),
    Language("ka", "kat", "kat_Geor", "Georgian"),
    Language("ja", "jpn", "jpn_Jpan", "Japanese"),
    Language("ko", "kor", "kor_Hang", "Korean"),
    Language("km", "khm", "khm_Khmr", "Khmer"),
    Language("lo", "lao", "lao_Laoo", "Lao"),
    Language("my", "mya", "mya_Mymr", "Burmese"),
    Language("th", "tha", "tha_Thai", "Thai"),
    Language("vi", "vie", "vie_Latn", "Vietnamese"),
    Language("ar", "ara", "arb_Arab", "Arabic", ("arb",)),
    Language("fa", "fas", "pes_Arab", "Persian", ("pes",)),
    Language("he", "heb", "heb_Hebr", "Hebrew"),
    Language("de", "deu", "deu_Latn", "German"),
    Language("es", "spa", "spa_Latn", "Spanish"),
    Language("fr", "fra", "fra_Latn", "French"),
    Language("it", "ita", "ita_Latn", "Italian"),
    Language("nl", "nld", "nld_Latn", "Dutch"),
    Language("pt", "por", "por_Latn", "Portuguese"),
    Language("ro", "ron", "ron_Latn", "Romanian"),
    Language("ca", "cat", "cat_Latn", "Catalan"),
    Language("gl", "glg", "glg_Latn", "Galician"),
    Language("eu", "eus", "eus_Latn", "Basque"),
    Language("cy", "cym", "cym_Latn", "Welsh"),
    Language("ga", "gle", "gle_Latn", "Irish"),
    Language("mt", "mlt", "mlt_Latn", "Maltese"),
    Language("is", "isl", "isl_Latn", "Icelandic"),
    Language("da", "dan", "dan_Latn", "Danish"),
    Language("fi", "fin", "fin_Latn", "Finnish"),
    Language("nb", "nob", "nob_Latn", "Norwegian (Bokmål)", ("no", "nor")),
    Language("sv", "swe", "swe_Latn", "Swedish"),
    Language("lt", "lit", "lit_Latn", "Lithuanian"),
    Language("lv", "lav", "lvs_Latn", "Latvian", ("lvs",)),
    Language("be", "bel", "bel_Cyrl", "Belarusian"),
    Language("bg", "bul", "bul_Cyrl", "Bulgarian"),
    Language("cs", "ces", "ces_Latn", "Czech"),
    Language("hr", "hrv", "hrv_Latn", "Croatian"),
    Language("mk", "mkd", "mkd_Cyrl", "Macedonian"),
    Language("pl", "pol", "pol_Latn", "Polish"),
    Language("ru", "rus", "rus_Cyrl", "Russian"),
    Language("sk", "slk", "slk_Latn", "Slovak"),
    Language("sl", "slv", "slv_Latn", "Slovenian"),
    Language("sr", "srp", "srp_Cyrl", "Serbian"),
    Language("uk", "ukr", "ukr_Cyrl", "Ukrainian"),
    Language("el", "ell", "ell_Grek", "Greek"),
    Language("hu", "hun", "hun_Latn", "Hungarian"),
    Language("sq", "sqi", "als_Latn", "Albanian", ("als",)),
    Language("gn", "grn", "grn_Latn", "Guarani"),
    Language("ht", "hat", "hat_Latn", "Haitian Creole"),
    Language("qu", "que", "quy_Latn", "Quechua (Ayacucho)", ("quy",)),
)


def _index() -> dict[str, Language]:
    # Both Chinese scripts share the code `zho`: the first entry of the table keeps it.
    index: dict[str, Language] = {}
    for language in LANGUAGES:
        for code in language.codes:
            index.setdefault(code.lower(), language)
    return index


_BY_CODE = _index()


def find_language(code: str) -> Language:
    """
    Find a language by any of its codes.

    Args:
        code (`str`): ISO 639-1, ISO 639-3 or FLORES-200 code, in any case, with `_` or `-` before the script.

    Returns:
        `Language`: the entry of the table, with every code in its usual case.

    Raises:
        `ValueError`: if no language of the table goes by this code; the message names the nearest known ones.
    """
    wanted = code.strip().lower().replace("-", "_")
    if wanted in _BY_CODE:
        return _BY_CODE[wanted]
    nearest = difflib.get_close_matches(wanted, _BY_CODE, n=3, cutoff=0.5)
    known = [f"{_BY_CODE[near].flores} ({_BY_CODE[near].name})" for near in nearest]
    hint = f"the nearest known are {', '.join(dict.fromkeys(known))}" if known else "no known code is near it"
    raise ValueError(
        f"unknown language code {code!r}: expected an ISO 639-1, ISO 639-3 or FLORES-200 code such as "
        f"'id', 'ind' or 'ind_Latn'; {hint}"
    )
