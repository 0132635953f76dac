"""Models with each way of keeping the past's senses in the cache, and what they write."""

from typing import NamedTuple

import torch
from tiny_backpacks import tiny_backpack, tiny_config
from transformers import GenerationConfig, StaticCache

from modeling_sensia.modeling_backpack import BackpackForCausalLM

HIDDEN_SIZE = 32
NEW_TOKENS = 6
#: Tokens of a table of some; few, so that prompts and texts hold others.
SOME_TOKENS = range(20)
#: Weights that write lively texts; most random ones fall into repeating a token.
SEEDS = {("gpt2", 2): 122, ("gpt2", 8): 4, ("llama", 8): 21, ("qwen3", 8): 46}


class Kind(NamedTuple):
    trunk: str
    num_senses: int
    table: str | None
    width: int  # numbers that the cache keeps of a position's senses


KINDS = {
    "gpt2, senses": Kind("gpt2", 2, None, 2 * HIDDEN_SIZE),
    "gpt2, hidden": Kind("gpt2", 8, None, 4 * HIDDEN_SIZE),
    "gpt2, table": Kind("gpt2", 8, "all", 3),
    "gpt2, some": Kind("gpt2", 8, "some", 3),
    "llama, hidden": Kind("llama", 8, None, 4 * HIDDEN_SIZE),
    "llama, table": Kind("llama", 8, "all", 3),
    "qwen3, hidden": Kind("qwen3", 8, None, 4 * HIDDEN_SIZE),
}


class Case(NamedTuple):
    """A model of some kind, and one of the same weights that never has a table."""

    kind: Kind
    model: BackpackForCausalLM
    plain: BackpackForCausalLM


def case_of(name: str) -> Case:
    kind = KINDS[name]
    return Case(kind, tabled(plain_backpack(kind), kind.table), plain_backpack(kind))


def plain_backpack(kind: Kind, **kwargs) -> BackpackForCausalLM:
    return tiny_backpack(tiny_config(kind.trunk, kind.num_senses), seed=SEEDS[kind.trunk, kind.num_senses], **kwargs)


def wide_backpack(trunk="gpt2", num_senses=8, table=None, **overrides) -> BackpackForCausalLM:
    """A model of more senses than its sense network's hidden layer holds vectors."""
    return tabled(
        tiny_backpack(tiny_config(trunk, num_senses, **overrides), seed=SEEDS.get((trunk, num_senses), 0)), table
    )


def tabled(model: BackpackForCausalLM, table: str | None) -> BackpackForCausalLM:
    if table is not None:
        model.precompute_senses(None if table == "all" else SOME_TOKENS)
    return model


def generate(model, ids, **options):
    mask = options.pop("attention_mask", torch.ones_like(ids))
    inputs = {name: options.pop(name) for name in ("past_key_values", "assistant_model") if name in options}
    usual = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "pad_token_id": 0}
    return model.generate(ids, attention_mask=mask, generation_config=GenerationConfig(**usual | options), **inputs)


@torch.no_grad()
def greedy_by_hand(model, ids, new_tokens=NEW_TOKENS):
    for _ in range(new_tokens):
        ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
    return ids


def static_cache(model, positions=12):
    return StaticCache(config=model.config, max_cache_len=positions)


@torch.no_grad()
def logits(model, ids, **kwargs):
    return model(ids, **kwargs).logits


@torch.no_grad()
def cache_of(model, ids, cache=None):
    return model(ids, past_key_values=cache, use_cache=True).past_key_values


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=5e-5)
