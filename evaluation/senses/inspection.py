"""Inspection of a Backpack: nearest tokens of the senses of a word, and contributions of senses to a prediction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM

# Text before a word, so that the tokenizer encodes the word with its leading space.
_BEFORE = "a"

#: Tokens and scores [T, K, top] of each list.
Rankings = dict[str, tuple[Tensor, Tensor]]


def senses_of(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    word: str,
    top: int = 8,
    target_tokens: Sequence[int] | None = None,
) -> dict[str, Any]:
    """
    Finds the tokens nearest to each sense of a word, by projection on the language model head: S[k] W^T.

    The word is encoded as in running text, after a space. Senses belong to tokens, so a word of several tokens has
    separate lists for each token.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer.
        word (`str`): the word, without the space before it.
        top (`int`, *optional*, defaults to 8): tokens per list; fewer if there are not enough.
        target_tokens (`Sequence[int]`, *optional*): ids of the tokens of the target language, from
            [`find_target_tokens`]; all others count as the source language's.

    Returns:
        `dict`: `word` and `tokens`, each with `id`, `token` (text) and `senses`. A sense has its index as `sense`, and
        lists of `{"id", "token", "score"}` in order of decreasing magnitude: `strongest`, `suppressed` and, with
        `target_tokens`, `strongest_source` and `strongest_target`.

    Raises:
        ValueError: for an empty word, a word that the tokenizer cannot encode, or `top` below 1.
    """
    if not word.strip():
        raise ValueError("`word` is empty; expected a word to look up.")
    ids = word_ids(tokenizer, word.strip())
    rankings = rank_tokens(model, tokenizer, ids, top, target_tokens)
    tokens = []
    for place, (token_id, text) in enumerate(zip(ids, token_texts(tokenizer, ids), strict=True)):
        senses = [
            {"sense": sense, **{name: _named(tokenizer, *ranking, place, sense) for name, ranking in rankings.items()}}
            for sense in range(model.config.num_senses)
        ]
        tokens.append({"id": token_id, "token": text, "senses": senses})
    return {"word": word.strip(), "tokens": tokens}


def _named(tokenizer, ids: Tensor, scores: Tensor, place: int, sense: int) -> list[dict[str, Any]]:
    listed = zip(ids[place, sense].tolist(), scores[place, sense].tolist(), strict=True)
    return [{"id": one, "token": token_text(tokenizer, one), "score": score} for one, score in listed]


def word_ids(tokenizer: PreTrainedTokenizerBase, word: str) -> list[int]:
    """
    Token ids of a word as in running text, after a space.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        word (`str`): the word, without the space.

    Raises:
        ValueError: if the tokenizer cannot encode it.
    """
    return encode_text(tokenizer, word, before=f"{_BEFORE} ")[len(encode_text(tokenizer, _BEFORE)) :]


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, before: str = "") -> list[int]:
    """
    Token ids of a text, in which special tokens are read as text.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        text (`str`): the text.
        before (`str`, *optional*, defaults to `""`): text that is put before it.

    Raises:
        ValueError: if the tokenizer cannot encode it.
    """
    try:
        ids = tokenizer(before + text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    except TypeError as error:
        # Half of a surrogate pair is no text; the tokenizer takes it for a wrong type.
        raise ValueError(f"The tokenizer cannot write {text!r}; expected valid Unicode.") from error
    if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
        raise ValueError(f"The tokenizer cannot write {text!r}: it has no tokens for it.")
    return ids


def token_text(tokenizer: PreTrainedTokenizerBase, token_id: int) -> str:
    """
    Text of a token, with its leading space. A token that holds only some bytes of a character has no text, so its
    entry in the vocabulary is returned.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        token_id (`int`): the token.
    """
    entry = str(tokenizer.convert_ids_to_tokens(token_id))
    text = str(tokenizer.decode([token_id], clean_up_tokenization_spaces=False))
    if not text or "\ufffd" in text:
        return entry
    # Decoding removes the space of the first SentencePiece token.
    return f" {text}" if entry.startswith("▁") and not text.startswith(" ") else text


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """
    Texts of the tokens in order. Tokens that together hold the bytes of one character are numbered: "世(1/3)".

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        ids (`Sequence[int]`): the tokens of a text.
    """
    texts: list[str] = []
    for end in range(1, len(ids) + 1):
        run = list(ids[len(texts) : end])
        text = str(tokenizer.decode(run, clean_up_tokenization_spaces=False))
        if len(run) > 1 and "\ufffd" not in text:
            texts += [f"{text}({number}/{len(run)})" for number in range(1, len(run) + 1)]
        elif len(run) == 1 and "\ufffd" not in text:
            texts.append(token_text(tokenizer, run[0]))
    return texts + [token_text(tokenizer, one) for one in ids[len(texts) :]]


def readable(text: str) -> str:
    """
    Display form of a token: without the leading space, or with "…" in front if it has none.

    Args:
        text (`str`): from [`token_text`].
    """
    if text.startswith(" ") and text.strip():
        text = text[1:]
    elif text.strip() and text[0].isalnum():
        text = f"…{text}"
    # Spaces, line ends and control characters are not visible.
    return "".join("␣" if char == " " else char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Tensor:
    """
    Counts the occurrences of each token in texts.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        texts (`Iterable[str]`): the texts.

    Returns:
        `torch.Tensor` of `int` [V]
    """
    given = list(texts)
    ids = (
        tokenizer(given, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        if given
        else []
    )
    flat = torch.tensor([one for row in ids for one in row], dtype=torch.long)
    return torch.bincount(flat, minlength=len(tokenizer))


def find_target_tokens(source_counts: Tensor, target_counts: Tensor) -> list[int]:
    """
    Finds the tokens that have a larger share of the target text than of the source text.

    Tokens that occur in neither text belong to the source language, because the vocabulary does.

    Args:
        source_counts (`torch.Tensor` [V]), target_counts (`torch.Tensor` [V]): from [`count_tokens`].

    Raises:
        ValueError: if a text has no tokens, or no token is more frequent in the target text.
    """
    totals = source_counts.sum(), target_counts.sum()
    if 0 in totals:
        raise ValueError("Counting tokens needs text in both languages; one side was empty.")
    found = torch.nonzero(target_counts * totals[0] > source_counts * totals[1]).flatten().tolist()
    if not found:
        raise ValueError("No token is more frequent in the target text: both sides hold the same tokens.")
    return found


@torch.inference_mode()
def rank_tokens(
    model: BackpackForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    top: int,
    target_tokens: Sequence[int] | None = None,
    scores_at_once: int = 2**24,
    progress: bool = False,
) -> Rankings:
    """
    Computes the lists of [`senses_of`] for many tokens, in chunks to save memory.

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer; rows of the language model head without a token are left
            out.
        ids (`Sequence[int]`): T tokens.
        top (`int`): tokens per list.
        target_tokens (`Sequence[int]`, *optional*): as in [`senses_of`].
        scores_at_once (`int`, *optional*, defaults to 2^24): largest number of scores in memory, 64 MiB in float32.
        progress (`bool`, *optional*, defaults to `False`): show a progress bar.

    Returns:
        `dict`: by name of the list, tokens and scores on the CPU, `torch.Tensor` [T, K, top] each.
    """
    if top < 1:
        raise ValueError(f"`top` must be at least 1, got {top}.")
    head = model.lm_head.weight[: len(tokenizer)]  # [V, D]
    candidates = _candidates(len(head), target_tokens, head.device)
    rows = max(scores_at_once // (model.config.num_senses * len(head)), 1)
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in candidates}
    with evaluating(model):
        chunks = torch.tensor(ids, device=head.device).split(rows)
        for chunk in tqdm(chunks, desc="Senses", unit="chunk", disable=not progress):
            scores = model.get_senses(chunk[None])[0].transpose(0, 1) @ head.T  # [T, K, V]
            for name, allowed in candidates.items():
                chosen = scores if len(allowed) == len(head) else scores[..., allowed]
                best = chosen.topk(min(top, len(allowed)), largest=name != "suppressed")
                parts[name].append((allowed[best.indices].cpu(), best.values.float().cpu()))  # [T, K, top]
    return {name: (torch.cat([a for a, _ in part]), torch.cat([b for _, b in part])) for name, part in parts.items()}


def _candidates(size: int, target_tokens: Sequence[int] | None, device: torch.device) -> Mapping[str, Tensor]:
    """Candidate tokens of each list."""
    every = torch.arange(size, device=device)
    candidates = {"strongest": every, "suppressed": every}
    if target_tokens is not None:
        is_target = torch.isin(every, torch.tensor(target_tokens, dtype=torch.long, device=device))
        if is_target.all() or not is_target.any():
            raise ValueError(f"`target_tokens` must name some of the {size:,} tokens, got {int(is_target.sum()):,}.")
        candidates |= {"strongest_source": every[~is_target], "strongest_target": every[is_target]}
    return candidates


@contextmanager
def evaluating(model: BackpackForCausalLM) -> Iterator[None]:
    """
    Evaluation mode inside of the block; the mode that the model was in after it.

    Args:
        model ([`BackpackForCausalLM`]): the model.
    """
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.inference_mode()
def mixture_of(model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, sentence: str) -> dict[str, Any]:
    """
    Computes the contribution of every sense of every earlier token to the prediction of each token of a sentence.

    The logit of the predicted token y at position t is a sum, sum_k sum_j C[k, t, j] (S[k, j] · W[y]); its terms are
    the contributions. The end-of-text token is the context of the first token, as in [`perplexity`].

    Args:
        model ([`BackpackForCausalLM`]): the model.
        tokenizer (`PreTrainedTokenizerBase`): its tokenizer, with an end-of-text token.
        sentence (`str`): the sentence.

    Returns:
        `dict`: `sentence`; `tokens`, each with `id` and `token`, the end-of-text token first; and `predictions`, the
        t-th of which is about token t + 1: its `id`, `token`, `logit`, `probability`, and as [K][t + 1] lists over the
        tokens before it `weights` (C) and `contributions`, which sum to the logit in the model's precision.

    Raises:
        ValueError: if the sentence is empty, cannot be encoded or is longer than the model's positions, or if the
            tokenizer has no end-of-text token.
    """
    ids = _sentence_ids(model, tokenizer, sentence)
    inputs, predicted = (torch.tensor(part, device=model.device) for part in (ids[:-1], ids[1:]))  # [L] each
    with evaluating(model):
        outputs = model(input_ids=inputs[None], use_cache=False, output_senses=True, output_contextualization=True)
    weights = outputs.contextualization[0].float()  # [K, L, L]
    projections = outputs.senses[0] @ model.lm_head.weight[predicted].T  # [K, L, L]
    contributions = weights * projections.float().transpose(1, 2)  # [K, L, L]
    logits = outputs.logits[0].float()  # [L, V]
    places = torch.arange(len(predicted), device=model.device)
    chosen = logits[places, predicted], logits.softmax(-1)[places, predicted]  # [L] each
    texts = token_texts(tokenizer, ids)
    tokens = [{"id": token_id, "token": text} for token_id, text in zip(ids, texts, strict=True)]
    predictions = [
        {
            **tokens[place + 1],
            "logit": logit,
            "probability": probability,
            "weights": weights[:, place, : place + 1].tolist(),
            "contributions": contributions[:, place, : place + 1].tolist(),
        }
        for place, (logit, probability) in enumerate(zip(*(values.tolist() for values in chosen), strict=True))
    ]
    return {"sentence": sentence, "tokens": tokens, "predictions": predictions}


def _sentence_ids(model: BackpackForCausalLM, tokenizer: PreTrainedTokenizerBase, sentence: str) -> list[int]:
    if tokenizer.eos_token_id is None:
        raise ValueError("The tokenizer has no end-of-text token, which is the context of a sentence's first token.")
    if not sentence.strip():
        raise ValueError("`sentence` is empty; expected text to predict.")
    ids = encode_text(tokenizer, sentence)
    positions = model.config.max_position_embeddings
    if len(ids) > positions:
        raise ValueError(f"The sentence {sentence[:40]!r} has {len(ids)} tokens; the model has {positions} positions.")
    return [tokenizer.eos_token_id, *ids]
