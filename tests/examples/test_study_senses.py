import json
import re
import sys

import pytest
from example_scripts import load_example
from small_backpacks import BITEXT, save, small_backpack, small_tokenizer

from sensia.corpora import describe_file, read_pairs
from sensia.evaluation.rounding import rounded
from sensia.evaluation.senses.mixture import ablate_mixture

LETTERS = "bcdfghjklmnpqrstvwxz"


def filler(number):
    """A word of its own for each number, so that no two sentences are near-duplicates."""
    return "".join(LETTERS[(number // 20**place) % 20] for place in range(4)) + "o"


def bank_rows():
    """`bank` by two translations, which keep different company where it does not stand."""
    rows = [("the bank lent", "bursa meminjamkan"), ("the bank was", "tepi itu")] * 8
    rows += [("market lent money", "bursa uang"), ("river shore", "tepi sungai")] * 20
    return [(f"{filler(2 * n)} {source} {filler(2 * n + 1)}", target) for n, (source, target) in enumerate(rows)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A bitext of real sentences and those about banks, and a lexicon with words that share no token."""
    folder = tmp_path_factory.mktemp("data")
    real = read_pairs(BITEXT, source_language="en", target_language="id")
    rows = [*bank_rows(), *zip(real["source"], real["target"], strict=True)]
    lines = [json.dumps({"translation": {"en": source, "id": target}}) for source, target in rows]
    (folder / "bitext.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = sorted(set(re.findall(r"[a-z]{3,}", " ".join(real["source"]))))[:600]
    entries = ["bank\tbursa", "bank\ttepi", *(f"{word}\t{filler(n)}" for n, word in enumerate(words))]
    (folder / "lexicon.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def script():
    return load_example("study_senses")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    tokenizer, folder = small_tokenizer(), tmp_path_factory.mktemp("models")
    names = ("base", "adapted")
    return {name: save(folder / name, small_backpack(tokenizer, 4, n), tokenizer) for n, name in enumerate(names)}


@pytest.fixture(scope="module")
def study(script, data, models, tmp_path_factory):
    """One run of everything: both models, plots, and an annotation file that is filled in and scored."""
    folder = tmp_path_factory.mktemp("results")
    options = ["--model", models["adapted"], "--base", models["base"], "--data", data, "--bitext", "bitext.jsonl"]
    options += ["--held_out", "bitext.jsonl", "--held_out_pairs", 3, "--lexicon", "lexicon.tsv", "--shuffles", 2]
    options += ["--target_language", "id", "--output", folder / "senses.json"]

    def run(*more):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["study_senses.py", *map(str, (*options, *more))])
            script.main()

    run("--annotate", folder / "anna.tsv")
    lines = (folder / "anna.tsv").read_text(encoding="utf-8").splitlines()
    filled = ["\t".join([*line.split("\t")[:5], "1", ""]) for line in lines[1:]]
    (folder / "anna.tsv").write_text("\n".join([lines[0], *filled]) + "\n", encoding="utf-8")
    run("--plots", folder / "plots", "--annotations", folder / "anna.tsv")
    return folder


@pytest.fixture(scope="module")
def results(study):
    return json.loads((study / "senses.json").read_text(encoding="utf-8"))


def test_both_models_have_every_part(results):
    assert list(results["models"]) == ["base", "adapted"]
    for entry in results["models"].values():
        assert list(entry) == ["mixture", "meanings", "geometry", "word_map"]
        assert list(entry["mixture"]) == ["en", "id"]
        assert [(word["word"], word["first"], word["second"]) for word in entry["meanings"]["words"]] == [
            ("bank", "bursa", "tepi")
        ]
        assert len(entry["geometry"]["by_frequency"]) == 4
        assert len(entry["word_map"]["words"]) == min(40, entry["geometry"]["pairs"])


def test_the_models_are_measured_apart_on_the_held_out_pairs(results, script, models):
    sentences = [source for source, _ in bank_rows()[:3]]
    for name, path in models.items():
        model, tokenizer = script.load_base(path)
        ablation = rounded(ablate_mixture(model, tokenizer, sentences), 4)
        assert results["models"][name]["mixture"]["en"]["ablation"] == ablation
    cosines = [entry["geometry"]["sense_similarity"]["cosines"] for entry in results["models"].values()]
    assert cosines[0] != cosines[1]


def test_files_are_named_by_base_name_and_hash_and_no_folder_is_told(results, study, data, models):
    texts = [data / name for name in ("bitext.jsonl", "bitext.jsonl", "lexicon.tsv")]
    weights = [f"{models[name]}/model.safetensors" for name in ("base", "adapted")]
    assert results["files"] == [describe_file(path) for path in (*texts, *weights)]
    text = (study / "senses.json").read_text(encoding="utf-8")
    assert not any(str(folder) in text for folder in (study, data, *models.values()))


def test_an_annotator_is_compared_with_the_translations_and_the_models(results):
    agreement = results["agreement"]
    assert list(agreement) == [f"anna.tsv and {name}" for name in ("translations", "base", "adapted")]
    # Who says 1 everywhere agrees with half of the sentences, which is chance.
    expected = {"items": 10, "observed": 0.5, "expected": 0.5, "kappa": 0.0}
    assert agreement["anna.tsv and translations"] == expected


def test_plots_and_tables_are_written_where_asked(study):
    names = ["senses_figures.md", "senses_similarity.png", "senses_topology.png", "senses_words.png"]
    assert sorted(path.name for path in (study / "plots").iterdir()) == names
    assert sorted(path.name for path in study.iterdir()) == ["anna.tsv", "plots", "senses.json"]
