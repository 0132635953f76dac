import math

import numpy as np
import pytest
import torch

from sensia.evaluation import perplexity
from sensia.evaluation.perplexity import measure_perplexity, negative_log_likelihood

TEXTS = ["Simpan dokumen sebelum menutup jendela.", "Yes", "naïve café, 世界", ""]


def naive_nll(model, tokenizer, texts, positions):
    """Every token's negative log-likelihood, one window at a time: eos first, then what fits, without overlap."""
    nll, tokens = 0.0, 0
    for text in texts:
        ids = [tokenizer.eos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
        for start in range(0, len(ids) - 1, positions):
            context, wanted = ids[start : start + positions], ids[start + 1 : start + positions + 1]
            with torch.no_grad():
                scores = model(torch.tensor([context])).logits[0].double().log_softmax(-1)
            nll -= sum(float(scores[place, token]) for place, token in enumerate(wanted))
            tokens += len(wanted)
    return nll, tokens


@pytest.fixture(params=["backpack", "gpt2"])
def model(request):
    return request.getfixturevalue(request.param)


def test_every_token_is_predicted_once_from_the_eos_on(model, tokenizer):
    nll, tokens = naive_nll(model, tokenizer, TEXTS, 48)
    result = perplexity(model, tokenizer, TEXTS)
    assert result["tokens"] == tokens == sum(len(tokenizer.encode(text)) for text in TEXTS)
    assert result["perplexity"] == pytest.approx(math.exp(nll / tokens), rel=1e-5)
    assert result["bits_per_byte"] == pytest.approx(nll / math.log(2) / sum(len(t.encode()) for t in TEXTS), rel=1e-5)


def test_long_texts_go_in_windows_that_do_not_overlap(model, tokenizer):
    texts = [" ".join(TEXTS) * 5, "pendek"]
    nll, tokens = naive_nll(model, tokenizer, texts, 48)
    assert tokens > 4 * 48
    result = perplexity(model, tokenizer, texts)
    assert (result["tokens"], result["perplexity"]) == (tokens, pytest.approx(math.exp(nll / tokens), rel=1e-5))


def test_every_text_has_its_own_sum(model, tokenizer):
    texts = [" ".join(TEXTS) * 5, *TEXTS]  # one of several windows, one empty
    nll, tokens = negative_log_likelihood(model, tokenizer, texts, tokens_per_batch=100)
    alone = [naive_nll(model, tokenizer, [text], 48) for text in texts]
    assert tokens.tolist() == [count for _, count in alone]
    assert nll.tolist() == pytest.approx([nats for nats, _ in alone], rel=1e-5)


def test_intervals_are_those_of_other_texts_of_the_kind(model, tokenizer, bitext):
    texts = [*bitext["target"], ""]
    found = measure_perplexity(model, tokenizer, texts)
    assert found["metrics"] | {"tokens": found["tokens"]} == perplexity(model, tokenizer, texts)
    nll, tokens = (each.numpy()[:-1] for each in negative_log_likelihood(model, tokenizer, texts))
    sizes = np.array([len(text.encode()) for text in texts[:-1]])
    drawn = np.random.default_rng(1).integers(0, len(sizes), (4000, len(sizes)))
    per_byte = nll[drawn].sum(1) / np.log(2) / sizes[drawn].sum(1)
    per_token = np.exp(nll[drawn].sum(1) / tokens[drawn].sum(1))
    intervals = found["intervals"]
    assert intervals["bits_per_byte"] == pytest.approx(np.percentile(per_byte, [2.5, 97.5]), rel=0.01)
    assert intervals["perplexity"] == pytest.approx(np.percentile(per_token, [2.5, 97.5]), rel=0.02)


def test_batches_do_not_change_the_result(model, tokenizer, bitext):
    one = perplexity(model, tokenizer, bitext["target"], tokens_per_batch=1)
    many = perplexity(model, tokenizer, bitext["target"], tokens_per_batch=2000)
    assert many == pytest.approx(one, rel=1e-5)


def test_the_model_is_evaluated_without_dropout_and_left_as_it_was(backpack, tokenizer):
    expected = perplexity(backpack.eval(), tokenizer, TEXTS)
    assert perplexity(backpack.train(), tokenizer, TEXTS) == pytest.approx(expected)
    assert backpack.training
    backpack.eval()


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_nothing_to_predict_is_refused(backpack, tokenizer, texts):
    with pytest.raises(ValueError, match="at least one token"):
        perplexity(backpack, tokenizer, texts)


def test_one_string_is_no_list_of_texts(backpack, tokenizer):
    with pytest.raises(ValueError, match="list of texts"):
        perplexity(backpack, tokenizer, "a text")
