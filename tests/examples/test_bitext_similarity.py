"""`sensia bitext` with a model that tells translations from other pairs."""

import random

import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from dictionary_encoder import save_dictionary_encoder, translations
from huggingface_hub import DatasetCard

from sensia.commands.bitext import BitextArguments, build
from sensia.commands.pair_scorer import PairScorer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_dictionary_encoder(tmp_path_factory.mktemp("similarity") / "dictionary")


@pytest.fixture
def folder(tmp_path):
    rows = [list(pair) for pair in translations()]
    random.Random(0).shuffle(rows)
    rows[10][1], rows[11][1] = rows[11][1], rows[10][1]  # two pairs whose targets are interchanged
    lines = "".join(f"{source}\t{target}\n" for source, target in rows)
    (tmp_path / "pairs.tsv").write_text(f"en\tid\n{lines}", encoding="utf-8")
    return tmp_path


def built(folder, model, **settings):
    given = {"sources": ["pairs.tsv"], "target_language": "id", "data": str(folder), "output_dir": str(folder / "out")}
    build(BitextArguments(**{**given, "similarity_model": model, "dev_pairs": 0, **settings}))
    return Dataset.from_parquet(str(folder / "out/train.parquet"), cache_dir=str(folder / "cache")).to_list()


def lines(folder):
    return (folder / "pairs.tsv").read_text(encoding="utf-8").splitlines()[1:]


@pytest.mark.parametrize("score", ["margin", "cosine"])
def test_pairs_that_do_not_translate_each_other_are_dropped(folder, model, score):
    kept = built(folder, model, similarity_score=score, min_similarity=0.9)
    assert [f"{row['en']}\t{row['id']}" for row in kept] == [*lines(folder)[:10], *lines(folder)[12:]]


def test_without_a_threshold_pairs_are_only_scored(folder, model):
    kept = built(folder, model)
    assert len(kept) == 100
    assert [place for place, row in enumerate(kept) if row["score"] < 0.9] == [10, 11]


def test_the_card_says_what_scores_are_and_how_they_are_spread(folder, model):
    built(folder, model, min_similarity=0.9)
    card = DatasetCard.load(folder / "out/README.md").text
    assert "by the model dictionary." in card and "| source | 1 % | 3 % | 10 % | 25 % | 50 % |" in card
    assert "| similarity | 2 | the sentence vectors of its sides are not similar enough |" in card


def test_scores_are_made_once_for_every_threshold(folder, model, capsys):
    built(folder, model)
    assert "Scoring pairs 1 to 100" in capsys.readouterr().out
    built(folder, model, min_similarity=0.9)
    assert "Scoring" not in capsys.readouterr().out
    built(folder, model, similarity_neighbours=3)
    assert "Scoring" in capsys.readouterr().out


def test_scores_are_of_the_pairs_that_earlier_steps_left(model, tmp_path):
    scorer = PairScorer(model, "cosine", 4)
    pairs = [{"source": source, "target": target} for source, target in translations()]
    wrong = [*pairs[:9], {**pairs[9], "target": pairs[10]["target"]}]
    assert all(pair["score"] > 0.9 for pair in scorer.score(pairs[:10], tmp_path / "part.jsonl"))
    assert scorer.score(wrong, tmp_path / "part.jsonl")[9]["score"] < 0.9


def test_the_pairs_of_the_highest_scores_are_kept(folder, model):
    assert [f"{row['en']}\t{row['id']}" for row in built(folder, model, max_pairs=98)] == [
        *lines(folder)[:10],
        *lines(folder)[12:],
    ]


def test_scores_can_be_filtered_by_in_another_build(folder, model):
    built(folder, model)
    sources = [{"path": "out/train.parquet", "min_score": 0.9}]
    args = BitextArguments(
        sources=sources, target_language="id", data=str(folder), output_dir=str(folder / "again"), dev_pairs=0
    )
    build(args)
    assert len(pq.read_table(folder / "again/train.parquet")) == 98


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_similarity": 1.0}, "`min_similarity` needs a `similarity_model`"),
        ({"similarity_model": "m", "skip": ["similarity"], "min_similarity": 1.0}, "needs a `similarity_model`"),
        ({"similarity_model": "m", "similarity_score": "dot"}, "`similarity_score` must be margin or cosine"),
        ({"similarity_model": "m", "similarity_neighbours": 0}, "`similarity_neighbours` must be at least 1"),
    ],
)
def test_wrong_settings_of_similarity_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BitextArguments(sources=["a.tsv"], target_language="id", **settings)
