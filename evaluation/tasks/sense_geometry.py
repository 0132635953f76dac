"""Geometry of senses across two languages as scores: how a word's senses are arranged, and a rotation between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from sensia.evaluation.senses.geometry import procrustes_alignment, sense_topology
from sensia.evaluation.word_pairs import WordPair, independent_pairs, word_senses


def measure_topology(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[WordPair],
    *,
    shuffles: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Measures sense topology, a figure of the SENSIA paper (arXiv 2601.10310): Spearman's rho between the cosines of a
    word's senses and those of its translation's; see [`sense_topology`].

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: the model, with at least 3 senses.
        pairs (`Sequence[WordPair]`): of [`read_lexicon`]; [`independent_pairs`] says which are used.
        shuffles, seed (`int`, *optional*): as in [`sense_topology`].

    Returns:
        `dict`: `metrics` with `topology` and `topology_gap`, how much it is above words paired at random; `intervals`,
        95 % bootstrap over pairs; `chance`, the values of words paired at random; `p_values` of the gap; `pairs`,
        `dropped`.

    Raises:
        ValueError: if too few pairs are left.
    """
    source, target, counts = _senses_of_pairs(model, tokenizer, pairs)
    found = sense_topology(source, target, shuffles=shuffles, seed=seed)
    return _as_scores({"topology": found}) | counts


def measure_procrustes(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[WordPair],
    *,
    folds: int = 5,
    shuffles: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Measures the held-out cosine after a rotation from the senses of words to those of their translations; see
    [`procrustes_alignment`].

    Args:
        model ([`BackpackForCausalLM`]), tokenizer: the model.
        pairs (`Sequence[WordPair]`): of [`read_lexicon`]; [`independent_pairs`] says which are used.
        folds, shuffles, seed (`int`, *optional*): as in [`procrustes_alignment`].

    Returns:
        `dict`: as of [`measure_topology`], with `procrustes`, not centred as in the SENSIA paper, and
        `procrustes_centered`, each with its gap.

    Raises:
        ValueError: if too few pairs are left.
    """
    source, target, counts = _senses_of_pairs(model, tokenizer, pairs)
    options: dict[str, Any] = {"folds": folds, "shuffles": shuffles, "seed": seed}
    found = {
        "procrustes": procrustes_alignment(source, target, center=False, **options),
        "procrustes_centered": procrustes_alignment(source, target, **options),
    }
    return _as_scores(found) | counts


def _senses_of_pairs(model, tokenizer, pairs) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Senses [N, K, D] of both words of each pair that stays, and how many pairs stay and why others do not."""
    kept, dropped = independent_pairs(pairs, tokenizer)
    if not kept:
        raise ValueError(f"No word pair is left of {len(pairs)}; dropped: {dropped}.")
    senses = [
        word_senses(model, tokenizer, words) for words in zip(*((p.source, p.target) for p in kept), strict=True)
    ]
    return senses[0], senses[1], {"pairs": len(kept), "dropped": dropped}


def _as_scores(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Statistics of [`summarize`] in the form of scores. The chance level has no error beside that of the estimate."""
    scores: dict[str, dict[str, Any]] = {"metrics": {}, "intervals": {}, "chance": {}, "p_values": {}}
    for name, each in found.items():
        interval, chance = [each["ci_low"], each["ci_high"]], each["baseline"]
        scores["metrics"] |= {name: each["estimate"], f"{name}_gap": each["gap"]}
        scores["intervals"] |= {name: interval, f"{name}_gap": [end - chance for end in interval]}
        scores["chance"] |= {name: chance, f"{name}_gap": 0.0}
        scores["p_values"][f"{name}_gap"] = each["p_value"]
    return scores
