"""`sensia bitext` with `min_quality`: damaged pairs are found by a classifier that learns from all sources."""

import random

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from sensia.commands.bitext import BitextArguments, build

pytest.importorskip("systran_align")
SYLLABLES = ["ba", "ko", "ri", "mu", "te", "sa", "lo", "ni", "gu", "pe"]
WORDS = [(f"{one}{other}", f"z{other}{one}") for one in SYLLABLES for other in SYLLABLES]
DAMAGED = range(500, 520)


@pytest.fixture
def folder(tmp_path):
    """Two sources of 300 pairs; in a run of the second one, sources stand beside the target of the next line."""
    order = random.Random(0)
    lines = []
    for _ in range(600):
        words = order.sample(WORDS, order.randint(4, 8))
        lines.append([" ".join(word[side] for word in words).capitalize() + "." for side in (0, 1)])
    targets = [target for _, target in lines]
    for number in DAMAGED:
        lines[number][1] = targets[number + 1]
    for name, part in (("one", lines[:300]), ("two", lines[300:])):
        text = "".join(f"{source}\t{target}\n" for source, target in part)
        (tmp_path / f"{name}.tsv").write_text(f"en\tsw\n{text}", encoding="utf-8")
    return tmp_path


def built(folder, **settings):
    output = folder / "out"
    build(
        BitextArguments(
            sources=["one.tsv", "two.tsv"],
            data=str(folder),
            target_language="sw",
            output_dir=str(output),
            dev_pairs=0,
            skip=["other_language"],
            **settings,
        )
    )
    return output


def test_damaged_pairs_are_dropped_and_counted(folder, capsys):
    output = built(folder, min_quality=0.5)
    kept = pq.read_table(output / "train.parquet").to_pylist()
    lines = (folder / "two.tsv").read_text(encoding="utf-8").splitlines()[1:]
    wrong = {lines[number - 300] for number in DAMAGED}
    assert len({f"{row['en']}\t{row['sw']}" for row in kept} & wrong) <= 1
    assert 540 <= len(kept) <= 581
    card = DatasetCard.load(output / "README.md").text
    assert "| quality | " in card and "look misaligned, cut or swapped" in card
    assert "misaligned by one" in capsys.readouterr().out


def test_qualities_are_computed_once(folder, capsys):
    first = (built(folder, min_quality=0.5) / "train.parquet").read_bytes()
    assert "Learning" in capsys.readouterr().out
    assert (built(folder, min_quality=0.5) / "train.parquet").read_bytes() == first
    assert "Learning" not in capsys.readouterr().out


def test_without_a_least_quality_the_step_is_not_made(folder):
    output = built(folder)
    assert len(pq.read_table(output / "train.parquet")) == 600
    assert "quality" not in DatasetCard.load(output / "README.md").text


@pytest.mark.parametrize("quality", [0.0, 1.0, -1.0])
def test_a_quality_that_is_no_probability_is_refused(folder, quality):
    with pytest.raises(ValueError, match="`min_quality` must lie between 0 and 1"):
        built(folder, min_quality=quality)


def test_a_bitext_that_is_too_small_to_learn_from_is_refused(folder):
    for name in ("one", "two"):
        text = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / f"{name}.tsv").write_text("".join(text[:51]), encoding="utf-8")
    with pytest.raises(ValueError, match="from 200 pairs or more, got 100"):
        built(folder, min_quality=0.5)
