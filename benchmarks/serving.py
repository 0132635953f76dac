"""Effects of drafting and fewer bits on the embedded models: tokens a second, memory of the weights, bits per byte.

python benchmarks/serving.py
"""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_sensia.loading import load_base
from modeling_sensia.quantization import quantize_weights
from sensia.bundled import find_asset
from sensia.corpora import read_pairs
from sensia.evaluation import perplexity

ASSETS = "examples/assets/"
SENTENCES, BEGINNINGS, WORDS, NEW_TOKENS, ROUNDS = 100, 20, 8, 40, 2


def load(name: str):
    model, tokenizer = load_base(find_asset(f"{ASSETS}{name}"))
    return model.eval(), tokenizer


def tokens_per_second(model, tokenizer, texts, /, **options) -> float:
    """New tokens per CPU second, of one prompt at a time; the best of the rounds."""
    rates = []
    for _ in range(ROUNDS):
        start, written = time.process_time(), 0
        for text in texts:
            inputs = tokenizer(text, return_tensors="pt")
            found = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False, use_cache=True, **options)
            written += found.shape[1] - inputs["input_ids"].shape[1]
        rates.append(written / (time.process_time() - start))
    return max(rates)


def megabytes(model) -> float:
    total = 0
    for weight in model.parameters():
        parts = [getattr(weight, name) for name in getattr(weight, "tensor_data_names", [])] or [weight]
        total += sum(part.numel() * part.element_size() for part in parts)
    return total / 1e6


def main():
    torch.set_num_threads(1)
    path = find_asset(f"{ASSETS}bitext/en-id.ntrex-dev.parquet")
    pairs = read_pairs(path, source_language="en", target_language="id")
    texts = [" ".join(text.split()[:WORDS]) for text in pairs["source"][:BEGINNINGS]]
    model, tokenizer = load("backpack-en-small")
    ways = {"alone": {}, "prompt lookup": {"prompt_lookup_num_tokens": 3}}
    for name in ("backpack-id-mini", "backpack-en-mini"):
        draft, draft_tokenizer = load(name)
        tokenizers = {"tokenizer": tokenizer, "assistant_tokenizer": draft_tokenizer}
        ways[f"drafts by {name}"] = {"assistant_model": draft, **tokenizers}
    for name, options in ways.items():
        print(
            f"backpack-en-small, {name}: {tokens_per_second(model, tokenizer, texts, **options):.0f} tokens a second"
        )
    for bits in (None, 8, 4):
        model, tokenizer = load("backpack-id-mini")
        if bits is not None:
            quantize_weights(model, bits)
        scores = perplexity(model, tokenizer, list(pairs["target"][:SENTENCES]))
        name = f"{bits} bits" if bits else "float32"
        print(f"backpack-id-mini, {name}: {megabytes(model):.1f} MB, {scores['bits_per_byte']:.4f} bits per byte")


if __name__ == "__main__":
    main()
