import numpy as np
import pytest

from sensia.evaluation.senses.ambiguous_words import AmbiguousWord
from sensia.evaluation.senses.annotation import (
    compare_judges,
    page_items,
    read_annotations,
    score_agreement,
    translated_meanings,
    write_annotations,
)

SOURCES = [f"the {place} file" for place in range(18)]
WORDS = [AmbiguousWord("file", "berkas", "kikir", (tuple(range(9)), tuple(range(9, 18))))]


def fill(path, meanings, senses=()):
    """Fills in the last two columns, line by line, as an annotator does."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    senses = [*senses, *[""] * (len(lines) - len(senses))]
    filled = [
        "\t".join([*line.split("\t")[:5], meaning, sense])
        for line, meaning, sense in zip(lines, meanings, senses, strict=True)
    ]
    path.write_text("\n".join([header, *filled]) + "\n", encoding="utf-8")


def test_annotation_files_are_blind_and_come_back_as_filled_in(tmp_path):
    path = tmp_path / "anna.tsv"
    assert write_annotations(path, WORDS, SOURCES, per_word=4) == 4
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["id", "word", "sentence", "first", "second", "meaning", "sense"]
    assert all(line[1:6] == ["file", SOURCES[int(line[0].split(":")[1])], "berkas", "kikir", ""] for line in lines[1:])
    assert sorted(translated_meanings(WORDS)[line[0]] for line in lines[1:]) == ["1", "1", "2", "2"]
    assert read_annotations(path) == {}
    fill(path, ["1", "?", "", "2"], ["a document", "", "a tool"])
    ids = [line[0] for line in lines[1:]]
    assert read_annotations(path) == {ids[0]: "1", ids[1]: "?", ids[3]: "2"}
    assert read_annotations(path, "sense") == {ids[0]: "a document", ids[2]: "a tool"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tword\n", "line 1: expected the columns id, word, sentence"),
        ("HEADER\na:1\ta\n", "line 2: expected 7 columns, got 2"),
        ("HEADER\na:1\ta\ts\tx\ty\t3\t\n", "line 2: `meaning` must be 1, 2 or \\?, got '3'"),
        ("HEADER\na:1\ta\ts\tx\ty\t1\t\n\na:1\ta\ts\tx\ty\t1\t\n", "line 4: id 'a:1' was given before"),
    ],
)
def test_annotations_of_another_form_are_refused_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "anna.tsv"
    header = "\t".join(["id", "word", "sentence", "first", "second", "meaning", "sense"])
    path.write_text(text.replace("HEADER", header), encoding="utf-8")
    with pytest.raises(ValueError, match=f"anna.tsv, {message}"):
        read_annotations(path)


def test_only_meanings_and_senses_can_be_read(tmp_path):
    with pytest.raises(ValueError, match="got 'word'"):
        read_annotations(tmp_path / "anna.tsv", "word")


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    first, second = ({str(n): str(label) for n, label in enumerate(random.choice([*"112?"], 40))} for _ in range(2))
    result = score_agreement(first, second | {"only here": "1"})
    expected = metrics.cohen_kappa_score(list(first.values()), list(second.values()))
    assert (result["items"], result["kappa"]) == (40, pytest.approx(expected))


def test_perfect_agreement_has_kappa_one_and_a_single_label_none():
    assert score_agreement({"a": "1", "b": "2"}, {"a": "1", "b": "2"})["kappa"] == 1
    assert score_agreement({"a": "1"}, {"a": "1"}) == {"items": 1, "observed": 1, "expected": 1, "kappa": None}


def test_labels_of_different_ids_have_no_agreement():
    with pytest.raises(ValueError, match="none of them shared"):
        score_agreement({"a": "1"}, {"b": "1"})


def test_people_are_compared_with_one_another_and_with_all_else():
    people = {"anna": {"a": "1", "b": "2"}, "budi": {"a": "1", "b": "1"}}
    result = compare_judges(people, {"model": {"a": "2", "b": "2"}})
    assert {name: each["observed"] for name, each in result.items()} == {
        "anna and budi": 0.5,
        "anna and model": 0.5,
        "budi and model": 0.0,
    }


def test_what_somebody_filled_in_is_not_written_over(tmp_path):
    path = tmp_path / "anna.tsv"
    for _ in range(2):  # an empty one may be written again
        write_annotations(path, WORDS, SOURCES, per_word=4)
    fill(path, ["", "", "", "2"])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"anna\.tsv has been filled in"):
        write_annotations(path, WORDS, SOURCES, per_word=4)
    assert path.read_bytes() == before


def test_judges_who_share_no_sentence_are_left_out():
    agreements = compare_judges({"anna": {"a": "1"}, "ben": {"b": "1"}}, {"model": {"a": "1"}})
    assert list(agreements) == ["anna and model"]


def test_a_page_has_one_sentence_of_each_word_of_either_meaning():
    words = [AmbiguousWord(f"word{n}", "a", "b", (tuple(range(9)), tuple(range(9, 18)))) for n in range(40)]
    items = page_items(words, SOURCES, most=30)
    assert len({item["word"] for item in items}) == len(items) == 30
    meanings = [translated_meanings(words)[item["id"]] for item in items]
    assert {*meanings} == {"1", "2"} and 5 < meanings.count("1") < 25
    assert all(item["sentence"] == SOURCES[int(item["id"].split(":")[1])] for item in items)
    assert items == page_items(words, SOURCES, most=30) != page_items(words, SOURCES, most=30, seed=1)
