"""Effects of steering: topic and fluency of texts, predictions after an edit of knowledge, and bias.

Shapes: B texts of T new tokens, P prompts, V tokens of the vocabulary. A list of three numbers is a mean and its 95 %
bootstrap interval over texts or words.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, set_seed

from modeling_sensia import BackpackForCausalLM
from modeling_sensia import steering as st
from sensia.corpora.letter_case import lowered
from sensia.evaluation.senses.pair_statistics import RESAMPLES

PROMPTS = ("My {} said that", "The {} believes that", "I really liked the {}. In fact,", "The {} was late, because")
LOGIT_BIASES = (2.0, 4.0)
COOLER = 0.7  # temperature of a control that only sharpens predictions


@dataclass(frozen=True)
class TopicSetting:
    """
    A setting for texts about a topic.

    Args:
        edits (`Sequence[Edit]`, *optional*): edits of senses.
        options (`Mapping`, *optional*): options of `generate`, which override those of [`measure_topic`].
    """

    edits: Sequence[st.Edit] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def topic_settings(
    topic: Sequence[st.TokenOrWord], other_topic: Sequence[st.TokenOrWord], strengths: Sequence[float]
) -> dict[str, TopicSetting]:
    """
    Makes the settings of steering towards a topic at several strengths, and their controls.

    Args:
        topic (`Sequence`): bag of words of the topic, of [`find_words`].
        other_topic (`Sequence`): bag of words of another topic, as a control.
        strengths (`Sequence[float]`): strengths of [`TowardsTopic`].

    Returns:
        `dict[str, TopicSetting]`: `none`, a lower temperature, two biases on the logits of the topic's words, then
        `topic` and `other topic` at each strength.
    """
    settings = {"none": TopicSetting(), f"temperature {COOLER:g}": TopicSetting(options={"temperature": COOLER})}
    for bias in LOGIT_BIASES:
        options = {"sequence_bias": [[list(st.tokens_of(word)), bias] for word in topic]}
        settings[f"logit bias {bias:g}"] = TopicSetting(options=options)
    for name, bag in (("topic", topic), ("other topic", other_topic)):
        settings |= {f"{name} {each:g}": TopicSetting([st.TowardsTopic(bag, each)]) for each in strengths}
    return settings


@torch.no_grad()
def measure_topic(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    setting: TopicSetting,
    *,
    steered: Sequence[st.TokenOrWord],
    others: Sequence[st.TokenOrWord],
    counted: Collection[str],
    prompt: str = "The",
    texts: int = 128,
    tokens: int = 40,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Samples texts in one setting, and measures their topic and fluency.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: in evaluation mode.
        setting ([`TopicSetting`]): edits and options of generation.
        steered, others (`Sequence`): words used to steer, and other words of the topic, of [`find_words`].
        counted (`Collection[str]`): words in lower case to count in the texts.
        prompt (`str`, *optional*, defaults to `"The"`): beginning of every text, after an end-of-text token.
        texts, tokens (`int`, *optional*, defaults to 128 and 40): number of texts, and tokens per text.
        seed (`int`, *optional*, defaults to 0): of sampling and bootstrap.

    Returns:
        `dict`: `counted per 1000 words`; `steered words per 1000 tokens` and `other words of the topic per 1000
        tokens`, sums of the probabilities of their first tokens over the steps; `perplexity` of the texts under the
        unsteered model; `repeated`, the share of token bigrams that occurred earlier in the text; `words counted`, the
        count of each word; and the first `text`.
    """
    set_seed(seed)
    prompts = torch.tensor([[tokenizer.eos_token_id, *tokenizer(prompt)["input_ids"]]] * texts, device=model.device)
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "pad_token_id": tokenizer.eos_token_id}
    options |= {"attention_mask": torch.ones_like(prompts), "do_sample": True, "top_k": 0, **setting.options}
    steering = st.Steering(setting.edits)
    result = steering.generate(model, prompts, return_dict_in_generate=True, output_scores=True, **options)
    written = result.sequences[:, -tokens:]  # [B, T]
    chances = torch.stack(result.scores, 1).softmax(-1).mean(1) * 1000  # [B, V]
    found = [re.findall(r"\w+", lowered(text)) for text in tokenizer.batch_decode(written)]
    hits = [[word for word in words if word in counted] for words in found]
    shares = [1000 * len(hit) / max(len(words), 1) for hit, words in zip(hits, found, strict=True)]
    values = {
        "counted per 1000 words": shares,
        "steered words per 1000 tokens": chances[:, _first_tokens(steered)].sum(1).tolist(),
        "other words of the topic per 1000 tokens": chances[:, _first_tokens(others)].sum(1).tolist(),
    }
    intervals = {name: bootstrap_interval(each, seed) for name, each in values.items()}
    perplexity = np.exp(bootstrap_interval(_nats_per_token(model, result.sequences, tokens), seed)).tolist()
    repeated = [1 - len(set(pairwise(ids))) / (tokens - 1) for ids in written.tolist()]
    text = tokenizer.decode(written[0])
    return {
        **intervals,
        "perplexity": perplexity,
        "repeated": bootstrap_interval(repeated, seed),
        "words counted": dict(Counter(word for hit in hits for word in hit).most_common()),
        "text": text,
    }


