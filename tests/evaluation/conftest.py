import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.corpora import clean_pairs, read_pairs
from sensia.trainers.pretraining import train_tokenizer

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"


@pytest.fixture(scope="session")
def bitext():
    return read_pairs(BITEXT, source_language="en", target_language="id").select(range(60))


@pytest.fixture(scope="session")
def tokenizer(bitext):
    return train_tokenizer(bitext["source"], 400)


@pytest.fixture(scope="session")
def trunk(tokenizer):
    eos = tokenizer.eos_token_id
    return GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=48, bos_token_id=eos, eos_token_id=eos
    )


@pytest.fixture(scope="session")
def backpack(trunk):
    torch.manual_seed(0)
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4)).eval()


@pytest.fixture(scope="session")
def gpt2(trunk):
    torch.manual_seed(0)
    return GPT2LMHeadModel(trunk).eval()


@pytest.fixture(scope="session")
def pairs(bitext, tokenizer):
    return clean_pairs(bitext, tokenizer, max_length=48)[0]
