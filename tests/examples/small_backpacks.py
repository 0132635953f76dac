"""Two Backpacks with one small tokenizer, some of whose tokens would be HTML if they were not escaped."""

import torch
from transformers import GPT2Config

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.corpora import read_pairs
from sensia.trainers.pretraining import train_tokenizer

BITEXT = "examples/assets/bitext/en-id.dev-indomain.parquet"
HOSTILE = ["</script>", "<img src=x onerror=alert(1)>", " <!--"]


def small_tokenizer(size=400):
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(60))
    tokenizer = train_tokenizer(rows["source"], size)
    tokenizer.add_tokens(HOSTILE)
    return tokenizer


def small_backpack(tokenizer, num_senses, seed):
    """Weights are large enough that scores differ in what the page shows of them."""
    torch.manual_seed(seed)
    eos = tokenizer.eos_token_id
    trunk = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=1,
        n_head=2,
        n_positions=48,
        bos_token_id=eos,
        eos_token_id=eos,
        initializer_range=0.4,
    )
    return BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=num_senses)).eval()


def save(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
