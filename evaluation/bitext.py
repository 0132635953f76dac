"""Evaluation on a bitext: retrieval, perplexity of the target side, and mixture entropy of a Backpack."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate.state import PartialState
from accelerate.utils import gather
from datasets import Dataset
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from modeling_sensia.sentence_rows import TOKENS_PER_BATCH, batches_by_length, padded
from sensia.evaluation.intervals import bootstrap_mean
from sensia.evaluation.perplexity import measure_perplexity, perplexity_from_sums
from sensia.evaluation.retrieval import metrics_of_ranks, retrieval_ranks, retrieval_recall
from sensia.evaluation.sentence_vectors import sentence_vectors

#: Encodes ids [N, L], their mask and labels, or `None` for sentence vectors: see [`evaluate_bitext`].
Encoder = Callable[[Tensor, Tensor, Tensor | None], Mapping[str, Any]]


@torch.inference_mode()
def evaluate_bitext(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Dataset,
    *,
    pooling_temperature: float,
    batch_size: int = 64,
    progress: bool = False,
    encode: Encoder | None = None,
) -> dict[str, float]:
    """
    Measures a Backpack on aligned sentences. With several processes, each takes a part of the rows, and all return the
    same result.

    Args:
        model ([`BackpackForCausalLM`]): the model; evaluated without dropout.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        pairs (`datasets.Dataset`): columns `source_ids`, `target_ids`, `source_bytes` and `target_bytes` of
            [`sensia.corpora.clean_pairs`]; both sides close with the end-of-text token.
        pooling_temperature (`float`): temperature of the mixture in the sense vector.
        batch_size (`int`, *optional*, defaults to 64): half the largest number of sentences in a batch.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.
        encode (`Callable`, *optional*): how a model that is no Backpack is read. It takes ids [N, L], their mask and
            labels [N, L] or `None`. With labels it gives `token_losses` [N, L] in nats, 0 where nothing is predicted.
            Without labels it gives `context_vectors` and `sense_vectors` [N, D], and `mixture_entropy` [N] of senses.

    Returns:
        `dict`: `perplexity` and `bits_per_byte` of the target side as [`perplexity`] defines them;
        `source_bits_per_byte`, the same of the source side: how much of its language the model still knows;
        `context_recall@1` and `sense_recall@1`, each with `_source_to_target` and `_target_to_source`;
        `entropy_source` and `entropy_target`, the mean entropy of the mixture in nats, of a model with senses.

    Raises:
        ValueError: if there is no pair.
    """
    if len(pairs) == 0:
        raise ValueError("There is no pair to evaluate on.")
    was_training = model.training
    model.eval()
    encode = encode or _backpack_encoder(model, pooling_temperature)
    vectors, sums = _encode(encode, model.device, pairs, batch_size, progress)
    model.train(was_training)
    return {**_language_model_metrics(sums), **_sense_metrics(vectors)}


def _backpack_encoder(model, pooling_temperature: float) -> Encoder:
    def encode(ids: Tensor, mask: Tensor, labels: Tensor | None) -> Mapping[str, Any]:
        wanted = {"pooling_temperature": pooling_temperature} if labels is None else {"labels": labels}
        return model(input_ids=ids, attention_mask=mask, return_logits=False, use_cache=False, **wanted)

    return encode


def _encode(encode: Encoder, device, pairs, batch_size, progress):
    """Vectors and entropies of both sides, and the sums of the language model, over all processes."""
    state = PartialState()
    sides = ("source", "target")
    rows = [ids for side in sides for ids in pairs[f"{side}_ids"]]  # sources, then targets
    sizes = [size for side in sides for size in pairs[f"{side}_bytes"]]
    # Planned for all processes together, because sharded weights need the same number of forwards on each.
    tokens, most = TOKENS_PER_BATCH * state.num_processes, 2 * batch_size * state.num_processes
    batches = list(batches_by_length([len(row) for row in rows], tokens, most))
    mine = [_share(batch, state.process_index, state.num_processes) for batch in batches]
    parts, sums = [], torch.zeros(2, 3, dtype=torch.float64)  # of sources, of targets
    hidden = not (progress and state.is_main_process)
    with tqdm(total=sum(map(len, mine)), desc="Evaluating", unit="sentence", disable=hidden) as bar:
        for batch in mine:
            chosen = [rows[row] for row, _ in batch]
            parts.append(_vectors(encode, device, chosen))
            counted = _language_model_sums(encode, device, chosen, [sizes[row] for row, _ in batch])  # [B, 3]
            real = torch.tensor([[counts] for _, counts in batch])
            side_of = torch.tensor([row // len(pairs) for row, _ in batch])
            sums.index_add_(0, side_of, counted * real)
            bar.update(len(batch))
    shares = (_share(batch, rank, state.num_processes) for rank in range(state.num_processes) for batch in batches)
    places = [row for share in shares for row, _ in share]
    gathered = {name: _gather_in_order([part[name] for part in parts], places) for name in parts[0]}
    halves = {name: found.split(len(pairs)) for name, found in gathered.items()}
    vectors = {f"{name}_{side}": half for name, both in halves.items() for side, half in zip(sides, both, strict=True)}
    return vectors, _gathered(sums[None]).sum(0)


def _gather_in_order(parts: list[torch.Tensor], places: list[int]) -> torch.Tensor:
    gathered = _gathered(torch.cat(parts))
    ordered = gathered.new_empty((max(places) + 1, *gathered.shape[1:]))
    ordered[torch.tensor(places)] = gathered
    return ordered


def _gathered(rows: torch.Tensor) -> torch.Tensor:
    """Gathers the rows of all processes on the CPU; the collective itself runs on the devices of the processes."""
    state = PartialState()
    return rows.cpu() if state.num_processes == 1 else gather(rows.to(state.device)).cpu()


def _share(order: Sequence[int], rank: int, world: int) -> list[tuple[int, bool]]:
    """Rows of this rank, and which of them count: the last may be repeated to give all ranks the same number."""
    rows = [(row, True) for row in order[rank::world]]
    missing = -(-len(order) // world) - len(rows)
    return rows + [(order[-1], False)] * missing


def _vectors(encode: Encoder, device, rows: list[list[int]]) -> dict[str, Tensor]:
    inputs = padded(rows)  # [B, L] each
    outputs = encode(inputs["input_ids"].to(device), inputs["attention_mask"].to(device), None)
    names = ("context_vectors", "sense_vectors", "mixture_entropy")
    return {name: outputs[name].float() for name in names if name in outputs}


def _language_model_sums(encode: Encoder, device, rows: list[list[int]], sizes: list[int]) -> Tensor:
    """Negative log-likelihood in nats, tokens and bytes of each row, [B, 3]."""
    # The closing end-of-text token is the context of the first token instead of the last thing predicted.
    inputs = {name: each.to(device) for name, each in padded([[row[-1], *row[:-1]] for row in rows]).items()}
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)  # [B, L]
    outputs = encode(inputs["input_ids"], inputs["attention_mask"], labels)
    nats = outputs["token_losses"].double().sum(1).cpu()
    tokens = torch.tensor([len(row) - 1 for row in rows])
    return torch.stack([nats, tokens.double(), torch.tensor(sizes).double()], 1)


def _language_model_metrics(sums: torch.Tensor) -> dict[str, float]:
    source, target = (perplexity_from_sums(nll, int(tokens), int(size)) for nll, tokens, size in sums.tolist())
    metrics = {name: target[name] for name in ("perplexity", "bits_per_byte")}
    return {**metrics, "source_bits_per_byte": source["bits_per_byte"]}


def _sense_metrics(vectors: dict[str, torch.Tensor]) -> dict[str, float]:
    metrics = {}
    for name in ("context", "sense"):
        recall = retrieval_recall(vectors[f"{name}_vectors_source"], vectors[f"{name}_vectors_target"])
        metrics[f"{name}_recall@1"] = recall.pop("mean")
        metrics |= {f"{name}_recall@1_{direction}": value for direction, value in recall.items()}
    for side in ("source", "target"):
        if (entropies := vectors.get(f"mixture_entropy_{side}")) is not None:
            metrics[f"entropy_{side}"] = entropies.mean().item()
    return metrics


def measure_bitext(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """
    Measures a Backpack or a dense model on aligned sentences, with each kind of its sentence vectors.

    Args:
        model (`PreTrainedModel`): a causal language model, read by [`sentence_vectors`].
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        sources (`Sequence[str]`): N sentences.
        targets (`Sequence[str]`): their translations, in the same order.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.
        options: `layer` and `pooling_temperature` of [`sentence_vectors`].

    Returns:
        `dict`: `metrics`, with `perplexity` and `bits_per_byte` of the target side as [`perplexity`] defines them,
        `source_bits_per_byte`, the same of the source side, and those of [`retrieval_metrics`] for each kind of
        vector, as in `mean_mrr`; `intervals`, 95 % bootstrap over the pairs, of perplexity, bits per byte,
        `{kind}_recall@1` and `{kind}_margin_recall@1`; `chance` levels of the recalls.

    Raises:
        ValueError: if there is no pair, or a sentence has no translation.
    """
    if len(sources) != len(targets) or len(sources) == 0:
        raise ValueError(f"Every sentence needs its translation, got {len(sources)} and {len(targets)} sentences.")
    left = sentence_vectors(model, tokenizer, sources, progress=progress, **options)
    right = sentence_vectors(model, tokenizer, targets, progress=progress, **options)
    fluency = measure_perplexity(model, tokenizer, targets, progress=progress)
    metrics, intervals, chance = fluency["metrics"], fluency["intervals"], {}
    of_sources = measure_perplexity(model, tokenizer, sources, progress=progress)
    for part, found in ((metrics, of_sources["metrics"]), (intervals, of_sources["intervals"])):
        part["source_bits_per_byte"] = found["bits_per_byte"]
    for kind, vectors in left.items():
        ranks = retrieval_ranks(vectors, right[kind])
        metrics |= {f"{kind}_{name}": value for name, value in metrics_of_ranks(ranks).items()}
        for name, places in (("recall@1", ranks["cosine"]), ("margin_recall@1", ranks["margin"])):
            intervals[f"{kind}_{name}"] = bootstrap_mean((torch.stack(places) == 1).double().mean(0).tolist())
            chance[f"{kind}_{name}"] = 1 / len(sources)
    return {"metrics": metrics, "intervals": intervals, "chance": chance}
