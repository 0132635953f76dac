"""`benchmarks/gpu.py` runs on a CPU as it does on a GPU, keeps what it has, and fails where something is wrong."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from sensia.trainers import SensiaConfig, SensiaTrainer

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
#: What a dry run has no device, package or time for.
NOT_IN_A_DRY_RUN = {
    "decoding with a static cache, compiled",
    "FSDP2 with weights kept on the CPU",
    "DeepSpeed ZeRO, stage 2",
    "quickstart in bf16 against the CPU",
}


@pytest.fixture
def load(monkeypatch):
    """Imports modules of the benchmarks, which import each other by their bare names."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").is_file():
            sys.modules.pop(name)


@pytest.fixture
def setup(load):
    module = load("gpu_setup")
    return module.Setup(dry_run=True, ends=time.monotonic() + 500, sizes=module.TINY)


@pytest.fixture
def report(load, tmp_path):
    return load("gpu_report").Report(tmp_path, "python benchmarks/gpu.py", torch.device("cpu"))


def recorded(report):
    """Results as the file holds them, not as they are in memory."""
    return json.loads(report.data.read_text(encoding="utf-8"))["results"]


@pytest.mark.slow
def test_a_dry_run_passes_every_check_that_a_cpu_can_run(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--out", str(tmp_path), "--dry-run"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr[-4000:]
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    statuses = {result["name"]: result["status"] for result in found["results"]}
    assert {name for name, status in statuses.items() if status == "not run"} == NOT_IN_A_DRY_RUN
    assert {result["section"] for result in found["results"]} == {"right", "fast", "sharded", "trained"}
    assert all(f"| {name} |" in page for name in statuses)
    assert found["machine"]["torch"] == torch.__version__


def test_without_a_gpu_only_a_dry_run_starts(tmp_path, load, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "out")])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        load("gpu").main()
    assert "`--dry-run`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_check_that_raises_is_a_failed_result_and_the_next_one_runs(load, report, setup):
    module = load("gpu_report")

    def breaks(setup):
        raise RuntimeError("\nthe kernel is gone\nand more lines")

    module.run_check(report, "right", "one", breaks, setup)
    module.run_check(report, "right", "two", lambda setup: module.Found("fine", True), setup)
    assert [(each["status"], each["message"]) for each in recorded(report)] == [
        ("failed", "RuntimeError: the kernel is gone"),
        ("passed", "fine"),
    ]
    assert report.failed


def test_a_missing_package_is_named_and_nothing_failed(load, report, setup):
    def needs(setup):
        import a_package_that_is_not_there  # noqa: F401

    load("gpu_report").run_check(report, "sharded", "one", needs, setup)
    assert [(each["status"], each["message"]) for each in recorded(report)] == [
        ("not run", "a_package_that_is_not_there is not installed")
    ]
    assert not report.failed


def test_a_section_that_lacks_a_package_is_not_run(load, report, setup, monkeypatch):
    command = load("gpu")
    monkeypatch.setitem(sys.modules, "gpu_sharded", None)
    command.run_section(report, "sharded", setup)
    assert [each["status"] for each in recorded(report)] == ["not run"]


def test_nothing_starts_when_the_time_is_over(load, report):
    module = load("gpu_setup")
    started = []
    over = module.Setup(dry_run=True, ends=0.0, sizes=module.TINY)
    load("gpu_report").run_check(report, "fast", "one", started.append, over)
    assert recorded(report)[0]["status"] == "not run"
    assert not started


def test_a_table_of_a_result_stands_on_the_page(report):
    report.add("fast", "steps", "measured", 1.0, "so fast", [{"step": "a|b", "tokens/s": 250_000.0}])
    page = report.page.read_text(encoding="utf-8")
    assert "### Steps" in page
    assert "| a\\|b | 250,000 |" in page


def test_the_step_is_the_trainers(load, setup, tmp_path):
    steps = load("gpu_steps")
    config = SensiaConfig(
        output_dir=tmp_path, per_device_train_batch_size=4, max_steps=100, use_cpu=True, report_to="none"
    )
    data = Dataset.from_list(setup.all_pairs)
    trainer = SensiaTrainer(setup.backpack(), config, train_dataset=data, processing_class=setup.tokenizer)
    trainer.state.max_steps, trainer.state.global_step = 100, 35
    trainer.current_gradient_accumulation_steps = 1
    batch = setup.batch(setup.all_pairs[:4])
    expected = trainer.compute_loss(trainer.model.train(), dict(batch))
    found = steps.sensia_losses(setup.backpack().train(), batch)
    torch.testing.assert_close(found["loss"], expected)


