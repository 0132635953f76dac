"""Results of a small adaptation run from English to Indonesian, as the caller of the package hands them over."""

import copy
import math

import pytest

_PHASES = ((0.2, "align"), (0.5, "joint"), (1.0, "polish"))


def _record(step, steps):
    share = step / steps
    return {
        "step": step,
        "loss": 3.5 - 1.5 * share,
        "loss_ctx": 4.1 * math.exp(-4 * share),
        "loss_sns": 4.1 * math.exp(-5 * share),
        "loss_lm": 7.2 - 3.9 * share,
        "loss_lm_plain": 7.0 - 4.0 * share,
        "phase": next(name for end, name in _PHASES if share <= end),
        "entropy_source": 1.9 - 0.5 * share,
        "entropy_target": 2.0 - 0.4 * share,
        "grad_norm": math.nan,
    }


def _evaluation(step, steps):
    return {
        "step": step,
        "eval_ntrex_sense_recall@1": 0.9 * step / steps,
        "eval_ntrex_sense_recall@1_source_to_target": 0.91 * step / steps,
        "eval_ntrex_context_recall@1": 0.8 * step / steps,
        "eval_ntrex_bits_per_byte": 3.9 - 2.1 * step / steps,
        "eval_ntrex_entropy_target": 2.0 - 0.3 * step / steps,
    }


def _datasets():
    sources = [
        {"name": "libreoffice-help", "rows": 3000, "license": "MPL-2.0"},
        {"name": "django-docs", "rows": 1000, "license": "BSD-3-Clause"},
        {"name": "bible-alkitab-bsb", "rows": 2500, "license": None},
        {"name": "smeru", "rows": 3500},
    ]
    train = {
        "name": "en-id.train.parquet",
        "hub_id": None,
        "role": "train",
        "sha256": "a1" * 32,
        "rows_read": 10150,
        "rows_kept": 10000,
        "dropped": {"empty": 0, "too_long": 120, "duplicate": 30},
        "license": "mpl-2.0",
        "sources": sources,
    }
    dev = {"name": "en-id.dev.parquet", "hub_id": "org/en-id-dev", "role": "dev", "sha256": "b2" * 32}
    return [train, dev | {"rows_read": 998, "rows_kept": 998, "dropped": {}, "sources": []}]


_METRICS = (
    "perplexity",
    "bits_per_byte",
    "context_recall@1_source_to_target",
    "context_recall@1_target_to_source",
    "context_recall@1",
    "sense_recall@1",
    "entropy_source",
    "entropy_target",
)
_BEFORE = (184233.71, 4.7184, 0.0029851, 0.0039801, 0.0034826, 0.0019900, 1.8764, 1.9912)
_AFTER = (57.2381, 1.6932, 0.8507463, 0.8398010, 0.8452736, 0.9064677, 1.3391, 1.4577)


def _phase(name, first_step, last_step, weights, end_weights):
    steps = {"first_step": first_step, "last_step": last_step}
    return {"name": name, **steps, "weights": weights, "end_weights": end_weights, "frozen": None}


def _languages():
    return {
        "source": {"iso1": "en", "iso3": "eng", "tag": "eng_Latn", "name": "English"},
        "target": {"iso1": "id", "iso3": "ind", "tag": "ind_Latn", "name": "Indonesian"},
    }


def _training():
    steps = 1500
    return {
        "steps": steps,
        "pairs_per_step": 64,
        "processes": 1,
        "seconds": 4980.4,
        "device": "cpu",
        "precision": "bf16",
        "schedule": {"name": "phased", "align_share": 0.2, "joint_share": 0.3},
        "phases": [
            _phase("align", 1, 301, [0.44, 0.54, 0.02], [0.4, 0.4, 0.2]),
            _phase("joint", 302, 750, [0.4, 0.4, 0.2], [0.15, 0.15, 0.7]),
            _phase("polish", 751, 1500, [0.15, 0.15, 0.7], [0.15, 0.15, 0.7]) | {"frozen": "sense_network"},
        ],
        "hyperparameters": {
            "learning_rate": 5e-05,
            "max_grad_norm": 1.0,
            "output_dir": "/home/somebody/runs/sensia-id-mini",
            "resume_from_checkpoint": None,
            "bf16": True,
            "report_to": [],
        },
        "history": [_record(step, steps) for step in range(10, steps + 1, 10)],
        "evaluations": [_evaluation(step, steps) for step in range(0, steps + 1, 300)],
    }


_RESULTS = {
    "model_name": "sensia-id-mini",
    "repo_id": "org/sensia-id-mini",
    "base_model": {"name": "backpack-en-mini", "hub_id": None, "license": "mpl-2.0"},
    "languages": _languages(),
    "license": "mpl-2.0",
    "license_reason": "The training data is under MPL-2.0, and so is the base model.",
    "datasets": _datasets(),
    "model": {
        "parameters": 5_912_832,
        "num_senses": 8,
        "hidden_size": 192,
        "layers": 4,
        "vocab_size": 8192,
        "max_positions": 512,
        "trunk": "gpt2",
    },
    "training": _training(),
    "evaluation": [
        {
            "dataset": "NTREX dev",
            "file": "en-id.ntrex-dev.parquet",
            "sha256": "c3" * 32,
            "rows": 1005,
            "license": "cc-by-sa-4.0",
            "before": dict(zip(_METRICS, _BEFORE, strict=True)),
            "after": dict(zip(_METRICS, _AFTER, strict=True)),
        }
    ],
    "samples": [
        {"prompt": "Pemerintah mengatakan bahwa", "continuation": " harga beras akan naik | pada bulan depan."},
        {"prompt": "Untuk membuka berkas,", "continuation": " pilih ```Berkas``` lalu 'Buka'.\nTekan <Enter>."},
    ],
    "fertility": {"source": 1.3, "target": 3.12},
    "limits": ["The pairs were not checked for near-duplicates."],
    "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
    "command": "python examples/adapt.py --config configs/id.yaml --output_dir /home/somebody/runs/id",
    "seed": 0,
    "date": "2026-01-31",
}


@pytest.fixture
def results():
    return copy.deepcopy(_RESULTS)
