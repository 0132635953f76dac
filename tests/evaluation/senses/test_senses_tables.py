import io

from rich.console import Console

from sensia.evaluation.senses.inspection import mixture_of, readable, senses_of
from sensia.evaluation.senses.senses_tables import meanings_table, mixture_lines, mixture_table, sense_tables

SENTENCE = "Simpan dokumen."


def printed(*tables):
    console = Console(file=io.StringIO(), width=200)
    console.print(*tables, sep="\n")
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in console.file.getvalue().splitlines()
        if line.startswith("│")
    ]


def shown(entries):
    return "  ".join(f"{readable(entry['token'])}·{entry['score']:.1f}" for entry in entries)


def test_one_row_per_sense_lists_strongest_and_suppressed(backpack, tokenizer):
    senses = senses_of(backpack, tokenizer, "jendela", top=3)
    rows = [
        [str(sense["sense"]), shown(sense["strongest"]), shown(sense["suppressed"])]
        for token in senses["tokens"]
        for sense in token["senses"]
    ]
    assert printed(*sense_tables(senses, "tiny")) == rows


def test_languages_have_columns_of_their_own(backpack, tokenizer):
    senses = senses_of(backpack, tokenizer, "jendela", top=2, target_tokens=[40, 41])
    rows = printed(*sense_tables(senses, "tiny", ("en", "id")))
    first = senses["tokens"][0]["senses"][0]
    expected = [shown(first[name]) for name in ("strongest_source", "strongest_target", "suppressed")]
    assert rows[0] == ["0", *expected]


def test_the_largest_terms_of_each_logit_are_shown(backpack, tokenizer):
    mixture = mixture_of(backpack, tokenizer, SENTENCE)
    rows = printed(mixture_table(mixture, "tiny"))
    for row, prediction in zip(rows, mixture["predictions"], strict=True):
        assert row[:3] == [
            readable(prediction["token"]),
            f"{prediction['logit']:.2f}",
            f"{prediction['probability']:.2%}",
        ]
        terms = [
            (abs(value), f"{readable(mixture['tokens'][j]['token'])}/{k}·{value:+.2f}")
            for k, values in enumerate(prediction["contributions"])
            for j, value in enumerate(values)
        ]
        assert row[3].split("  ") == [text for _, text in sorted(terms, key=lambda term: -term[0])[:6]]


def test_markup_in_tokens_is_printed_as_it_is():
    entry = {"token": " [bold]x[/bold]", "id": 1, "score": 1.0}
    senses = {"tokens": [{"token": " [/red]", "senses": [{"sense": 0, "strongest": [entry], "suppressed": [entry]}]}]}
    assert printed(*sense_tables(senses, "tiny")) == [["0", "[bold]x[/bold]·1.0", "[bold]x[/bold]·1.0"]]


def test_the_mixture_is_a_line_a_language_and_one_for_each_alarm():
    english = {"entropy": 0.51234, "maximum_entropy": 2.0794, "tokens": 12345, "alarms": ["Sense 3 takes all."]}
    measures = {"en": english, "id": {**english, "entropy": 1.5, "alarms": []}}
    assert list(mixture_lines(measures, "tiny")) == [
        "tiny, en: entropy 0.512 of 2.079 nats, 12,345 tokens",
        "  Sense 3 takes all.",
        "tiny, id: entropy 1.500 of 2.079 nats, 12,345 tokens",
    ]


def test_measures_of_ambiguous_words_stand_with_their_intervals_and_chance():
    text = {"auc": 0.80612, "auc_interval": [0.7834, 0.8281]}
    apart = {"auc": 0.6272, "auc_interval": [0.6008, 0.6534], "auc_chance_interval": [0.4844, 0.5241]}
    meanings = {"words": [{}, {}], "measures": {"text": text, "received_apart": apart}}
    assert printed(meanings_table(meanings, "tiny")) == [
        ["text", "0.806", "0.783 to 0.828", ""],
        ["received_apart", "0.627", "0.601 to 0.653", "0.484 to 0.524"],
    ]
