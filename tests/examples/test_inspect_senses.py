import json
import sys

import pytest
from example_scripts import load_example
from small_backpacks import BITEXT, save, small_backpack, small_tokenizer

from sensia.corpora import read_pairs
from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.evaluation.senses.inspection import count_tokens, find_target_tokens, mixture_of, readable, senses_of


@pytest.fixture(scope="module")
def script():
    return load_example("inspect_senses")


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def models(tokenizer):
    return {name: small_backpack(tokenizer, 4, seed) for seed, name in enumerate(("english", "adapted"))}


@pytest.fixture(scope="module")
def saved(models, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: save(folder / name / "final", model, tokenizer) for name, model in models.items()}


@pytest.fixture
def inspect(script, monkeypatch):
    def run(*options):
        monkeypatch.setattr(sys, "argv", ["inspect_senses.py", *map(str, options)])
        monkeypatch.setenv("COLUMNS", "250")
        script.main()

    return run


def test_the_json_file_holds_what_the_functions_say_of_both_models(inspect, saved, models, tokenizer, tmp_path):
    options = ["--compare", saved["adapted"], "--words", "save", "jendela", "--sentences", "Save it.", "--top", 3]
    options += ["--bitext", BITEXT, "--target_language", "ind", "--bitext_pairs", 100]
    inspect("--model", saved["english"], *options, "--json", tmp_path / "new/senses.json")
    pairs = read_pairs(BITEXT, source_language="en", target_language="id").select(range(100))
    target = find_target_tokens(*(count_tokens(tokenizer, pairs[side]) for side in ("source", "target")))
    written = json.loads((tmp_path / "new/senses.json").read_text(encoding="utf-8"))
    assert written == [
        {
            "model": name,
            "words": [senses_of(model, tokenizer, word, 3, target) for word in ("save", "jendela")],
            "sentences": [mixture_of(model, tokenizer, "Save it.")],
        }
        for name, model in models.items()
    ]


def test_settings_come_from_a_file_and_the_command_line_wins(inspect, saved, models, tokenizer, tmp_path, capsys):
    config = tmp_path / "inspect.yaml"
    config.write_text(f"model: {saved['english']}\nwords: [save]\ntop: 2\n", encoding="utf-8")
    inspect("--config", config, "--top", 1)
    printed = capsys.readouterr().out
    for sense in senses_of(models["english"], tokenizer, "save", 1)["tokens"][0]["senses"]:
        (best,) = sense["strongest"]
        assert f"{readable(best['token'])}·{best['score']:.1f} " in printed
    assert "english: senses of" in printed and "adapted" not in printed


def test_the_page_is_one_file_that_needs_no_other(inspect, saved, tmp_path, capsys):
    inspect("--model", saved["english"], "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "Senses of english" in page
    assert not any(word in page for word in ("http:", "https:", "<link", "<script src", "url(", "@import"))
    assert f"{len(page.encode()) / 1e6:.1f} MB" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_model_beside_itself_keeps_two_names(inspect, saved, tmp_path):
    inspect(
        "--model", saved["english"], "--compare", saved["english"], "--words", "save", "--json", tmp_path / "s.json"
    )
    written = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [part["model"] for part in written] == ["english", "english (compared)"]


def test_each_model_is_shown_with_its_own_tokenizer(inspect, saved, models, tokenizer, tmp_path, capsys):
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(60))
    extended = extend_tokenizer(tokenizer, rows["source"], rows["target"], 30).tokenizer
    word = next(text for text in extended.batch_decode([[one] for one in range(403, 433)]) if text.startswith(" "))[1:]
    model = small_backpack(extended, 4, 0)
    options = ["--compare", save(tmp_path / "new", model, extended), "--words", word, "--json", tmp_path / "s.json"]
    inspect("--model", saved["english"], *options, "--sentences", word)
    written = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    pairs = {"english": (models["english"], tokenizer), "new": (model, extended)}
    assert written == [
        {"model": name, "words": [senses_of(*pair, word)], "sentences": [mixture_of(*pair, word)]}
        for name, pair in pairs.items()
    ]
    assert f"new: senses of “{word}”" in capsys.readouterr().out


def test_a_compared_model_has_the_tokenizer_that_is_named_for_it(inspect, saved, models, tokenizer, tmp_path):
    models["english"].save_pretrained(tmp_path / "bare")
    options = ["--compare", tmp_path / "bare", "--compare_tokenizer", saved["english"], "--words", "save"]
    inspect("--model", saved["english"], *options, "--json", tmp_path / "s.json")
    first, second = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert first["words"] == second["words"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Nothing to show"),
        (["--words", "a", "--bitext", BITEXT], "go together"),
        (["--words", "a", "--target_language", "id"], "go together"),
        (["--words", "a", "--compare_tokenizer", "x"], "`compare_tokenizer` is the tokenizer of `compare`"),
        (["--words", ""], "`word` is empty"),
        (["--sentences", "yes " * 60], "positions"),
    ],
)
def test_settings_that_cannot_work_are_refused(inspect, saved, options, message):
    with pytest.raises(ValueError, match=message):
        inspect("--model", saved["english"], *options)
