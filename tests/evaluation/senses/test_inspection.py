import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, PreTrainedTokenizerFast

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.evaluation.senses.inspection import (
    count_tokens,
    find_target_tokens,
    mixture_of,
    rank_tokens,
    readable,
    senses_of,
    token_text,
    token_texts,
)

SENTENCE = "Simpan dokumen sebelum keluar."


def naive_scores(model, token_id):
    """Score of every token of the LM head for each sense of one token, by loops over plain numbers."""
    with torch.no_grad():
        senses = model.get_senses(torch.tensor([[token_id]]))[0, :, 0].double().tolist()  # [K][D]
    head = model.get_output_embeddings().weight.double().tolist()  # [V][D]
    return [[sum(a * b for a, b in zip(sense, row, strict=True)) for row in head] for sense in senses]


def naive_list(scores, allowed, top, largest=True):
    return sorted(allowed, key=lambda token: -scores[token] if largest else scores[token])[:top]


def ids_of(entries):
    return [entry["id"] for entry in entries]


def words_of(tokenizer, count):
    """English words that are `count` tokens after a space."""
    words = ["the", "file", "document", "window", "save", "to", "and"]
    return [word for word in words if len(tokenizer.encode(f" {word}")) == count]


@pytest.fixture(scope="module")
def word(tokenizer):
    return words_of(tokenizer, 1)[0]


def test_each_sense_lists_the_tokens_it_raises_and_lowers_most(backpack, tokenizer, word):
    (token,) = senses_of(backpack, tokenizer, word, top=5)["tokens"]
    assert token["id"] == tokenizer.encode(f" {word}")[0] and token["token"] == f" {word}"
    scores = naive_scores(backpack, token["id"])
    assert [sense["sense"] for sense in token["senses"]] == [0, 1, 2, 3]
    for sense in token["senses"]:
        expected = scores[sense["sense"]]
        assert ids_of(sense["strongest"]) == naive_list(expected, range(len(expected)), 5)
        assert ids_of(sense["suppressed"]) == naive_list(expected, range(len(expected)), 5, largest=False)
        for entry in sense["strongest"] + sense["suppressed"]:
            assert entry["score"] == pytest.approx(expected[entry["id"]], abs=1e-6)
            assert entry["token"] == token_text(tokenizer, entry["id"])


def test_the_two_languages_are_listed_apart(backpack, tokenizer, word):
    every = naive_scores(backpack, tokenizer.encode(f" {word}")[0])
    # With the best tokens of all, so that the source list differs from the list of both.
    target = sorted({3, 50, 51, 200, *(max(range(len(scores)), key=scores.__getitem__) for scores in every)})
    (token,) = senses_of(backpack, tokenizer, word, top=4, target_tokens=target)["tokens"]
    source = [one for one in range(len(tokenizer)) if one not in target]
    for sense, scores in zip(token["senses"], every, strict=True):
        assert ids_of(sense["strongest_target"]) == naive_list(scores, target, 4)
        assert ids_of(sense["strongest_source"]) == naive_list(scores, source, 4)
        assert ids_of(sense["strongest"]) == naive_list(scores, range(len(scores)), 4)


def test_a_word_of_several_tokens_has_the_senses_of_each(backpack, tokenizer):
    word = "jendela"
    ids = tokenizer.encode(f" {word}")
    assert len(ids) > 2
    tokens = senses_of(backpack, tokenizer, f" {word} ", top=3)["tokens"]
    assert [token["id"] for token in tokens] == ids
    for token in tokens:
        expected = naive_scores(backpack, token["id"])
        assert [ids_of(sense["strongest"]) for sense in token["senses"]] == [
            naive_list(scores, range(len(scores)), 3) for scores in expected
        ]


def test_tokens_in_small_chunks_rank_the_same(backpack, tokenizer):
    ids = list(range(0, 400, 9))
    whole = rank_tokens(backpack, tokenizer, ids, 6, [1, 2, 3])
    # 4 senses of 400 tokens: two tokens at a time.
    pieces = rank_tokens(backpack, tokenizer, ids, 6, [1, 2, 3], scores_at_once=3500)
    for name, (tokens, scores) in whole.items():
        assert tokens.shape == (45, 4, 3 if name == "strongest_target" else 6)
        torch.testing.assert_close(pieces[name][0], tokens, rtol=0, atol=0)
        torch.testing.assert_close(pieces[name][1], scores)


def test_rows_of_the_head_without_a_token_are_never_listed(tokenizer, word):
    torch.manual_seed(0)
    trunk = GPT2Config(vocab_size=len(tokenizer) + 8, n_embd=32, n_layer=1, n_head=2, n_positions=48)
    model = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=2)).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight[-8:] *= 100
    (token,) = senses_of(model, tokenizer, word, top=500)["tokens"]
    for sense in token["senses"]:
        assert sorted(ids_of(sense["strongest"])) == list(range(len(tokenizer)))


