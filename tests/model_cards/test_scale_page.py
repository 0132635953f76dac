from types import SimpleNamespace

import pytest

from reproduction.scale_page import scale_page, write_scale_page


def result(kind, seed=0):
    metrics = {"context_recall@1": 0.5, "sense_recall@1": 0.25, "bits_per_byte": 2.75}
    scores = {
        "ntrex": {"metrics": metrics},
        "in-domain": {"metrics": metrics},
        "lexicon": {"metrics": {"sense_precision@1": 0.125}},
        "topics": {"metrics": {"context_accuracy_transfer": 0.375}},
    }
    names = ("context_recall@1", "sense_recall@1", "entropy_source", "entropy_target")
    curve = [{"step": step, **{f"eval_NTREX_{name}": step / 9 for name in names}} for step in (0, 3, 6)]
    phases = [{"name": "align", "first_step": 1}, {"name": "polish", "first_step": 4}]
    training = {"seconds": 120.0, "phases": phases, "steps": 300, "pairs_per_step": 32}
    run = {"kind": kind, "language": "id", "seed": seed, "settings": {}, "language_model_share": 0.25}
    return {**run, "scores": scores, "curve": curve, "training": training}


CLAIM = SimpleNamespace(
    number=1, statement="It rises", paper="above 0.9", ours="to 0.5", verdict="holds", why="Because.", runs=()
)


def test_the_page_tells_claims_with_verdict_and_reason():
    page = scale_page([CLAIM], [])
    assert "| 1 | It rises | above 0.9 | to 0.5 | **holds** |  | 0.0 |" in page and "1. Because." in page


def test_a_claim_names_its_runs_and_their_hours():
    claim = SimpleNamespace(**{**vars(CLAIM), "runs": ("sensia", "lm-only")})
    runs = [result(kind, seed) for kind in ("sensia", "lm-only", "scratch") for seed in range(6)]
    assert "| `sensia lm-only` | 0.4 |" in scale_page([claim], runs)


def test_what_a_dense_model_does_not_have_is_left_open():
    dense = result("dense-mean")
    dense["scores"]["ntrex"] = {"metrics": {"context_recall@1": 0.5, "bits_per_byte": 2.75}}
    assert "| dense-mean | id, 0 | 0.500 | - | 2.750 |" in scale_page([CLAIM], [dense])


def test_a_line_has_the_recall_of_the_best_layer_and_vector():
    dense = result("dense-mean")
    dense["scores"]["ntrex-layer-3"] = {"metrics": {"context_recall@1": 0.5, "mean_recall@1": 0.625}}
    assert "| 0.375 | 0.625 | 0.25 | 2 |" in scale_page([CLAIM], [dense])


def test_the_page_has_a_line_for_each_run():
    page = scale_page([CLAIM], [result("sensia"), result("lm-only", 2)])
    assert "| lm-only | id, 2 | 0.500 | 0.250 | 2.750 | 2.750 | 0.125 | 0.375 | 0.500 | 0.25 | 2 |" in page
    assert "2 runs, 0.1 hours" in page


@pytest.mark.parametrize(
    ("kinds", "plots"),
    [
        ((), []),
        (("lm-only",), ["runs"]),
        (("sensia",), ["curves", "runs"]),
        (("scratch", "data-20"), ["data", "runs"]),
    ],
)
def test_plots_are_drawn_of_what_is_there_and_shown(tmp_path, kinds, plots):
    write_scale_page([CLAIM], [result(kind) for kind in kinds], tmp_path)
    names = [f"claims_{plot}_mini.png" for plot in plots]
    assert sorted(path.name for path in tmp_path.glob("images/*")) == names
    assert all(name in (tmp_path / "claims-mini.md").read_text(encoding="utf-8") for name in names)


def test_runs_that_were_not_made_are_named():
    page = scale_page([CLAIM], [result("sensia")], missing=["lm-only-id-0", "lm-only-id-2", "others-zh-1"])
    assert "3 runs of the plan were not made: `lm-only` (id 0, id 2); `others` (zh 1)." in page
    assert "not made" not in scale_page([CLAIM], [result("sensia")])
