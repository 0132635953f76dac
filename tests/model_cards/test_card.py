import ast
import copy
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from sensia import model_cards
from sensia.model_cards import comparison_rows, format_change, format_value, render_card, write_card
from sensia.model_cards.card import strip_folders


def _files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _table(text, heading):
    """The cells of the first table under a heading, without its header."""
    lines = text.split(f"{heading}\n", 1)[1].split("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def _bare(results):
    """Results with nothing optional in them."""
    results |= {"repo_id": None, "license_reason": "", "datasets": [], "evaluation": [], "samples": [], "limits": []}
    results |= {"fertility": None, "versions": {}, "command": ""}
    results["base_model"]["license"] = None
    results["training"] |= {"schedule": {}, "phases": [], "hyperparameters": {}, "history": [], "evaluations": []}
    return results


def test_card_plots_and_nothing_else_are_written(results, tmp_path):
    written = write_card(results, tmp_path / "model")
    plots = [f"plots/{name}.png" for name in ("bits_per_byte", "entropy", "losses", "recall")]
    assert _files(tmp_path / "model") == ["README.md", *plots]
    assert sorted(path.relative_to(tmp_path / "model").as_posix() for path in written) == ["README.md", *plots]


def test_a_dataset_on_the_hub_gets_its_evaluation_file(results, tmp_path):
    evaluation = [{**results["evaluation"][0], "hub_id": "org/ntrex"}]
    results = _bare(results) | {"evaluation": evaluation}
    assert write_card(results, tmp_path)[0] == tmp_path / ".eval_results" / "sensia.yaml"
    assert yaml.safe_load((tmp_path / ".eval_results" / "sensia.yaml").read_text())[0]["dataset"]["id"] == "org/ntrex"


def test_what_an_earlier_run_wrote_and_this_one_has_no_data_for_goes(results, tmp_path):
    results["evaluation"][0]["hub_id"] = "org/ntrex"
    write_card(results, tmp_path)
    (tmp_path / "plots" / "mine.png").write_bytes(b"kept")
    write_card(_bare(results), tmp_path)
    assert _files(tmp_path) == ["README.md", "plots/mine.png"]


def test_refused_results_write_nothing(results, tmp_path):
    del results["training"]["steps"]
    with pytest.raises(ValueError, match=r"results\.training\.steps: missing"):
        write_card(results, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_metadata_reads_back(results, tmp_path):
    write_card(results, tmp_path)
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.language == ["en", "id"]
    assert data.model_name == "sensia-id-mini"
    assert {result.metric_type: result.metric_value for result in data.eval_results} == results["evaluation"][0][
        "after"
    ]


def test_same_results_give_the_same_text(results):
    turned = copy.deepcopy(results)
    for parent in (
        turned,
        turned["training"],
        turned["training"]["hyperparameters"],
        turned["evaluation"][0]["after"],
    ):
        items = list(reversed(parent.items()))
        parent.clear()
        parent.update(items)
    assert render_card(results) == render_card(turned)


def test_the_table_holds_the_numbers_of_the_results(results):
    table = {row[0]: row[1:] for row in _table(render_card(results), "### NTREX dev")}
    assert table == {
        "Perplexity ↓": ["184,234", "57.24", "-184,176"],
        "Bits per byte ↓": ["4.718", "1.693", "-3.025"],
        "Context recall@1, mean ↑": ["0.0035", "0.8453", "+0.8418"],
        "Context recall@1, source to target ↑": ["0.0030", "0.8507", "+0.8478"],
        "Context recall@1, target to source ↑": ["0.0040", "0.8398", "+0.8358"],
        "Sense recall@1, mean ↑": ["0.0020", "0.9065", "+0.9045"],
        "Sense entropy, source (nats)": ["1.876", "1.339", "-0.5373"],
        "Sense entropy, target (nats)": ["1.991", "1.458", "-0.5335"],
    }


def test_a_caller_that_prints_the_rows_prints_the_cards_numbers(results):
    printed = [
        [format_value(label, before), format_value(label, after), format_change(label, before, after)]
        for label, before, after, _ in comparison_rows(results["evaluation"][0])
    ]
    assert printed == [row[1:] for row in _table(render_card(results), "### NTREX dev")]


def test_every_evaluation_set_has_its_table(results):
    other = {**results["evaluation"][0], "dataset": "Held-out", "file": "x.parquet", "after": {"perplexity": 12.3456}}
    results["evaluation"].append(other | {"before": {}})
    assert _table(render_card(results), "### Held-out") == [["Perplexity ↓", "not measured", "12.35", ""]]


@pytest.mark.parametrize("shape", [lambda results: results, _bare], ids=["full", "bare"])
def test_no_placeholder_reaches_the_reader(results, shape):
    text = render_card(shape(results))
    assert not re.search(r"\b(None|nan|NaN|inf|undefined|TODO)\b", text)
    assert "More information needed" not in text
    assert "{{" not in text
    assert "{%" not in text


def test_sections_with_nothing_to_say_are_left_out(results):
    headings = re.findall(r"^#+ .*", render_card(_bare(results)), re.MULTILINE)
    assert headings == [
        "# sensia-id-mini",
        "## How to use it",
        "## How it was trained",
        "## Licence",
        "## Limits",
        "## How to repeat it",
        "## Citation",
    ]


def test_no_path_of_the_training_machine_reaches_the_reader(results):
    text = render_card(results)
    assert "/home" not in text
    assert "--output_dir id\n" in text
    assert "| `output_dir` | `sensia-id-mini` |" in text


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("--data /home/me/pairs.jsonl", "--data pairs.jsonl"),
        ("--out=/srv/runs/a --seed 1", "--out=a --seed 1"),
        ('{"cache": "/var/cache/x"}', '{"cache": "x"}'),
        ("C:\\runs\\a", "a"),
        ("/scratch", "scratch"),
        ("https://example.com/a/b", "https://example.com/a/b"),
        ("examples/adapt.py ../data/x org/model", "examples/adapt.py ../data/x org/model"),
        ("a / b", "a / b"),
    ],
)
def test_folders_of_absolute_paths_are_cut(text, cut):
    assert strip_folders(text) == cut