def test_contributions_are_weight_times_projection_and_sum_to_the_logit(backpack, tokenizer):
    ids = [tokenizer.eos_token_id, *tokenizer.encode(SENTENCE)]
    with torch.no_grad():
        outputs = backpack(torch.tensor([ids[:-1]]), output_senses=True, output_contextualization=True)
    weights, senses = outputs.contextualization[0].double(), outputs.senses[0].double()
    head = backpack.get_output_embeddings().weight.detach().double()
    mixture = mixture_of(backpack, tokenizer, SENTENCE)
    assert [token["id"] for token in mixture["tokens"]] == ids
    assert len(mixture["predictions"]) == len(ids) - 1
    for t, prediction in enumerate(mixture["predictions"]):
        assert prediction["id"] == ids[t + 1]
        assert prediction["logit"] == pytest.approx(outputs.logits[0, t, ids[t + 1]].item(), abs=1e-6)
        total = 0.0
        for k in range(4):
            assert len(prediction["weights"][k]) == len(prediction["contributions"][k]) == t + 1
            for j in range(t + 1):
                weight = weights[k, t, j].item()
                term = weight * sum((senses[k, j] * head[ids[t + 1]]).tolist())
                assert prediction["weights"][k][j] == pytest.approx(weight, abs=1e-6)
                assert prediction["contributions"][k][j] == pytest.approx(term, abs=1e-6)
                total += prediction["contributions"][k][j]
        assert total == pytest.approx(prediction["logit"], abs=1e-5)


def test_probabilities_are_those_of_the_model(backpack, tokenizer):
    ids = [tokenizer.eos_token_id, *tokenizer.encode(SENTENCE)]
    with torch.no_grad():
        logits = backpack(torch.tensor([ids])).logits[0].double()
    for t, prediction in enumerate(mixture_of(backpack, tokenizer, SENTENCE)["predictions"]):
        exponentials = logits[t].exp()
        expected = (exponentials[ids[t + 1]] / exponentials.sum()).item()
        assert prediction["probability"] == pytest.approx(expected, rel=1e-5)


def test_results_are_plain_values(backpack, tokenizer, word):
    results = [senses_of(backpack, tokenizer, word, target_tokens=[5]), mixture_of(backpack, tokenizer, SENTENCE)]
    assert json.loads(json.dumps(results)) == results


def test_a_model_in_training_is_seen_without_dropout_and_left_training(trunk, tokenizer, word):
    torch.manual_seed(0)
    model = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4, sense_dropout=0.5)).eval()
    expected = senses_of(model, tokenizer, word), mixture_of(model, tokenizer, SENTENCE)
    model.train()
    assert (senses_of(model, tokenizer, word), mixture_of(model, tokenizer, SENTENCE)) == expected
    assert model.training


def test_a_sentence_may_fill_the_positions_but_no_more(backpack, tokenizer):
    ids = tokenizer.encode(SENTENCE * 10)
    fits, too_long = tokenizer.decode(ids[:48]), tokenizer.decode(ids[:49])
    assert len(tokenizer.encode(fits)) == 48
    assert len(mixture_of(backpack, tokenizer, fits)["predictions"]) == 48
    with pytest.raises(ValueError, match="49 tokens; the model has 48 positions"):
        mixture_of(backpack, tokenizer, too_long)


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_text_is_refused(backpack, tokenizer, text):
    with pytest.raises(ValueError, match="`word` is empty"):
        senses_of(backpack, tokenizer, text)
    with pytest.raises(ValueError, match="`sentence` is empty"):
        mixture_of(backpack, tokenizer, text)


def test_half_a_surrogate_pair_is_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match="cannot write"):
        senses_of(backpack, tokenizer, "a\ud800")


def test_a_word_unknown_to_the_tokenizer_is_refused(backpack):
    words = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "yes": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    assert senses_of(backpack, tokenizer, "yes")["tokens"][0]["id"] == 2
    with pytest.raises(ValueError, match=r"cannot write 'maybe'"):
        senses_of(backpack, tokenizer, "maybe")


def test_a_tokenizer_without_end_of_text_has_no_mixtures(backpack, tokenizer):
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="no end-of-text token"):
        mixture_of(backpack, bare, SENTENCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top": 0}, "got 0"), ({"target_tokens": []}, "got 0"), ({"target_tokens": range(400)}, "got 400")],
)
def test_impossible_lists_are_refused(backpack, tokenizer, word, options, message):
    with pytest.raises(ValueError, match=message):
        senses_of(backpack, tokenizer, word, **options)


def test_tokens_are_counted_one_by_one(tokenizer, bitext):
    counts = count_tokens(tokenizer, bitext["source"])
    every = [token for text in bitext["source"] for token in tokenizer.encode(text)]
    assert counts.tolist() == [every.count(token) for token in range(len(tokenizer))]


def test_target_tokens_are_those_with_a_larger_share_of_target_text():
    # Shares of source: 1/2, 1/2, 0, 0; of target: 1/4, 1/2, 1/4, 0.
    assert find_target_tokens(torch.tensor([4, 4, 0, 0]), torch.tensor([1, 2, 1, 0])) == [2]


@pytest.mark.parametrize(
    ("source", "target", "message"), [([1, 2], [0, 0], "one side was empty"), ([1, 2], [2, 4], "the same tokens")]
)
def test_sides_that_tell_no_tokens_apart_are_refused(source, target, message):
    with pytest.raises(ValueError, match=message):
        find_target_tokens(torch.tensor(source), torch.tensor(target))


def test_pieces_of_a_letter_are_numbered(tokenizer):
    ids = tokenizer.encode("a世b")
    assert len(ids) == 5
    assert token_texts(tokenizer, ids) == ["a", "世(1/3)", "世(2/3)", "世(3/3)", "b"]
    assert token_texts(tokenizer, ids[:3]) == ["a", *tokenizer.convert_ids_to_tokens(ids[1:3])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" save", "save"), ("ing", "…ing"), (" ", "␣"), (".", "."), (" a b", "a␣b"), ("\n", "\\u000a"), ("[b]", "[b]")],
)
def test_tokens_are_made_readable(text, expected):
    assert readable(text) == expected
