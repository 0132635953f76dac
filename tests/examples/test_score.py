import json
import re
import sys

import pytest
from example_scripts import load_example
from small_backpacks import save, small_backpack, small_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from sensia.corpora import describe_file
from sensia.evaluation.tasks.choice_readers import read_choices
from sensia.evaluation.tasks.choices import measure_choices

COPA = [
    {
        "premise": f"Orang {n} haus.",
        "choice1": "Dia minum.",
        "choice2": "Dia lari.",
        "question": "cause",
        "label": n % 2,
    }
    for n in range(6)
]
STORY = {"flores_passage": "Teks.", "question": "Apa?", "correct_answer_num": 1}
STORY |= {f"mc_answer{place}": f"jawaban {place}" for place in range(1, 5)}
TOPICS = [
    {"category": ("a", "b")[n % 2], "en": f"file {n}" if n % 2 else f"virus {n}", "id": f"berkas {n}"}
    for n in range(8)
]


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_lines(folder / "copa.id.jsonl", COPA)
    write_lines(folder / "belebele.jsonl", [STORY])
    write_lines(folder / "texts.jsonl", [{"text": "Open the file."}, {"text": "A virus."}])
    pairs = [{"translation": {"en": f"file {n}", "id": f"berkas nomor {n}"}} for n in range(5)]
    write_lines(folder / "en-id.jsonl", pairs)
    write_lines(folder / "topics.train.jsonl", TOPICS)
    write_lines(folder / "topics.dev.jsonl", TOPICS[:4])
    (folder / "lexicon.tsv").write_text("open\tbuka\nwindow\tjendela\nyes\tya\n", encoding="utf-8")
    (folder / "rated.tsv").write_text("open\tclose\t5\nfile\tdocument\t9\nyes\tno\t3\n", encoding="utf-8")
    return folder


CONFIG = """
target_language: id
suite:
  english: { kind: perplexity, source: texts.jsonl }
  dev: { kind: bitext, source: "{source}-{target}.jsonl" }
  copa: { kind: xcopa, source: "copa.{target}.jsonl" }
  belebele: { kind: belebele, source: belebele.jsonl }
  lexicon: { kind: lexicon, source: lexicon.tsv, shared_tokens: true }
  rated: { kind: wordsim, source: rated.tsv }
  topics: { kind: topics, source: topics.train.jsonl, test: topics.dev.jsonl }
"""


@pytest.fixture(scope="module")
def config(data):
    (data / "score.yaml").write_text(CONFIG, encoding="utf-8")
    return data / "score.yaml"


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    return save(tmp_path_factory.mktemp("model") / "small" / "final", small_backpack(tokenizer, 4, 0), tokenizer)


@pytest.fixture(scope="module")
def script():
    return load_example("score")


@pytest.fixture
def run(script, data, config, model, tmp_path, capsys, monkeypatch):
    """Runs the script; gives its exit code, its scores and what it printed."""

    def run(*options, settings=config, output="scores.json"):
        required = ["--config", settings, "--data", data, "--model", model, "--output", tmp_path / output]
        monkeypatch.setattr(sys, "argv", ["score.py", *map(str, (*required, *options))])
        code = script.main()
        return code, json.loads((tmp_path / output).read_text(encoding="utf-8")), capsys.readouterr().out

    return run


def test_every_task_is_measured_and_says_on_what(run, data, model):
    code, scores, printed = run()
    assert (code, scores["missing"]) == (0, {})
    assert list(scores["tasks"]) == ["english", "dev", "copa", "belebele", "lexicon", "rated", "topics"]
    copa = scores["tasks"]["copa"]
    described = describe_file(data / "copa.id.jsonl")
    assert copa["data"] == [{"name": "copa.id.jsonl", "hub_id": None, "sha256": described["sha256"], "rows": 6}]
    assert copa["settings"]["language"] == "id" and copa["seconds"] >= 0
    assert len(scores["tasks"]["topics"]["data"]) == 2
    assert scores["model"]["name"] == "small" and scores["model"]["has_senses"]
    assert {"torch", "transformers", "sensia", "python"} <= scores["versions"].keys()
    assert "accuracy_pmi" in printed and "sense_mrr" in printed
    assert not any(str(folder) in json.dumps(scores) for folder in (data, model))


def test_the_scores_are_those_of_the_package(run, script, model):
    _, scores, _ = run("--tasks", "copa")
    loaded, tokenizer = script.load_scored_model(model)
    expected = measure_choices(loaded, tokenizer, read_choices(COPA, "xcopa", "id"))
    assert scores["tasks"]["copa"]["metrics"] == pytest.approx(expected["metrics"])


def test_what_is_done_is_not_measured_again(run, data):
    _, first, _ = run("--tasks", "copa", "rated")
    _, second, printed = run("--tasks", "copa", "english")
    assert "copa: measured before" in printed and "english:" in printed
    assert second["tasks"]["copa"] == first["tasks"]["copa"]
    assert set(second["tasks"]) == {"copa", "rated", "english"}


