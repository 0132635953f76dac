"""Steers a Backpack by its senses and prints what that does as JSON: a topic, a swap of knowledge, a bias.

    python examples/steer.py --case topic --model runs/sensia-id-mini/final --prompt Dan --lexicon en-id.tsv
    python examples/steer.py --case knowledge --words king doctor

A list of three is a mean and its 95 % bootstrap interval, over texts or, for `bias`, over words.
"""

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from transformers import set_seed

from modeling_sensia import steering as st
from trainers import parse_arguments
from trainers.adaptation import load_base

WORDS = {
    "topic": "God church Lord prayer holy heaven priest soul faith angel Christ sin worship spirit religion divine",
    "other topic": "health disease doctor patient hospital treatment blood medical brain pain sick heart fever nurse",
    "knowledge": "king doctor",
    "bias": "doctor nurse teacher lawyer captain officer servant cook writer farmer soldier priest clerk judge poet",
}
PAIRS = ["he she", "his her", "himself herself", "man woman", "father mother", "brother sister", "son daughter"]
PROMPTS = ["My {} said that", "The {} believes that", "I really liked the {}. In fact,", "The {} was late, because"]
TOKENS = 40  # of each text


@dataclass
class SteerArguments:
    """What to steer and how to measure it; see each field's help."""

    case: str = field(metadata={"help": "What to show.", "choices": ["topic", "knowledge", "bias"]})
    model: str = field(default="examples/assets/backpack-en-mini", metadata={"help": "Hub id or folder."})
    words: list[str] = field(default_factory=list, metadata={"help": "Topic (half steers), swap or jobs."})
    strengths: list[float] = field(default_factory=lambda: [0.5, 1.0, 2.0], metadata={"help": "Of the topic."})
    lexicon: str | None = field(default=None, metadata={"help": "Lines of word, tab, translation to count."})
    prompt: str = field(default="The", metadata={"help": "Beginning of the texts of `topic`."})
    texts: int = field(default=128, metadata={"help": "Texts of each setting of `topic`."})
    seed: int = field(default=0, metadata={"help": "Seed of sampling and bootstrap."})


def interval(values: list, seed: int) -> list[float]:
    means = np.random.default_rng(seed).choice(values, (1000, len(values))).mean(1)
    return [sum(values) / len(values), *np.quantile(means, [0.025, 0.975]).tolist()]


def topic(model, tokenizer, args: SteerArguments, words: list[str]) -> dict:
    steered, rest, other = (st.find_words(tokenizer, w[::2]) for w in (words, words[1:], WORDS["other topic"].split()))
    counted = {word.lower() for word in words[1::2]}
    if args.lexicon is not None:
        lines = [line.split("\t") for line in Path(args.lexicon).read_text(encoding="utf-8").lower().splitlines()]
        counted = {line[1] for line in lines if line[0] in {word.lower() for word in words}}
    settings: dict[str, tuple] = {"none": ([], {}), "temperature 0.7": ([], {"temperature": 0.7})}
    settings |= {f"logit bias {b:g}": ([], {"sequence_bias": [[[i], b] for i in steered]}) for b in (2.0, 4.0)}
    for name, bag in (("topic", steered), ("other topic", other)):
        settings |= {f"{name} {s:g}": ([st.TowardsTopic(bag, s)], {}) for s in args.strengths}
    return {name: write(model, tokenizer, args, steered, rest, counted, *how) for name, how in settings.items()}


def write(model, tokenizer, args: SteerArguments, steered, rest, counted: set[str], edits, options: dict) -> dict:
    """Samples texts; scores the topic, fluency under the model as it is, and the share of repeated pairs of tokens."""
    set_seed(args.seed)
    prompts = torch.tensor([[tokenizer.eos_token_id, *tokenizer(args.prompt)["input_ids"]]] * args.texts)
    options |= {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "pad_token_id": tokenizer.eos_token_id}
    options |= {"attention_mask": torch.ones_like(prompts), "do_sample": True, "top_k": 0, "output_scores": True}
    result = st.Steering(edits).generate(model, prompts, return_dict_in_generate=True, **options)
    written = result.sequences[:, -TOKENS:]
    chances = torch.stack(result.scores, 1).softmax(-1).mean(1) * 1000  # [B, V]
    likelihoods = model(result.sequences[:, :-1]).logits[:, -TOKENS:].log_softmax(-1).gather(-1, written[..., None])
    found = [re.findall(r"\w+", text.lower()) for text in tokenizer.batch_decode(written)]
    return {
        "counted per 1000 words": interval([1000 * np.mean([w in counted for w in ws]) for ws in found], args.seed),
        "steered words per 1000 tokens": interval(chances[:, steered].sum(1).tolist(), args.seed),
        "other words of the topic per 1000 tokens": interval(chances[:, rest].sum(1).tolist(), args.seed),
        "perplexity": np.exp(interval((-likelihoods.mean((1, 2))).tolist(), args.seed)).tolist(),
        "repeated": interval([1 - len(set(pairwise(ids))) / (TOKENS - 1) for ids in written.tolist()], args.seed),
        "text": tokenizer.decode(written[0]),
    }


def next_tokens(model, tokenizer, word: str, edits=()) -> torch.Tensor:
    rows = [tokenizer(tokenizer.eos_token + p.format(word), return_tensors="pt")["input_ids"] for p in PROMPTS]
    with st.Steering(edits).applied(model):
        return torch.stack([model(row).logits[0, -1].log_softmax(-1) for row in rows])  # [P, V]


def knowledge(model, tokenizer, args: SteerArguments, words: list[str]) -> dict:
    before, goal = (next_tokens(model, tokenizer, word) for word in words)
    token_id, other_id = st.find_words(tokenizer, words)
    after = next_tokens(model, tokenizer, words[0], [st.SwapSenses(token_id, other_id)])
    nats = {"before to goal": (before, goal), "after to goal": (after, goal), "after to before": (after, before)}
    return {name: (p.exp() * (p - q)).sum(-1).tolist() for name, (p, q) in nats.items()}


def bias(model, tokenizer, args: SteerArguments, words: list[str]) -> dict:
    jobs, pairs = st.find_words(tokenizer, words), [st.find_words(tokenizer, pair.split()) for pair in PAIRS]
    results: dict[str, dict] = {f"sense {row['sense']}": row for row in st.localise(model, pairs)}
    out = [st.ProjectOut([k], st.find_direction(model, pairs, k), jobs) for k in range(len(results))]
    for name, edits in {**dict(zip(results, zip(out), strict=True)), "every sense": out, "none": []}.items():
        gaps = torch.stack([next_tokens(model, tokenizer, word, edits)[:, pairs[0]] for word in words]).diff().abs()
        results[name] = results.get(name, {}) | {"ratio": interval(gaps.exp().mean((1, 2)).tolist(), args.seed)}
    return results


@torch.no_grad()
def main():
    (args,) = parse_arguments(SteerArguments, description=__doc__)
    words = args.words or WORDS[args.case].split()
    results = {"topic": topic, "knowledge": knowledge, "bias": bias}[args.case](*load_base(args.model), args, words)
    print(json.dumps(json.loads(json.dumps(results), parse_float=lambda digits: round(float(digits), 4)), indent=1))


if __name__ == "__main__":
    main()