def test_a_gradient_that_is_off_is_an_error(load):
    module = load("gpu_right")
    one = module.Measured({"lm": torch.tensor(2.0)}, [torch.ones(4), torch.ones(5)])
    other = module.Measured({"lm": torch.tensor(2.2)}, [torch.ones(4), torch.full((5,), 1.1)])
    assert module.error_of(one, one) == {"losses": 0.0, "gradient": 0.0}
    errors = module.error_of(other, one)
    assert errors["losses"] == pytest.approx(0.1)
    assert errors["gradient"] == pytest.approx((5 * 0.01 / 9) ** 0.5)


@pytest.mark.parametrize("changed", ["lm_head", "weight_network"])
def test_a_model_that_computes_something_else_fails(load, setup, monkeypatch, changed):
    module = load("gpu_right")
    measure = module.ours

    def wrong(setup, model, packing=True):
        handle = model.get_submodule(changed if changed == "lm_head" else f"backpack.{changed}.c_attn")
        with torch.no_grad():
            handle.weight.mul_(1.01)
        return measure(setup, model, packing)

    monkeypatch.setattr(module, "ours", wrong)
    assert not module.against_float64(module.FLOAT32)(setup).passed


def test_drawn_sentences_need_no_package(load, setup):
    pairs = load("gpu_setup").drawn_pairs(50, 100)
    tokens = [token for pair in pairs for side in pair.values() for token in side]
    assert len(pairs) == 50
    assert min(tokens) >= 0 and max(tokens) < 100
    assert setup.batch(pairs)["num_pairs"] == 50


def results_like(reference, worse_by=0.0):
    return {
        "evaluation": [
            {
                "dataset": name,
                "after": {
                    metric.replace(" ", "_"): value + (worse_by if metric == "bits per byte" else -worse_by)
                    for metric, value in metrics.items()
                },
            }
            for name, metrics in reference.items()
        ]
    }


@pytest.mark.parametrize(("worse_by", "passed"), [(0.0, True), (0.029, True), (0.031, False), (-0.2, True)])
def test_the_quickstart_may_be_little_behind_and_any_amount_better(load, worse_by, passed):
    module = load("gpu_trained")
    assert module.against_cpu(results_like(module.ON_A_CPU, worse_by)).passed is passed


def test_the_quickstart_is_compared_with_what_the_readme_says(load):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    in_domain, news = load("gpu_trained").ON_A_CPU.values()
    names = ("bits per byte", "sense recall@1", "context recall@1")
    for row in (in_domain, news):
        assert f"| {' | '.join(f'{row[name]:.3f}' for name in names)} |" in readme, "bring ON_A_CPU up to date"


@pytest.mark.slow
def test_a_run_of_the_quickstart_gives_what_is_compared(load, setup, tmp_path):
    few = Dataset.from_parquet(str(ROOT / "examples/assets/bitext/en-id.ntrex-dev.parquet")).select(range(8))
    few.to_parquet(str(tmp_path / "few.parquet"))
    sets = [f"{name}={tmp_path / 'few.parquet'}" for name in ("in-domain", "NTREX")]
    options = ["--max_steps", "2", "--eval_strategy", "no", "--eval_on_start", "false", "--bf16", "false"]
    options += ["--per_device_train_batch_size", "2", "--eval_data", *sets]
    results = load("gpu_adapt").adapt(setup, ["--cpu", "--mixed_precision", "no"], options)
    assert {row["set"] for row in load("gpu_trained").against_cpu(results).rows} == {"in-domain", "NTREX"}


def test_what_a_step_needs_is_read_without_what_data_need():
    modules = ("losses", "collator", "schedule", "contrastive_cache")
    imports = "".join(f"; import sensia.trainers.{module}" for module in modules)
    script = f"import sys; sys.modules.update(datasets=None, langcodes=None){imports}"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
