"""Senses edited by hand and put into the naive equations: what steering has to give."""

import math

import torch
from naive_backpack import naive_contextualization, naive_mixture, naive_senses, naive_trunk
from tiny_backpacks import VOCABULARY
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from modeling_sensia.steering import ProjectOut, ScaleSenses, SwapSenses, TowardsTopic

SENSES, WIDTH = 4, 32
IDS = [5, 9, 5, 41, 9, 17, 3]
DIRECTION = tuple(math.sin(place + 1) for place in range(WIDTH))
BAG = (9, 30, 77)
EDITS = {
    "scale some": ScaleSenses([1, 3], 2.5, [5, 17]),
    "suppress all": ScaleSenses([2], 0.0),
    "swap": SwapSenses(9, 60),
    "swap one sense": SwapSenses(9, 60, [2]),
    "topic": TowardsTopic(BAG, 1.5),
    "away from topic": TowardsTopic(BAG, -1.0),
    "project out": ProjectOut([1], DIRECTION),
    "project out of some": ProjectOut(None, DIRECTION, [5]),
}


def close(found, wanted):
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def naive_table(parameters):
    """Sense vectors [V, K, D] of every token, by the naive equations."""
    return naive_senses(parameters, range(VOCABULARY), SENSES).transpose(0, 1)


def naive_edit(table, edit, words):
    """The table [V, K, D] after an edit, one vector at a time."""
    edited = table.clone()
    scores = naive_topic_scores(table, edit.token_ids, words) if isinstance(edit, TowardsTopic) else None
    logs = naive_topic_logs(scores) if scores else None
    for token in range(VOCABULARY):
        for sense in range(SENSES):
            vector = table[token, sense]
            if isinstance(edit, SwapSenses):
                if token == edit.token_id and (edit.senses is None or sense in edit.senses):
                    edited[token, sense] = table[edit.other_id, sense]
            elif isinstance(edit, TowardsTopic):
                edited[token, sense] = vector * math.exp(edit.strength * logs[token][sense])
            elif (edit.senses is None or sense in edit.senses) and (edit.token_ids is None or token in edit.token_ids):
                if isinstance(edit, ScaleSenses):
                    edited[token, sense] = vector * edit.factor
                else:
                    unit = torch.tensor(edit.direction).double() / math.sqrt(sum(x * x for x in edit.direction))
                    edited[token, sense] = vector - sum(vector * unit) * unit
    return edited


def naive_topic_scores(table, bag, words):
    scores = []
    for token in range(VOCABULARY):
        scores.append([])
        for sense in range(SENSES):
            logits = [float(word @ table[token, sense]) for word in words]
            scores[-1].append(sum(logits[word] for word in bag) / max(logits))
    return scores


def naive_topic_logs(scores):
    """The log factors, with quantiles by linear interpolation between the sorted scores."""
    ordered = sorted(score for row in scores for score in row)

    def quantile(share):
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])

    upper, lower = quantile(0.8), quantile(0.6)
    steps = [[math.log(1.5 if s > upper else 1.3 if s > lower else 1.0) for s in row] for row in scores]
    mean = sum(sum(row) for row in steps) / len(ordered)
    return [[step - mean for step in row] for row in steps]


def naive_logits(parameters, table, ids):
    """Logits [L, V] with the sense vectors of a table."""
    senses = torch.stack([table[token] for token in ids], dim=1)  # [K, L, D]
    states = naive_trunk(parameters, ids, 4, True)
    mixture = naive_mixture(naive_contextualization(parameters, states, SENSES), senses)
    return mixture @ parameters["backpack.gpt2_model.wte.weight"].T


def expected(parameters, table, edits, ids):
    for edit in edits:
        table = naive_edit(table, edit, parameters["backpack.gpt2_model.wte.weight"])
    return naive_logits(parameters, table, ids)


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(torch.tensor([ids]), **kwargs).logits[0]


def words_tokenizer(stem="word"):
    """Token i is the stem and i; the last of the model's is that of unknown words."""
    words = {f"{stem}{number}": number for number in range(VOCABULARY - 1)} | {"?": VOCABULARY - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")
