"""EleutherAI's harness on its own tasks: the same questions get the same likelihoods and accuracies from the suite."""

import importlib.util

import pytest
import yaml
from paper_benchmarks import write_clones

from sensia.bundled import bundled
from sensia.corpora.rows import read_rows
from sensia.evaluation.tasks.choice_readers import read_choices
from sensia.evaluation.tasks.choices import answer_log_likelihoods
from sensia.evaluation.tasks.registry import make_tasks
from sensia.evaluation.tasks.scoring import score_tasks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None, reason="lm-eval, of the extra `eval`, is not there"
    ),
]

SUITE = yaml.safe_load((bundled("configs") / "score_paper.yaml").read_text(encoding="utf-8"))["suite"]
#: Task of the suite -> that of the harness, by language.
TASKS = {
    "sw": {"xcopa": "xcopa_sw", "xstorycloze": "xstorycloze_sw", "belebele": "belebele_swh_Latn"},
    "id": {"xcopa": "xcopa_id", "xstorycloze": "xstorycloze_id", "belebele": "belebele_ind_Latn"},
    # The others differ in Chinese: the harness puts a space before an answer, and XCOPA's connector without a comma.
    "zh": {"belebele": "belebele_zho_Hans"},
}
CASES = [(language, task) for language, tasks in TASKS.items() for task in tasks]


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    return write_clones(tmp_path_factory.mktemp("clones"))


@pytest.fixture(scope="module")
def harness(backpack, tokenizer, clones, tmp_path_factory):
    """Results and samples of the harness's own tasks, which read the clones because they lie in the working folder."""
    import datasets
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=backpack, tokenizer=tokenizer, batch_size=3, device="cpu")
    names = [name for tasks in TASKS.values() for name in tasks.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clones)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        return simple_evaluate(model=model, tasks=names, log_samples=True, bootstrap_iters=0)


def choices(task, language, folder):
    """The questions of a task of the suite."""
    (made,) = make_tasks([task], SUITE, source_language="en", target_language=language)
    (data,) = made.load(folder).data
    rows = read_rows(str(folder / made.source), config_name=data["config_name"], split=data["split"])
    return read_choices(rows, made.kind, language)


@pytest.mark.parametrize(("language", "task"), CASES)
def test_every_answer_has_the_likelihood_of_the_harness(language, task, harness, backpack, tokenizer, clones):
    samples = sorted(harness["samples"][TASKS[language][task]], key=lambda sample: sample["doc_id"])
    theirs = [float(response[0][0]) for sample in samples for response in sample["resps"]]
    asked = [(item.context, answer) for item in choices(task, language, clones) for answer in item.answers]
    ours, _ = answer_log_likelihoods(backpack, tokenizer, asked)
    assert len(set(theirs)) > len(theirs) / 2
    assert ours.tolist() == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("language", TASKS)
def test_the_suite_has_the_accuracy_of_the_harness(language, harness, backpack, tokenizer, clones):
    tasks = make_tasks([*TASKS[language]], SUITE, source_language="en", target_language=language)
    scores = score_tasks(backpack, tokenizer, tasks, model_name="small", folder=clones)["tasks"]
    theirs = {task: harness["results"][name]["acc,none"] for task, name in TASKS[language].items()}
    assert {task: scores[task]["metrics"]["accuracy"] for task in theirs} == pytest.approx(theirs)
