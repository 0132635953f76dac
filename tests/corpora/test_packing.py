import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from sensia.corpora import pack_texts


def joined_ids(texts, tokenizer):
    ids = []
    for text in texts:
        ids += [*tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, tokenizer.eos_token_id]
    return ids


def test_blocks_are_the_joined_documents_without_the_remainder(tokenizer, dev_rows, tmp_path):
    texts = [row["en"] for row in dev_rows[:30]]
    expected = joined_ids(texts, tokenizer)
    blocks = pack_texts(texts, tokenizer, 64, tmp_path / "blocks.npy")
    assert blocks.shape == (len(expected) // 64, 64)
    assert blocks.ravel().tolist() == expected[: blocks.size]
    assert 0 < len(expected) - blocks.size < 64


def test_documents_beyond_one_chunk_follow_in_order(tokenizer, tmp_path):
    texts = [f"text {number}" for number in range(2500)]
    blocks = pack_texts(iter(texts), tokenizer, 1, tmp_path / "blocks.npy")
    assert blocks.ravel().tolist() == joined_ids(texts, tokenizer)


def test_blank_documents_leave_no_token(tokenizer, tmp_path):
    with_blanks = pack_texts(["a", "", " \n", "a"], tokenizer, 2, tmp_path / "1.npy")
    assert with_blanks.tolist() == pack_texts(["a", "a"], tokenizer, 2, tmp_path / "2.npy").tolist()


def test_a_small_vocabulary_takes_two_bytes_a_token(tokenizer, tmp_path):
    assert pack_texts(["abc"], tokenizer, 1, tmp_path / "blocks.npy").dtype == np.uint16


def test_a_vocabulary_of_more_than_65536_ids_takes_four_bytes_a_token(tokenizer, tmp_path):
    large = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|endoftext|>")
    large.add_tokens([f"<extra{number}>" for number in range(65_536)])
    blocks = pack_texts(["<extra65535>"], large, 1, tmp_path / "blocks.npy")
    assert blocks.dtype == np.uint32
    assert blocks[0, 0] == large.convert_tokens_to_ids("<extra65535>") > 65_535


def test_less_than_one_block_is_refused(tokenizer, tmp_path):
    tokens = len(joined_ids(["Selamat pagi."], tokenizer))
    with pytest.raises(ValueError, match=f"the texts have {tokens} tokens, less than one block of {tokens + 1}"):
        pack_texts(["Selamat pagi."], tokenizer, tokens + 1, tmp_path / "blocks.npy")


def test_no_texts_are_refused(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="the texts have 0 tokens"):
        pack_texts([], tokenizer, 8, tmp_path / "blocks.npy")


def test_a_tokenizer_without_eos_is_refused(tokenizer, tmp_path):
    without = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="no eos token"):
        pack_texts(["a"], without, 1, tmp_path / "blocks.npy")


def test_only_whole_blocks_are_left_in_the_folder(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="less than one block"):
        pack_texts(["a"], tokenizer, 1000, tmp_path / "short.npy")
    pack_texts(["a", "b"], tokenizer, 1, tmp_path / "blocks.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["blocks.npy"]
