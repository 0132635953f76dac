"""Geometry of senses and the worth of the mixture as tasks of a suite."""

import pytest

from sensia.evaluation.senses.geometry import procrustes_alignment, sense_topology
from sensia.evaluation.senses.mixture import ablate_mixture
from sensia.evaluation.tasks.loaded import NotOfferedError
from sensia.evaluation.tasks.registry import make_tasks
from sensia.evaluation.tasks.scoring import score_tasks
from sensia.evaluation.word_pairs import independent_pairs, read_lexicon, word_senses

WORDS = ["file berkas", "yes ya", "window jendela", "open buka", "close tutup", "save simpan", "water air", "old tua"]
WORDS += ["book buku", "big besar", "new baru", "word kata"]
BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"
SUITE = {
    "topology": {"kind": "topology", "source": "words.tsv"},
    "procrustes": {"kind": "procrustes", "source": "words.tsv", "shuffles": 20, "folds": 3},
    "mixture": {"kind": "mixture", "source": BITEXT, "limit": 5},
}


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("".join(f"{pair.replace(' ', chr(9))}\n" for pair in WORDS), encoding="utf-8")
    return path


@pytest.fixture
def measure(words, tokenizer):
    def measure(name, model):
        (task,) = make_tasks([name], SUITE, source_language="en", target_language="id")
        return task.load(words.parent if name != "mixture" else ".").measure(model, tokenizer, False)

    return measure


@pytest.fixture
def senses(backpack, tokenizer, words):
    kept, _ = independent_pairs(read_lexicon(words)[0], tokenizer)
    sides = ([pair.source for pair in kept], [pair.target for pair in kept])
    return [word_senses(backpack, tokenizer, side) for side in sides]


def test_topology_is_scored_with_words_paired_at_random_as_chance(measure, backpack, senses):
    found, expected = measure("topology", backpack), sense_topology(*senses)
    assert found["metrics"] == {"topology": expected["estimate"], "topology_gap": expected["gap"]}
    assert found["chance"] == {"topology": expected["baseline"], "topology_gap": 0}
    low, high = found["intervals"]["topology_gap"]
    assert (low, high) == (expected["ci_low"] - expected["baseline"], expected["ci_high"] - expected["baseline"])
    assert found["p_values"] == {"topology_gap": expected["p_value"]}
    assert found["pairs"] == len(senses[0])


@pytest.mark.parametrize(("name", "center"), [("procrustes", False), ("procrustes_centered", True)])
def test_rotations_are_scored_with_and_without_centring(measure, backpack, senses, name, center):
    found, expected = (
        measure("procrustes", backpack),
        procrustes_alignment(*senses, center=center, shuffles=20, folds=3),
    )
    assert found["metrics"][name] == expected["estimate"]
    assert found["intervals"][name] == [expected["ci_low"], expected["ci_high"]]
    assert found["p_values"][f"{name}_gap"] == expected["p_value"]


def test_the_mixture_is_ablated_on_the_target_side(measure, backpack, tokenizer, bitext):
    found, expected = measure("mixture", backpack), ablate_mixture(backpack, tokenizer, bitext["target"][:5])
    assert found["metrics"]["top_1"] == expected["variants"]["top_1"]["change"]
    assert found["intervals"]["top_1"] == expected["variants"]["top_1"]["interval"]
    assert "untouched" not in found["metrics"]


def test_a_model_without_senses_is_no_error(measure, gpt2, tokenizer, words):
    for name in SUITE:
        with pytest.raises(NotOfferedError, match=r"at least \d senses?, it has 0"):
            measure(name, gpt2)
    tasks = make_tasks(["topology"], SUITE, source_language="en", target_language="id")
    scores = score_tasks(gpt2, tokenizer, tasks, model_name="gpt2", folder=words.parent)
    assert list(scores["not_offered"]) == ["topology"] and not scores["missing"]
