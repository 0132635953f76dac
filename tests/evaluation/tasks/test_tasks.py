import json

import pytest

from sensia.evaluation.tasks.registry import TASK_KINDS, Task, make_tasks

SUITE = {
    "copa": {"kind": "xcopa", "source": "eval/val.{target}.jsonl", "limit": 5},
    "dev": {"kind": "bitext", "source": "{source}-{target}.jsonl"},
}
LANGUAGES = {"source_language": "eng", "target_language": "ind_Latn"}


def test_a_suite_is_filled_with_the_languages():
    copa, dev = make_tasks([], SUITE, **LANGUAGES)
    assert copa == Task("copa", "xcopa", "eval/val.id.jsonl", {"language": "id", "limit": 5})
    assert dev == Task("dev", "bitext", "en-id.jsonl", {"source_language": "en", "target_language": "id"})


def test_a_suite_is_not_changed_by_filling_it():
    before = {name: dict(spec) for name, spec in SUITE.items()}
    make_tasks([], SUITE, **LANGUAGES)
    assert before == SUITE


def test_tasks_are_chosen_by_name_or_given_by_kind_and_source():
    tasks = make_tasks(["dev", "wordsim=rated.tsv"], SUITE, **LANGUAGES)
    assert [(task.name, task.kind, task.source) for task in tasks] == [
        ("dev", "bitext", "en-id.jsonl"),
        ("wordsim", "wordsim", "rated.tsv"),
    ]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["bitext=a.jsonl", "bitext=b.jsonl"], ["bitext a.jsonl", "bitext b.jsonl"]),
        (["bitext=/x/a/dev.tsv", "bitext=/x/b/dev.tsv"], ["bitext a/dev.tsv", "bitext b/dev.tsv"]),
        (["bitext=dev.tsv", "bitext=b/dev.tsv"], ["bitext dev.tsv", "bitext b/dev.tsv"]),
        (["bitext=org/a:dev", "bitext=org/a:test"], ["bitext a:dev", "bitext a:test"]),
        (["bitext=dev.jsonl", "perplexity=dev.jsonl"], ["bitext", "perplexity"]),
    ],
)
def test_tasks_of_one_kind_are_named_after_their_files(wanted, names):
    assert [task.name for task in make_tasks(wanted, {}, **LANGUAGES)] == names


def test_a_task_may_state_another_language():
    suite = {"copa": {"kind": "xcopa", "source": "val.jsonl", "language": "tr"}}
    assert make_tasks([], suite, **LANGUAGES)[0].settings["language"] == "tr"


@pytest.mark.parametrize(
    ("wanted", "suite", "words"),
    [
        (["none"], SUITE, "No task 'none': name one of copa, dev"),
        (["other=x.jsonl"], {}, "kind must be one of perplexity"),
        (["xcopa=a.jsonl", "xcopa=a.jsonl"], {}, "Task xcopa is named twice"),
        (["copa", "copa"], SUITE, "Task copa is named twice"),
        ([], {"a": {"kind": "xcopa"}}, "needs `kind` and `source`, got kind"),
        ([], {"a": {"kind": "wordsim", "source": "x", "layer": 1}}, "not 'layer'"),
    ],
)
def test_what_is_no_task_is_refused(wanted, suite, words):
    with pytest.raises(ValueError, match=words):
        make_tasks(wanted, suite, **LANGUAGES)


def test_what_figures_depend_on_does_not_say_where_files_lie():
    task = Task("topics", "topics", "/somewhere/train.jsonl", {"test": "/somewhere/dev.jsonl"})
    assert "somewhere" not in str(task.describe())


def test_every_choice_format_is_a_kind():
    assert {"xcopa", "indocloze", "xstorycloze", "belebele", "choices"} <= set(TASK_KINDS)


def test_a_folder_is_read_by_its_split(tmp_path):
    (tmp_path / "pairs").mkdir()
    for split, word in (("train", "ya"), ("dev", "tidak")):
        (tmp_path / "pairs" / f"{split}.jsonl").write_text(json.dumps({"en": "x", "id": word}) + "\n")
    task = Task("dev", "bitext", "pairs:dev", {"source_language": "en", "target_language": "id"})
    (described,) = task.load(tmp_path).data
    assert (described["name"], described["rows"], described["split"]) == ("pairs", 1, "dev")


def test_a_bitext_task_may_name_its_columns(tmp_path):
    rows = [{"english": "Open it.", "indonesian": "Bukalah."}, {"english": "Close it.", "indonesian": "Tutuplah."}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    columns = {"source_column": "english", "target_column": "indonesian"}
    task = Task(
        "a", "bitext", str(tmp_path / "a.jsonl"), {"source_language": "en", "target_language": "id", **columns}
    )
    assert task.load().data[0]["rows"] == 2
    assert task.describe()["settings"]["source_column"] == "english"


def test_columns_that_are_found_do_not_change_what_a_score_depends_on():
    assert "source_column" not in Task("a", "bitext", "a.jsonl", {}).describe()["settings"]
