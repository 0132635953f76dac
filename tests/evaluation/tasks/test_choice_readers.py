import json

import pytest

from sensia.corpora.rows import read_rows
from sensia.evaluation.tasks.choice_readers import XCOPA_CONNECTORS, read_choices
from sensia.evaluation.tasks.choices import Choice

COPA = {"premise": "Lelaki itu haus.", "choice1": "Dia minum.", "choice2": "Dia lari.", "label": 0}


def test_xcopa_asks_for_the_cause_or_the_effect():
    rows = [COPA | {"question": "effect"}, COPA | {"question": "cause", "label": 1}]
    assert read_choices(rows, "xcopa", "ind_Latn") == [
        Choice("Lelaki itu haus maka", ("dia minum.", "dia lari."), 0, "maka"),
        Choice("Lelaki itu haus karena", ("dia minum.", "dia lari."), 1, "karena"),
    ]


def test_chinese_is_joined_without_spaces():
    row = {
        "premise": "那人打开水龙头。",
        "choice1": "水满了。",
        "choice2": "水流出。",
        "question": "effect",
        "label": 1,
    }
    (item,) = read_choices([row], "xcopa", "zh")
    assert item.context == "那人打开水龙头\uff0c所以"
    assert item.answers == ("水满了。", "水流出。")


def test_turkish_has_two_letters_i():
    row = COPA | {"choice1": "Island\u0131.", "choice2": "\u0130çti.", "question": "effect"}
    (item,) = read_choices([row], "xcopa", "tr")
    assert item.answers == ("\u0131sland\u0131.", "içti.")


@pytest.mark.parametrize("code", sorted(XCOPA_CONNECTORS))
def test_every_language_tells_cause_from_effect(code):
    contexts = [read_choices([COPA | {"question": asked}], "xcopa", code)[0].context for asked in ("cause", "effect")]
    assert len(set(contexts)) == 2


@pytest.mark.parametrize("code", ["fr", None])
def test_a_language_without_connectors_is_refused(code):
    with pytest.raises(ValueError, match="none for"):
        read_choices([COPA], "xcopa", code)


def test_a_story_is_its_sentences_each_closed():
    row = {"context": ["Satu", "Dua.", "Tiga?", "Empat "], "ending1": "Lima", "ending2": "Enam.", "label": 1}
    assert read_choices([row], "indocloze") == [Choice("Satu. Dua. Tiga? Empat.", ("Lima", "Enam."), 1)]


def test_xstorycloze_is_read_in_the_names_of_the_hub_and_of_its_own_files(tmp_path):
    sentences = ["Satu.", "Dua.", "Tiga.", "Empat."]
    hub = {f"input_sentence_{place}": text for place, text in enumerate(sentences, 1)}
    hub |= {"story_id": "a", "sentence_quiz1": "Lima.", "sentence_quiz2": "Enam.", "answer_right_ending": 2}
    (tmp_path / "hub.jsonl").write_text(json.dumps(hub) + "\n", encoding="utf-8")
    columns = ["InputStoryid", *(f"InputSentence{place}" for place in range(1, 5))]
    columns += ["RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2", "AnswerRightEnding"]
    lines = ["\t".join(columns), "\t".join(["a", *sentences, "Lima.", "Enam.", "2"])]
    (tmp_path / "own.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    expected = [Choice("Satu. Dua. Tiga. Empat.", ("Lima.", "Enam."), 1)]
    for name in ("hub.jsonl", "own.tsv"):
        assert read_choices(read_rows(str(tmp_path / name)), "xstorycloze") == expected


def test_belebele_asks_in_words(tmp_path):
    row = {
        "link": "x",
        "question_number": 1,
        "flores_passage": "Teks. ",
        "question": "Apa?",
        "correct_answer_num": "3",
    }
    row |= {f"mc_answer{place}": text for place, text in enumerate(("a", "b", "c", "d"), 1)}
    (tmp_path / "ind_Latn.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert read_choices(read_rows(str(tmp_path / "ind_Latn.jsonl")), "belebele") == [
        Choice("Teks.\nQ: Apa?\nA:", ("a", "b", "c", "d"), 2, "A:")
    ]


def test_anything_else_is_written_out():
    rows = [{"context": "a", "answers": ["b", "c", "d"], "label": 2, "neutral": "n"}]
    rows += [{"context": "a", "answers": ["b", "c"], "label": 0}]
    assert read_choices(rows, "choices") == [Choice("a", ("b", "c", "d"), 2, "n"), Choice("a", ("b", "c"), 0)]


@pytest.mark.parametrize(
    ("form", "row", "words"),
    [
        ("indocloze", {"context": ["a"], "ending1": "b"}, "Row 1 of indocloze: no field 'ending2'"),
        ("xcopa", COPA | {"question": "why"}, "'cause' or 'effect', got 'why'"),
        ("xstorycloze", {"InputSentence1": "a"}, "no field 'InputSentence2'"),
        ("choices", {"context": "a", "answers": "bc", "label": 0}, "must be a list"),
        ("choices", {"context": "a", "answers": ["b", "c"], "label": 5}, "place of one of 2"),
        ("other", {}, "must be one of xcopa"),
    ],
)
def test_a_row_of_another_form_is_refused_with_its_number(form, row, words):
    with pytest.raises(ValueError, match=words):
        read_choices([row], form, "id")
