"""Tokenizers whose special tokens stand outside the vocabulary of the BPE, and around each text: Llama 3's kind."""
# ruff: noqa: RUF001

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.corpora.tokenizer_pruning import _parts_of, prune_tokenizer

ENGLISH = ["The birch stands beside the river, and the bird sings."] * 20
TURKISH = ["Bir kuş ırmağın kıyısındaki ağaçta ötüyor."] * 20


@pytest.fixture(scope="module")
def base():
    backend = Tokenizer(models.BPE(ignore_merges=True))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        ENGLISH, trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    )
    backend.add_special_tokens([AddedToken(each, special=True) for each in ("<|begin|>", "<|end|>")])
    begin = ("<|begin|>", backend.token_to_id("<|begin|>"))
    backend.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[begin])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|begin|>", eos_token="<|end|>")


def test_special_tokens_outside_the_vocabulary_keep_their_ids_when_tokens_are_added(base):
    extension = extend_tokenizer(base, ENGLISH, TURKISH, 10)
    assert extension.tokenizer.bos_token_id == base.bos_token_id
    assert extension.tokenizer.eos_token_id == base.eos_token_id
    assert extension.new_ids == list(range(len(base), len(base) + 10))


def test_the_token_put_before_each_text_has_its_new_id_after_pruning(base):
    smaller, old_ids = prune_tokenizer(base, TURKISH)
    assert len(smaller) < len(base)
    assert [old_ids[number] for number in smaller(TURKISH[0])["input_ids"]] == base(TURKISH[0])["input_ids"]


def test_parts_of_a_token_that_a_late_merge_makes_are_kept():
    merges = [["b", "c"], ["a", "bc"], ["abc", "d"], ["a", "b"], ["ab", "c"]]
    assert _parts_of({"abcd"}, merges) == {"a", "b", "c", "d", "ab", "bc", "abc", "abcd"}
