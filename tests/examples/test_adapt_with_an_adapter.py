"""One short run of adapt.py that trains a LoRA adapter of the embedded model."""

import json

import pytest
import torch
from adaptation_runs import ROOT, adapt, write_bitext
from peft import PeftModel

from modeling_sensia.loading import load_base
from sensia.corpora import clean_pairs, read_pairs
from sensia.evaluation import evaluate_bitext

pytestmark = pytest.mark.slow

BASE = ROOT / "examples/assets/backpack-en-mini"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    write_bitext(folder)
    adapt(folder, "--use_peft", "--lora_r", "4", "--learning_rate", "0.01", "--bf16", "false")
    return folder


def test_numbers_are_those_of_the_merged_model(run):
    results = json.loads((run / "run/final/results.json").read_text(encoding="utf-8"))
    model, tokenizer = load_base(str(run / "run/final"))
    rows = read_pairs(str(run / "dev.jsonl"), source_language="en", target_language="id")
    measured = evaluate_bitext(
        model, tokenizer, clean_pairs(rows, tokenizer, max_length=256)[0], pooling_temperature=0.7
    )
    assert results["evaluation"][0]["after"] == pytest.approx(measured, rel=1e-3)


def test_the_adapter_on_the_base_model_is_the_merged_model(run):
    merged, tokenizer = load_base(str(run / "run/final"))
    base, _ = load_base(str(BASE))
    ids = tokenizer("Simpan berkas ini", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        plain = base(input_ids=ids).logits
        adapted = PeftModel.from_pretrained(base, run / "run/final/adapter").eval()(input_ids=ids).logits
        torch.testing.assert_close(merged.eval()(input_ids=ids).logits, adapted, rtol=1e-2, atol=1e-2)
    assert (adapted - plain).abs().max() > 0.1


def test_results_and_card_say_what_was_trained(run):
    results = json.loads((run / "run/final/results.json").read_text(encoding="utf-8"))
    adapter, card = results["training"]["adapter"], (run / "run/final/README.md").read_text(encoding="utf-8")
    assert adapter["rank"] == 4 and 0 < adapter["share"] < 0.1
    assert results["model"]["parameters"] == load_base(str(BASE))[0].num_parameters()
    assert f"{adapter['trained_parameters']:,} parameters" in card