def test_every_python_example_parses(results):
    results["samples"][0]["prompt"] = "dia berkata: \"apa?\" lalu 'ya'\n```"
    blocks = re.findall(r"^```python\n(.*?)^```$", render_card(results), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        ast.parse(block)


def test_examples_load_the_repository_with_and_without_the_package(results):
    text = render_card(results)
    assert "import modeling_sensia\n" in text
    assert 'AutoModelForCausalLM.from_pretrained("org/sensia-id-mini")' in text
    assert "trust_remote_code=True" in text
    # The tokenizer is loaded without the repository's code, and without a question.
    assert 'AutoTokenizer.from_pretrained("org/sensia-id-mini", trust_remote_code=False' in text
    assert "revision=" in text


def test_an_example_computes_both_sentence_vectors(results):
    text = render_card(results)
    assert 'SentenceTransformer("org/sensia-id-mini", trust_remote_code=True' in text
    assert 'vector="sense"' in text


def test_a_model_without_a_repository_says_so(results):
    results["repo_id"] = None
    assert "`sensia-id-mini` stands for the folder that holds this file." in render_card(results)


def test_samples_stand_exactly_as_they_came(results):
    text = render_card(results)
    assert "```text\n harga beras akan naik | pada bulan depan.\n```" in text
    assert "````text\n pilih ```Berkas``` lalu 'Buka'.\nTekan <Enter>.\n````" in text


def test_text_from_a_run_is_never_run_as_a_template(results):
    results["limits"] = ["Braces like {{ 7 * 7 }} stay."]
    assert "Braces like {{ 7 * 7 }} stay." in render_card(results)


def test_a_bar_in_a_setting_does_not_break_the_table(results):
    results["training"]["hyperparameters"] = {"filter": "a|b"}
    assert "| `filter` | `a\\|b` |" in render_card(results)


def test_every_hyperparameter_has_its_row(results):
    rows = dict(_table(render_card(results), "<summary>All 6 settings</summary>"))
    assert rows == {
        "`bf16`": "`true`",
        "`learning_rate`": "`5e-05`",
        "`max_grad_norm`": "`1.0`",
        "`output_dir`": "`sensia-id-mini`",
        "`report_to`": "`[]`",
        "`resume_from_checkpoint`": "not set",
    }


def test_data_is_told_with_licences_and_dropped_rows(results):
    rows = _table(render_card(results), "## Data")
    assert rows[0] == [
        "`en-id.train.parquet`",
        "train",
        "mpl-2.0",
        "10,150",
        "10,000",
        "duplicate 30, too long 120",
    ]
    assert rows[1][2:] == ["not stated", "998", "998", "none"]


def test_the_card_written_shows_the_plots_written(results, tmp_path):
    written = write_card(results, tmp_path)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (tmp_path / "README.md").read_text())
    assert [tmp_path / path for path in shown] == written[:-1]
    assert str(tmp_path) not in (tmp_path / "README.md").read_text()


def test_the_package_knows_no_model_and_no_torch():
    imported = set()
    for path in Path(model_cards.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    assert "yaml" in imported and not imported & {"torch", "transformers", "modeling_sensia"}


def test_data_that_is_no_single_file_needs_no_hash(results):
    results["datasets"][0]["sha256"] = results["evaluation"][0]["sha256"] = None
    text = render_card(results)
    assert "b2" * 32 in text and "a1" * 32 not in text
    assert "None" not in text


def test_each_language_has_its_tokens_before_and_after(results):
    results["languages"]["other_targets"] = [{**results["languages"]["target"], "name": "Swahili"}]
    uses = [
        {"tokens_per_sentence": each, "characters_per_token": 3.0, "tokens_per_word": 2.0}
        for each in (20.0, 55.5, 88.25, 20.0, 31.5, 47.75)
    ]
    before, after = (
        {"source": source, "target": target, "other_targets": [other]}
        for source, target, other in (uses[:3], uses[3:])
    )
    change = {"kind": "extend", "initialization": "aligned", "new_tokens": 3000, "refused": 2}
    results["tokenizer"] = {**change, "before": before, "after": after}
    text = render_card(results)
    assert "| Tokens a sentence, Indonesian | 55.50 | 31.50 |" in text
    assert "| Tokens a sentence, Swahili | 88.25 | 47.75 |" in text
