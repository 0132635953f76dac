"""Ways of serving with the embedded models: pipelines, drafts of an adapted model, prompt lookup, static caches."""

from pathlib import Path

import pytest
import torch
from transformers import CompileConfig, pipeline

from modeling_sensia.loading import load_base

pytestmark = pytest.mark.slow
ASSETS = Path(__file__).parents[2] / "examples" / "assets"
PROMPTS = ["Pemerintah mengatakan bahwa", "Virus", "The government said that the people of the", "Simpan berkas ini"]
NEW_TOKENS = 12


@pytest.fixture(scope="module")
def adapted():
    model, tokenizer = load_base(str(ASSETS / "backpack-id-mini"))
    tokenizer.padding_side = "left"
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def larger():
    model, tokenizer = load_base(str(ASSETS / "backpack-en-small"))
    return model.eval(), tokenizer


def greedy(model, tokenizer, prompt, /, **options):
    inputs = tokenizer(prompt, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False, **options)
    return written[0]


def test_a_batched_pipeline_writes_what_each_prompt_gives_alone(adapted):
    model, tokenizer = adapted
    write = pipeline("text-generation", model=model, tokenizer=tokenizer)
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "return_full_text": True}
    found = write(PROMPTS, batch_size=3, **options)
    expected = [tokenizer.decode(greedy(model, tokenizer, one), skip_special_tokens=True) for one in PROMPTS]
    assert [one[0]["generated_text"] for one in found] == expected


def test_an_adapted_model_drafts_for_a_larger_one(adapted, larger):
    drafting, draft_tokenizer = adapted
    model, tokenizer = larger
    expected = greedy(model, tokenizer, PROMPTS[2])
    tokenizers = {"tokenizer": tokenizer, "assistant_tokenizer": draft_tokenizer}
    found = greedy(model, tokenizer, PROMPTS[2], assistant_model=drafting, **tokenizers)
    assert tokenizer.decode(found) == tokenizer.decode(expected)


def test_the_model_before_its_adaptation_drafts_for_the_adapted_one(adapted):
    model, tokenizer = adapted
    base, base_tokenizer = load_base(str(ASSETS / "backpack-en-mini"))
    tokenizers = {"tokenizer": tokenizer, "assistant_tokenizer": base_tokenizer}
    for prompt in PROMPTS:
        expected = greedy(model, tokenizer, prompt)
        assert torch.equal(greedy(model, tokenizer, prompt, assistant_model=base.eval(), **tokenizers), expected)


def test_prompt_lookup_changes_nothing(adapted):
    model, tokenizer = adapted
    prompt = f"{PROMPTS[0]} konten yang dipilih. {PROMPTS[0]}"
    expected = greedy(model, tokenizer, prompt)
    assert torch.equal(greedy(model, tokenizer, prompt, prompt_lookup_num_tokens=4), expected)


@pytest.mark.timeout(900)
def test_a_compiled_static_cache_changes_nothing(adapted):
    model, tokenizer = adapted
    expected = greedy(model, tokenizer, PROMPTS[0])
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    options = {"cache_implementation": "static", "compile_config": CompileConfig(backend="inductor", mode=None)}
    options["compile_config"]._compile_all_devices = True  # on a CPU, generation compiles only if it is told to
    found = greedy(model, tokenizer, PROMPTS[0], **options)
    assert torch.equal(found, expected)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    torch._dynamo.reset()