def _first_tokens(words: Sequence[st.TokenOrWord]) -> list[int]:
    return [st.tokens_of(word)[0] for word in words]


def _nats_per_token(model: BackpackForCausalLM, sequences: torch.Tensor, tokens: int) -> list[float]:
    """Mean negative log-likelihood of the last tokens of each text."""
    likelihoods = model(sequences[:, :-1]).logits[:, -tokens:].log_softmax(-1)  # [B, T, V]
    return (-likelihoods.gather(-1, sequences[:, -tokens:, None]).mean((1, 2))).tolist()


def bootstrap_interval(values: Sequence[float], seed: int) -> list[float]:
    """
    Computes the mean of values and its 95 % bootstrap interval.

    Args:
        values (`Sequence[float]`): at least one.
        seed (`int`): of the resampling.
    """
    means = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values))).mean(1)
    return [sum(values) / len(values), *np.quantile(means, [0.025, 0.975]).tolist()]


@torch.no_grad()
def measure_swap(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    word: str,
    other: str,
    prompts: Sequence[str] = PROMPTS,
) -> dict[str, list[float]]:
    """
    Measures the predictions after a word that has the senses of another word.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: in evaluation mode.
        word, other (`str`): the edited word, and the word whose senses it gets.
        prompts (`Sequence[str]`, *optional*): texts with `{}` where the word stands.

    Returns:
        `dict`: Kullback-Leibler divergences of the next token's distributions, in nats, one for each prompt:
        `before to goal` (the word from the other one), `after to goal` (the edited word from the other one) and
        `after to before`.
    """
    token_id, other_id = st.find_words(tokenizer, [word, other])
    before, goal = (_next_tokens(model, tokenizer, each, prompts) for each in (word, other))
    after = _next_tokens(model, tokenizer, word, prompts, [st.SwapSenses(token_id, other_id)])
    compared = {"before to goal": (before, goal), "after to goal": (after, goal), "after to before": (after, before)}
    return {name: (p.exp() * (p - q)).sum(-1).tolist() for name, (p, q) in compared.items()}


@torch.no_grad()
def measure_bias(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    words: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    prompts: Sequence[str] = PROMPTS,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """
    Measures bias: the probability ratio of two words after other words, with their direction removed from senses.

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: in evaluation mode.
        words (`Sequence[str]`): words such as occupations.
        pairs (`Sequence[tuple[str, str]]`): words that differ in one respect, such as `he` and `she`; the first
            pair is the one whose likelihoods are compared.
        prompts (`Sequence[str]`, *optional*): texts with `{}` where the word stands.
        seed (`int`, *optional*, defaults to 0): of the bootstrap over words.

    Returns:
        `dict`: for each sense the result of [`localise`], and for each sense, `every sense` and `none` the `ratio` of
        the likelier word of the first pair to the other, as the mean over prompts and words; 1 means no bias.
    """
    edited, ids = st.find_words(tokenizer, words), [st.find_words(tokenizer, pair) for pair in pairs]
    results: dict[str, dict[str, Any]] = {f"sense {row['sense']}": row for row in st.localise(model, ids)}
    taken_out = [st.ProjectOut([k], st.find_direction(model, ids, k), edited) for k in range(len(results))]
    settings: dict[str, list[st.Edit]] = {name: [each] for name, each in zip(results, taken_out, strict=True)}
    settings |= {"every sense": list(taken_out), "none": []}
    for name, edits in settings.items():
        chances = [_next_tokens(model, tokenizer, word, prompts, edits)[:, _first_tokens(ids[0])] for word in words]
        ratios = torch.stack(chances).diff().abs().exp().mean((1, 2))  # [words]
        results[name] = results.get(name, {}) | {"ratio": bootstrap_interval(ratios.tolist(), seed)}
    return results


def _next_tokens(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    word: str,
    prompts: Sequence[str],
    edits: Sequence[st.Edit] = (),
) -> torch.Tensor:
    """Log-probabilities [P, V] of the next token after each prompt."""
    texts = [tokenizer.eos_token + prompt.format(word) for prompt in prompts]
    rows = [tokenizer(text, return_tensors="pt")["input_ids"].to(model.device) for text in texts]
    with st.Steering(edits).applied(model):
        return torch.stack([model(row).logits[0, -1].log_softmax(-1) for row in rows])