def test_other_data_settings_or_weights_are_measured_again(run, data, config, tokenizer, tmp_path):
    run("--tasks", "copa")
    write_lines(data / "copa.id.jsonl", [{**COPA[0], "label": 1 - COPA[0]["label"]}, *COPA[1:]])
    try:
        printed = run("--tasks", "copa")[2]
        assert "measured before" not in printed
    finally:
        write_lines(data / "copa.id.jsonl", COPA)
    limited = tmp_path / "limited.yaml"
    limited.write_text(config.read_text().replace('jsonl" }', 'jsonl", limit: 3 }'), encoding="utf-8")
    _, scores, printed = run("--tasks", "copa", settings=limited)
    assert "measured before" not in printed and scores["tasks"]["copa"]["data"][0]["rows"] == 3
    retrained = save(tmp_path / "again/small", small_backpack(tokenizer, 4, 1), tokenizer)
    _, scores, printed = run("--tasks", "rated", "--model", retrained)
    assert "measured before" not in printed and set(scores["tasks"]) == {"rated"}


def test_scores_of_a_model_of_another_name_are_not_written_over(run, tokenizer, tmp_path):
    run("--tasks", "rated")
    other = save(tmp_path / "other", small_backpack(tokenizer, 4, 1), tokenizer)
    before = (tmp_path / "scores.json").read_bytes()
    with pytest.raises(ValueError, match="are of another model, small"):
        run("--tasks", "rated", "--model", other)
    assert (tmp_path / "scores.json").read_bytes() == before


def test_the_same_model_elsewhere_is_the_same_model(run, tokenizer, tmp_path):
    _, first, _ = run("--tasks", "rated")
    moved = save(tmp_path / "moved", small_backpack(tokenizer, 4, 0), tokenizer)
    _, second, printed = run("--tasks", "rated", "--model", moved)
    assert "rated: measured before" in printed
    assert second["model"]["sha256"] == first["model"]["sha256"]


def test_what_is_missing_or_damaged_is_named_and_the_others_go_on(run, data):
    (data / "broken.jsonl").write_text('{"premise": 1}\n', encoding="utf-8")
    wanted = ["xcopa=none.jsonl", "indocloze=broken.jsonl", "lexicon=nobody/here", "rated"]
    code, scores, printed = run("--tasks", *wanted)
    assert code == 1
    assert set(scores["missing"]) == {"xcopa", "indocloze", "lexicon"} and "rated" in scores["tasks"]
    assert "no such file" in scores["missing"]["xcopa"] and "no field" in scores["missing"]["indocloze"]
    assert re.search(r"xcopa was not measured: .*none\.jsonl", printed)
    assert str(data) not in json.dumps(scores) and "nobody/here" in scores["missing"]["lexicon"]
    _, scores, _ = run("--tasks", f"choices={data}/none.jsonl")
    assert "none.jsonl" in scores["missing"]["choices"] and str(data) not in scores["missing"]["choices"]
    code, scores, _ = run("--tasks", "rated")
    assert (code, set(scores["missing"])) == (0, {"xcopa", "indocloze", "lexicon", "choices"})


def test_several_files_of_one_kind_are_scored_each_under_its_name(run, data):
    write_lines(data / "more.jsonl", [{"text": "Yes."}])
    _, scores, printed = run("--tasks", "perplexity=texts.jsonl", "perplexity=more.jsonl")
    assert set(scores["tasks"]) == {"perplexity texts.jsonl", "perplexity more.jsonl"}
    assert scores["tasks"]["perplexity more.jsonl"]["data"][0]["rows"] == 1
    assert "perplexity texts.jsonl" in printed


def test_what_was_missing_is_measured_when_it_is_there(run, data):
    assert run("--tasks", "xcopa=late.jsonl")[0] == 1
    write_lines(data / "late.jsonl", COPA)
    code, scores, _ = run("--tasks", "xcopa=late.jsonl")
    assert (code, scores["missing"], set(scores["tasks"])) == (0, {}, {"xcopa"})


def test_a_dense_model_is_scored_on_all_that_needs_no_senses(run, tokenizer, tmp_path):
    eos = tokenizer.eos_token_id
    dense = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=48, eos_token_id=eos)
    )
    code, scores, _ = run("--model", save(tmp_path / "dense", dense, tokenizer))
    assert code == 0 and not scores["model"]["has_senses"] and len(scores["tasks"]) == 7
    assert "mean_recall@1" in scores["tasks"]["dev"]["metrics"]
    assert not any("sense" in name for task in scores["tasks"].values() for name in task["metrics"])


def test_an_output_of_another_kind_is_not_overwritten(run, tmp_path):
    (tmp_path / "scores.json").write_text('{"something": 1}', encoding="utf-8")
    with pytest.raises(ValueError, match="not a file of scores"):
        run("--tasks", "rated")
    assert (tmp_path / "scores.json").read_text(encoding="utf-8") == '{"something": 1}'


def test_a_card_needs_the_results_of_an_adaptation(run):
    with pytest.raises(ValueError, match=r"no results\.json"):
        run("--tasks", "rated", "--card", "True")


def test_a_suite_that_does_not_come_with_the_project_is_refused(run):
    with pytest.raises(ValueError, match="`suite` must be paper, or tasks by name in a config, got 'papers'"):
        run("--suite", "papers")
