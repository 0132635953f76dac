"""Every format that bitext is kept in: what is read, what is refused, and a round trip through each of them."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
from xml.sax.saxutils import escape

import polib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensia.corpora import clean_pairs, read_pairs
from sensia.corpora.locations import is_local
from sensia.corpora.translation_xml import xml_records

PAIRS = [("Open the file.", "Buka berkas."), ("Close it.", "Tutup.")]
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def read(path, **options):
    return read_pairs(str(path), source_language="en", target_language="id", **options)


def pairs_of(path, **options):
    table = read(path, **options)
    return list(zip(table["source"], table["target"], strict=True))


def lines(texts):
    return "".join(f"{text}\n" for text in texts).encode()


def write_moses(folder, pairs=PAIRS, stem="corpus", ends=("en", "id")):
    for side, end in enumerate(ends):
        (folder / f"{stem}.{end}").write_bytes(lines(pair[side] for pair in pairs))


def tmx(pairs=PAIRS, languages=("en-US", "ID")):
    units = "".join(
        f'<tu><tuv xml:lang="{languages[0]}"><seg>{escape(source)}</seg></tuv>'
        f'<tuv xml:lang="{languages[1]}"><seg>{escape(target)}</seg></tuv></tu>\n'
        for source, target in pairs
    )
    return f'{XML}<!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header/><body>{units}</body></tmx>'


def xliff(pairs=PAIRS, source="en", target="id", state=""):
    units = "".join(
        f'<trans-unit id="{number}"><source>{escape(source)}</source>'
        f"<target{state}>{escape(text)}</target></trans-unit>"
        for number, (source, text) in enumerate(pairs)
    )
    return (
        f'{XML}<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original="f" '
        f'source-language="{source}" target-language="{target}"><body>{units}</body></file></xliff>'
    )


class TestTwoFiles:
    @pytest.mark.parametrize("name", ["corpus.{lang}", "corpus.en", "corpus.id", "corpus"])
    def test_are_found_by_any_of_their_names(self, tmp_path, name):
        write_moses(tmp_path)
        assert pairs_of(tmp_path / name) == PAIRS

    @pytest.mark.parametrize("ends", [("eng_Latn", "ind_Latn"), ("en", "ind"), ("en.gz", "id.gz")])
    def test_are_found_by_any_code(self, tmp_path, ends):
        for side, end in enumerate(ends):
            content = lines(pair[side] for pair in PAIRS)
            (tmp_path / f"x.{end}").write_bytes(gzip.compress(content) if end.endswith("gz") else content)
        assert pairs_of(tmp_path / f"x.{ends[0]}") == PAIRS

    def test_with_the_code_in_the_middle_are_named_by_a_template(self, tmp_path):
        write_moses(tmp_path, ends=("en.txt", "id.txt"))
        assert pairs_of(tmp_path / "corpus.{lang}.txt") == PAIRS

    def test_of_any_name_are_given_with_a_comma_the_source_first(self, tmp_path):
        write_moses(tmp_path, ends=("english.txt", "other.txt"))
        assert pairs_of(f"{tmp_path}/corpus.english.txt,{tmp_path}/corpus.other.txt") == PAIRS

    @pytest.mark.parametrize("end", ["jsonl", "tsv", "po", "json.gz"])
    def test_that_are_no_plain_text_are_refused(self, tmp_path, end):
        for code in ("en", "id"):
            content = b'{"text": "Save."}\n'
            (tmp_path / f"{code}.{end}").write_bytes(gzip.compress(content) if end.endswith("gz") else content)
        with pytest.raises(ValueError, match=rf"en\.{end}: two files are read line by line"):
            read(tmp_path / f"{{lang}}.{end}")

    @pytest.mark.parametrize("streaming", [False, True])
    def test_of_unequal_length_are_refused_with_both_numbers(self, tmp_path, streaming):
        write_moses(tmp_path)
        (tmp_path / "corpus.id").write_bytes(lines(["Buka berkas."]))
        with pytest.raises(ValueError, match=r"corpus\.en has 2 and .*corpus\.id has 1 lines"):
            list(read(tmp_path / "corpus.{lang}", streaming=streaming))

    def test_with_an_empty_line_stay_aligned(self, tmp_path):
        pairs = [("Yes.", ""), *PAIRS]
        write_moses(tmp_path, pairs)
        assert pairs_of(tmp_path / "corpus.en") == pairs

    def test_line_separators_of_unicode_end_no_line(self, tmp_path):
        pairs = [("One\u2028two\x0bthree.", "Satu\u0085dua."), *PAIRS]
        write_moses(tmp_path, pairs)
        assert pairs_of(tmp_path / "corpus.en") == pairs

    def test_of_which_one_is_missing_are_refused_with_what_is_there(self, tmp_path):
        (tmp_path / "corpus.en").write_bytes(lines(["Yes."]))
        with pytest.raises(FileNotFoundError, match=r"no such file for Indonesian; files of this form: corpus\.en"):
            read(tmp_path / "corpus.{lang}")

    def test_a_single_text_file_is_refused_with_how_to_name_two(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(lines(["Yes."]))
        with pytest.raises(ValueError, match=r"two text files is named as `a\.txt,b\.txt`"):
            read(tmp_path / "a.txt")

    def test_of_a_folder_are_all_read(self, tmp_path):
        write_moses(tmp_path, stem="one")
        write_moses(tmp_path, stem="two")
        assert pairs_of(tmp_path) == PAIRS * 2

    def test_of_a_folder_are_chosen_by_their_split(self, tmp_path):
        write_moses(tmp_path, stem="train")
        write_moses(tmp_path, PAIRS[:1], stem="dev")
        assert pairs_of(tmp_path, split="dev") == PAIRS[:1]

    def test_of_a_folder_without_the_split_are_refused(self, tmp_path):
        write_moses(tmp_path, stem="train")
        with pytest.raises(ValueError, match="test"):
            read(tmp_path, split="test")

    @pytest.mark.parametrize("name", ["corpus.{lang}", "corpus.en", "corpus"])
    def test_have_no_split(self, tmp_path, name):
        write_moses(tmp_path)
        with pytest.raises(ValueError, match=r"split 'train' was given with the single file .*corpus"):
            read(tmp_path / name, split="train")

    def test_of_which_two_could_be_one_side_are_refused(self, tmp_path):
        write_moses(tmp_path)
        write_moses(tmp_path, ends=("en", "ind"))
        with pytest.raises(ValueError, match=r"corpus\.id and corpus\.ind could both be Indonesian"):
            read(tmp_path / "corpus.en")

    def test_of_which_two_could_be_one_side_are_chosen_by_name(self, tmp_path):
        write_moses(tmp_path)
        (tmp_path / "corpus.ind").write_bytes(lines("ab"))
        assert pairs_of(tmp_path / "corpus.id") == PAIRS

    def test_a_name_of_the_hub_beside_a_file_that_begins_like_it_stays_one(self, tmp_path, monkeypatch):
        (tmp_path / "corpus.md").write_text("Read me.")
        monkeypatch.chdir(tmp_path)
        assert not is_local("corpus")


class TestArchives:
    def write(self, path, members, method=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    def opus(self, folder):
        members = {
            f"Tatoeba.en-id.{end}": lines(pair[side] for pair in PAIRS) for side, end in enumerate(("en", "id"))
        }
        return self.write(folder / "en-id.txt.zip", {"README": "About.", "LICENSE": "CC BY", **members})

    def test_of_opus_are_read(self, tmp_path):
        assert pairs_of(self.opus(tmp_path)) == PAIRS

    @pytest.mark.parametrize("name", ["Tatoeba.en-id.{lang}", "Tatoeba.en-id.en"])
    def test_are_read_by_a_name_inside(self, tmp_path, name):
        assert pairs_of(self.opus(tmp_path) / name) == PAIRS

    def test_of_a_translation_memory_are_read(self, tmp_path):
        assert pairs_of(self.write(tmp_path / "a.zip", {"README": "x", "en-id.tmx": tmx()})) == PAIRS

    def test_are_not_unpacked_to_the_disk(self, tmp_path):
        pairs_of(self.opus(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["en-id.txt.zip"]

    @pytest.mark.parametrize("name", ["../a.jsonl", "/a.jsonl", "x/../../a.jsonl", "C:\\a.jsonl", "."])
    def test_whose_names_lead_out_are_refused(self, tmp_path, name):
        path = self.write(tmp_path / "a.zip", {name: '{"en": "Yes", "id": "Ya"}'})
        with pytest.raises(ValueError, match="leads out of the archive"):
            read(path)

    def test_that_would_expand_beyond_measure_are_refused(self, tmp_path):
        path = self.write(tmp_path / "a.zip", {"a.tsv": b"en\tid\n" + b"a\tb\n" * 5_000_000})
        with pytest.raises(ValueError, match=r"would expand from .* to 20,000,006 bytes"):
            read(path)

    def test_that_understate_their_size_are_read_no_further_and_refused(self, tmp_path):
        path = self.write(tmp_path / "a.zip", {"a.tsv": b"en\tid\n" + b"a\tb\n" * 5_000_000})
        content = bytearray(path.read_bytes())
        for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            place = content.rindex(mark) + offset
            content[place : place + 4] = (60).to_bytes(4, "little")
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.tsv: damaged or truncated compressed data"):
            read(path)

    @pytest.mark.parametrize("name", ["a.jsonl", "a.tmx", "a.po"])
    def test_with_a_changed_byte_are_refused(self, tmp_path, name):
        contents = {
            "a.jsonl": '{"en": "Close it.", "id": "Tutup."}\n',
            "a.tmx": tmx(),
            "a.po": 'msgid "Close it."\nmsgstr "Tutup."\n',
        }
        path = self.write(tmp_path / "a.zip", {name: contents[name]}, zipfile.ZIP_STORED)
        path.write_bytes(path.read_bytes().replace(b"Close it.", b"Clone it."))
        with pytest.raises(ValueError, match=rf"a\.zip/{name}: damaged or truncated compressed data"):
            read(path)

    def test_that_are_encrypted_are_refused(self, tmp_path):
        path = self.write(tmp_path / "a.zip", {"a.jsonl": "{}"})
        content = bytearray(path.read_bytes())
        for mark in (b"PK\x03\x04", b"PK\x01\x02"):
            content[content.index(mark) + (6 if mark == b"PK\x03\x04" else 8)] |= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is encrypted"):
            read(path)

    def test_that_are_cut_off_are_refused(self, tmp_path):
        path = self.opus(tmp_path)
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(ValueError, match="damaged zip archive"):
            read(path)

    def test_without_the_file_are_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read(self.opus(tmp_path) / "none.tsv")


class TestTranslationMemories:
    def test_are_read_in_any_spelling_of_the_languages(self, tmp_path):
        (tmp_path / "a.tmx").write_text(tmx(), encoding="utf-8")
        assert pairs_of(tmp_path / "a.tmx") == PAIRS

    def test_in_utf_16_are_read(self, tmp_path):
        (tmp_path / "a.tmx").write_text(tmx().replace("UTF-8", "UTF-16"), encoding="utf-16")
        assert pairs_of(tmp_path / "a.tmx") == PAIRS

    def test_code_of_the_document_is_no_text(self, tmp_path):
        text = 'Press <bpt i="1">&lt;b&gt;</bpt><hi>OK</hi><ept i="1">&lt;/b&gt;</ept> now.'
        (tmp_path / "a.tmx").write_text(tmx().replace("Close it.", text), encoding="utf-8")
        assert pairs_of(tmp_path / "a.tmx")[1] == ("Press OK now.", "Tutup.")

    def test_units_without_one_of_the_languages_are_left_out(self, tmp_path):
        content = tmx() + "\n"
        extra = '<tu><tuv xml:lang="en"><seg>Only English.</seg></tuv><tuv xml:lang="fr"><seg>Non.</seg></tuv></tu>'
        (tmp_path / "a.tmx").write_text(content.replace("<body>", f"<body>{extra}"), encoding="utf-8")
        assert pairs_of(tmp_path / "a.tmx") == PAIRS

    def test_of_other_languages_are_refused_with_theirs(self, tmp_path):
        (tmp_path / "a.tmx").write_text(tmx(languages=("en", "fr")), encoding="utf-8")
        with pytest.raises(ValueError, match="in both English and Indonesian; languages of the file: en, fr"):
            read(tmp_path / "a.tmx")

    def test_that_define_entities_are_refused(self, tmp_path):
        bomb = '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        content = tmx().replace('<!DOCTYPE tmx SYSTEM "tmx14.dtd">', bomb).replace("Tutup.", "&b;")
        (tmp_path / "a.tmx").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.tmx: defines XML entities"):
            read(tmp_path / "a.tmx")

    def test_that_are_cut_off_are_refused_with_the_line(self, tmp_path):
        (tmp_path / "a.tmx").write_text(tmx()[:-30], encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.tmx, line \d: broken XML"):
            read(tmp_path / "a.tmx")

    @pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2", ".zst"])
    def test_that_are_cut_off_in_their_compression_are_refused(self, tmp_path, compression):
        path = tmp_path / f"a.tmx{compression}"
        pairs = [(f"Text {place}.", f"Teks {place * 7919 % 1009}.") for place in range(3000)]
        path.write_bytes(COMPRESSIONS[compression](tmx(pairs).encode())[:-200])
        with pytest.raises(ValueError, match=rf"a\.tmx{compression}: damaged or truncated compressed data after unit"):
            read(path)

    def test_of_an_encoding_that_there_is_not_are_refused(self, tmp_path):
        (tmp_path / "a.tmx").write_text(tmx().replace("UTF-8", "foo-8"), encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.tmx: its encoding cannot be read \(unknown encoding: foo-8"):
            read(tmp_path / "a.tmx")

    def test_whose_elements_are_nested_without_end_are_read(self, tmp_path):
        nested = "<hi>" * 20_000 + "Close it." + "</hi>" * 20_000
        (tmp_path / "a.tmx").write_text(tmx().replace("Close it.", nested), encoding="utf-8")
        assert pairs_of(tmp_path / "a.tmx") == PAIRS

    def test_are_read_in_constant_memory(self, tmp_path):
        from sensia.corpora import find_language

        peaks = []
        for number in (300, 6000):
            path = tmp_path / f"{number}.tmx"
            path.write_text(tmx([(f"Text {place}.", "Teks.") for place in range(number)]), encoding="utf-8")
            tracemalloc.start()
            assert sum(1 for _ in xml_records(path, "tmx", find_language("en"), find_language("id"))) == number
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.5 * peaks[0] + 100_000


class TestInterfaceTexts:
    def test_of_xliff_are_read(self, tmp_path):
        (tmp_path / "a.xlf").write_text(xliff(), encoding="utf-8")
        assert pairs_of(tmp_path / "a.xlf") == PAIRS

    def test_of_xliff_2_are_read(self, tmp_path):
        segments = "".join(
            f"<unit id='{source[0]}'><segment><source>{source}</source><target>{target}</target></segment></unit>"
            for source, target in PAIRS
        )
        head = "<xliff xmlns='urn:oasis:names:tc:xliff:document:2.0' version='2.0' srcLang='en' trgLang='id'>"
        (tmp_path / "a.xliff").write_text(f"{head}<file id='f'>{segments}</file></xliff>", encoding="utf-8")
        assert pairs_of(tmp_path / "a.xliff") == PAIRS

    def test_that_nobody_has_translated_are_empty(self, tmp_path):
        (tmp_path / "a.xlf").write_text(xliff(state=' state="needs-translation"'), encoding="utf-8")
        assert [target for _, target in pairs_of(tmp_path / "a.xlf")] == ["", ""]

    def test_of_another_language_are_refused(self, tmp_path):
        (tmp_path / "a.xlf").write_text(xliff(target="fr"), encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.xlf: the file says that it is in fr; expected English and"):
            read(tmp_path / "a.xlf")

    def test_of_a_file_of_the_other_direction_are_turned(self, tmp_path):
        turned = [(target, source) for source, target in PAIRS]
        (tmp_path / "a.xlf").write_text(xliff(turned, source="id", target="en"), encoding="utf-8")
        assert pairs_of(tmp_path / "a.xlf") == PAIRS

    def test_of_one_language_on_both_sides_are_refused(self, tmp_path):
        (tmp_path / "a.xlf").write_text(xliff(target="en"), encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.xlf: the file says that it is in en and en; expected English and"):
            read(tmp_path / "a.xlf")

    def test_of_qt_are_read_as_far_as_they_are_finished(self, tmp_path):
        messages = (
            "<message><source>Open the file.</source><translation>Buka berkas.</translation></message>"
            "<message><source>Save.</source><translation type='unfinished'>Simpan?</translation></message>"
            "<message numerus='yes'><source>%n files</source><translation><numerusform>%n berkas</numerusform>"
            "</translation></message>"
        )
        content = f"<TS version='2.1' language='id_ID'><context><name>x</name>{messages}</context></TS>"
        (tmp_path / "a.ts").write_text(content, encoding="utf-8")
        assert pairs_of(tmp_path / "a.ts") == [PAIRS[0], ("Save.", ""), ("%n files", "%n berkas")]

    def catalog(self, language="id"):
        catalog = polib.POFile()
        catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Language": language}
        catalog.append(polib.POEntry(msgid="Open the file.", msgstr="Buka berkas."))
        catalog.append(polib.POEntry(msgid="Save.", msgstr="Simpan?", flags=["fuzzy"]))
        catalog.append(polib.POEntry(msgid="Old.", msgstr="Lama.", obsolete=True))
        plural = {0: "%d berkas", 1: "%d berkas-berkas"}
        catalog.append(polib.POEntry(msgid="a file", msgid_plural="%d files", msgstr_plural=plural))
        return catalog

    def test_of_gettext_are_read_as_far_as_they_are_sure(self, tmp_path):
        self.catalog().save(str(tmp_path / "a.po"))
        assert pairs_of(tmp_path / "a.po") == [PAIRS[0], ("Save.", ""), ("a file", "%d berkas")]

    def test_of_compiled_gettext_are_read(self, tmp_path):
        self.catalog().save_as_mofile(str(tmp_path / "a.mo"))
        assert PAIRS[0] in pairs_of(tmp_path / "a.mo")

    def test_of_compiled_gettext_that_is_cut_off_are_refused_wherever_it_ends(self, tmp_path):
        self.catalog().save_as_mofile(str(tmp_path / "whole.mo"))
        content = (tmp_path / "whole.mo").read_bytes().rstrip(b"\0")  # the last sign ends a text
        for length in range(len(content)):
            (tmp_path / "a.mo").write_bytes(content[:length])
            with pytest.raises(ValueError, match=r"a\.mo: not a readable MO file"):
                pairs_of(tmp_path / "a.mo")

    def test_of_gettext_in_another_language_are_refused(self, tmp_path):
        self.catalog("fr").save(str(tmp_path / "a.po"))
        with pytest.raises(ValueError, match=r"a\.po: its header says that it is in 'fr'; expected Indonesian"):
            read(tmp_path / "a.po")

    def test_of_gettext_are_never_taken_for_the_name_of_another_file(self, tmp_path):
        self.catalog().save(str(tmp_path / "other.po"))
        (tmp_path / "a.po").write_text(str(tmp_path / "other.po"), encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.po: not a readable PO file"):
            read(tmp_path / "a.po")

    def test_of_broken_gettext_are_refused(self, tmp_path):
        (tmp_path / "a.po").write_text('msgid "Open"\nThis is no PO file.\n', encoding="utf-8")
        with pytest.raises(ValueError, match=r"a\.po: not a readable PO file"):
            read(tmp_path / "a.po")


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    @pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
    def test_with_a_byte_order_mark_is_read(self, tmp_path, encoding, name):
        rows = {"a.tsv": "en\tid\nYes\tYa\n", "a.csv": "en,id\nYes,Ya\n", "a.jsonl": '{"en": "Yes", "id": "Ya"}\n'}
        (tmp_path / name).write_text(rows[name], encoding=encoding)
        assert pairs_of(tmp_path / name) == [("Yes", "Ya")]

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
    def test_in_utf_16_without_a_mark_is_refused_with_what_to_do(self, tmp_path, encoding):
        (tmp_path / "a.tsv").write_bytes("en\tid\nYes\tYa\n".encode(encoding))
        with pytest.raises(ValueError, match=r"a\.tsv: looks like UTF-16 or UTF-32 without a byte order mark"):
            read(tmp_path / "a.tsv")

    def test_of_a_column_that_is_named_nan_is_read_as_min_nan(self, tmp_path):
        (tmp_path / "a.tsv").write_text("en\tnan\nYes\tSi\n", encoding="utf-8")
        table = read_pairs(str(tmp_path / "a.tsv"), source_language="en", target_language="nan")
        assert (table["source"][0], table["target"][0]) == ("Yes", "Si")

    def test_in_utf_16_that_is_cut_off_is_refused(self, tmp_path):
        (tmp_path / "a.tsv").write_bytes("en\tid\nYes\tYa\n".encode("utf-16")[:-1])
        with pytest.raises(ValueError, match=r"a\.tsv: not UTF-16 text, as its first bytes say"):
            read(tmp_path / "a.tsv")

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_of_csv_is_parted_by_what_parts_its_rows(self, tmp_path, delimiter):
        rows = [("en", "id"), ("Yes, sir; now", "Ya, tuan; kini"), ('He said "no"', "Tidak")]
        with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        assert pairs_of(tmp_path / "a.csv") == rows[1:]

    @pytest.mark.parametrize("key", ["data", "rows", "examples"])
    @pytest.mark.parametrize("indent", [None, 1])
    def test_of_an_array_inside_an_object_is_read(self, tmp_path, key, indent):
        content = {"version": 1, key: [{"en": "Yes", "id": "Ya"}, {"en": "No", "id": "Tidak"}]}
        (tmp_path / "a.json").write_text(json.dumps(content, indent=indent), encoding="utf-8")
        assert pairs_of(tmp_path / "a.json") == [("Yes", "Ya"), ("No", "Tidak")]

    def test_of_rows_as_the_hub_serves_them_is_read(self, tmp_path):
        rows = [{"row_idx": 0, "row": {"translation": {"en": "Yes", "id": "Ya"}}, "truncated_cells": []}]
        (tmp_path / "a.json").write_text(json.dumps({"features": [{"name": "x"}], "rows": rows}), encoding="utf-8")
        with pytest.raises(ValueError, match="found 2 \\(features, rows\\)"):
            read(tmp_path / "a.json")
        (tmp_path / "a.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
        assert pairs_of(tmp_path / "a.json") == [("Yes", "Ya")]

    def test_of_a_cut_off_zst_file_is_refused(self, tmp_path):
        content = pa.compress(
            lines(f'{{"en": "Text {place}", "id": "Teks {place * 7}"}}' for place in range(5000)), "zstd"
        )
        (tmp_path / "a.jsonl.zst").write_bytes(content.to_pybytes()[:-40])
        with pytest.raises(ValueError, match="damaged or truncated compressed data"):
            read(tmp_path / "a.jsonl.zst")


class TestScores:
    SCORED = "1.2\tThe cat sat.\tKucing itu duduk.\n0.9\tYes, I do.\tYa, memang.\n"

    def test_of_a_table_without_names_are_a_threshold(self, tmp_path, tokenizer):
        (tmp_path / "a.tsv").write_text(self.SCORED, encoding="utf-8")
        pairs, report = clean_pairs(read(tmp_path / "a.tsv"), tokenizer, max_length=64, min_score=1.06)
        assert len(pairs) == 1 and report.dropped == {"low_score": 1}

    def test_of_any_usual_name_are_a_threshold(self, tmp_path, tokenizer):
        rows = [{"en": "Yes", "id": "Ya", "laser_score": 1.1}, {"en": "No", "id": "Tidak", "laser_score": None}]
        (tmp_path / "a.jsonl").write_bytes(lines(map(json.dumps, rows)))
        assert clean_pairs(read(tmp_path / "a.jsonl"), tokenizer, max_length=64, min_score=1)[1].kept == 1

    def test_that_are_not_there_are_no_threshold(self, tmp_path, tokenizer):
        write_moses(tmp_path)
        with pytest.raises(ValueError, match=r"min_score 1\.0 needs a column `score`"):
            clean_pairs(read(tmp_path / "corpus"), tokenizer, max_length=64, min_score=1.0)


# What no format can hold is left out: line ends, tabs, control characters, and white space at the ends.
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and any(map(str.isalpha, text)) and "\ufeff" not in text
)
COMPRESSIONS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd").to_pybytes(),
}


def as_csv(pairs, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("en", "id"), *pairs])
    return text.getvalue().encode()


def as_po(pairs):
    catalog = polib.POFile()
    catalog.extend(polib.POEntry(msgid=source, msgstr=target) for source, target in pairs)
    return str(catalog).encode()


FORMATS = {
    "a.jsonl": lambda pairs: lines(json.dumps({"en": source, "id": target}) for source, target in pairs),
    "a.json": lambda pairs: json.dumps(
        [{"translation": {"en": source, "id": target}} for source, target in pairs]
    ).encode(),
    "a.csv": as_csv,
    "a.tmx": lambda pairs: tmx(pairs).encode(),
    "a.xlf": lambda pairs: xliff(pairs).encode(),
    "a.po": as_po,
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pairs=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_what_is_written_is_read(tmp_path, name, compression, pairs):
    path = tmp_path / f"{name}{compression}"
    path.write_bytes(COMPRESSIONS[compression](FORMATS[name](pairs)))
    assert pairs_of(path) == pairs


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pairs=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_two_files_and_parquet_are_read_as_they_are_written(tmp_path, pairs):
    write_moses(tmp_path, pairs)
    table = pa.table({"en": [source for source, _ in pairs], "id": [target for _, target in pairs]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert pairs_of(tmp_path / "corpus") == pairs_of(tmp_path / "a.parquet") == pairs
