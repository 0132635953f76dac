"""One task through EleutherAI's harness: the same items give the same answers."""

import importlib.util
import json

import pytest

from sensia.evaluation.tasks.choice_readers import read_choices
from sensia.evaluation.tasks.choices import measure_choices

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None, reason="lm-eval, of the extra `eval`, is not there"
    ),
]

STORIES = [
    ("Pintu itu", "terbuka", "tertutup"),
    ("Simpan dokumen", "sebelum menutup jendela", "lalu lari"),
    ("Dia membaca", "buku", "sebuah buku yang sangat tebal"),
    ("Hujan turun", "dan jalan basah", "maka kering"),
    ("Air itu", "panas sekali", "dingin"),
    ("Ibu memasak", "nasi", "batu di dalam jendela dokumen"),
    ("Open the file", "and save it", "yes"),
    ("Virus ini", "menular", "dapat menular"),
]


@pytest.fixture(scope="module")
def rows():
    """In XCOPA's format, the shorter answer right as often as the longer."""
    return [
        {
            "premise": f"{premise}.",
            "choice1": first.capitalize(),
            "choice2": second.capitalize(),
            "question": ("cause", "effect")[number % 2],
            "label": number // 2 % 2,
        }
        for number, (premise, first, second) in enumerate(STORIES)
    ]


@pytest.fixture(scope="module")
def harness(rows, backpack, tokenizer, tmp_path_factory):
    """Scores of the rows by the harness, with the settings of its own XCOPA task."""
    from lm_eval import simple_evaluate
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks.xcopa import utils

    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    task = ConfigurableTask(
        config={
            "task": "xcopa_here",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(path)}},
            "output_type": "multiple_choice",
            "test_split": "test",
            "doc_to_text": utils.doc_to_text_id,
            "doc_to_choice": utils.doc_to_choice,
            "doc_to_target": "label",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_bytes"}],
        }
    )
    model = HFLM(pretrained=backpack, tokenizer=tokenizer, batch_size=3, device="cpu")
    found = simple_evaluate(model=model, tasks=[task], log_samples=True, bootstrap_iters=0)
    return found["results"]["xcopa_here"], sorted(found["samples"]["xcopa_here"], key=lambda sample: sample["doc_id"])


def test_the_harness_gives_the_same_answers_and_accuracies(rows, harness, backpack, tokenizer):
    results, samples = harness
    found = measure_choices(backpack, tokenizer, read_choices(rows, "xcopa", "id"))
    likelihoods = [[float(response[0][0]) for response in sample["resps"]] for sample in samples]
    assert [row.index(max(row)) for row in likelihoods] == found["answers"]["accuracy"]
    assert results["acc,none"] == pytest.approx(found["metrics"]["accuracy"])
    assert results["acc_bytes,none"] == pytest.approx(found["metrics"]["accuracy_per_byte"])
    assert 0 < found["metrics"]["accuracy"] < 1
