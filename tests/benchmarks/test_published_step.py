"""The published step that speed is measured against computes what the package computes."""

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import GPT2Config, PreTrainedTokenizerFast

from benchmarks.published_step import (
    LABEL_SMOOTHING,
    POOLING_TEMPERATURE,
    PublishedBackpack,
    PublishedTraining,
    objective,
    pad_side,
)
from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.trainers import ParallelCollator, PhaseSchedule, info_nce

PAD = 60
POINT = PhaseSchedule().at(35, 100)


@pytest.fixture
def model():
    torch.manual_seed(0)
    trunk = GPT2Config(
        vocab_size=PAD + 1,
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=4,
        scale_attn_by_inverse_layer_idx=True,
        bos_token_id=PAD,
        eos_token_id=PAD,
        **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0),
    )
    model = BackpackForCausalLM(BackpackConfig(trunk_config=trunk, num_senses=4, sense_dropout=0.0))
    with torch.no_grad():  # larger than at the start, so that every part counts
        for name, parameter in model.named_parameters():
            mean = 0.7 if "ln" in name and name.endswith("weight") else 0.0
            parameter.normal_(mean, 0.25)
    return model.train()


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    lengths = [(3, 7), (12, 9), (5, 18), (8, 2)]
    return [[torch.randint(0, PAD, (n,), generator=generator).tolist() for n in sides] for sides in lengths]


def our_losses(model, pairs):
    words = WordLevel({str(number): number for number in range(PAD + 1)}, unk_token="0")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token=str(PAD))
    rows = [{"source_ids": source, "target_ids": target} for source, target in pairs]
    batch = ParallelCollator(tokenizer)(rows)
    del batch["num_pairs"], batch["num_source_texts"]
    output = model(
        **batch, pooling_temperature=POOLING_TEMPERATURE, label_smoothing=LABEL_SMOOTHING, return_logits=False
    )
    entropies = output.mixture_entropy.chunk(2)
    found = {
        "ctx": info_nce(*output.context_vectors.chunk(2), POINT.tau_ctx, one_way=True),
        "sns": info_nce(*output.sense_vectors.chunk(2), POINT.tau_sns, one_way=True),
        "lm": output.loss,
        "lm_plain": output.plain_loss,
        "entropy_source": entropies[0].mean(),
        "entropy_target": entropies[1].mean(),
    }
    return {**found, "loss": objective(found, POINT)}


@pytest.mark.parametrize("length", [20, None], ids=["to a fixed length", "to the longest"])
def test_losses_and_gradients_are_those_of_the_package(model, pairs, length):
    published = PublishedBackpack(model.config, dropout=0.0)
    published.load_ours(model)
    training = PublishedTraining(published, POINT, PAD, autocast=False)
    found = training.backward(*(pad_side([pair[side] for pair in pairs], PAD, length) for side in (0, 1)))
    expected = our_losses(model, pairs)
    expected["loss"].backward()
    expected = {name: value.detach() for name, value in expected.items()}
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for theirs, ours in (
        (published.trunk, model.backpack.trunk),
        (published.sense_weights, model.backpack.weight_network.c_attn),
        (published.sense_network.final_mlp, model.backpack.sense_network.final_mlp),
    ):
        gradients = [[parameter.grad for parameter in module.parameters()] for module in (theirs, ours)]
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_a_published_step_reads_out_its_losses_and_moves_every_weight(model, pairs):
    published = PublishedBackpack(model.config)
    before = {name: value.clone() for name, value in published.named_parameters()}
    training = PublishedTraining(published, POINT, PAD)
    found = training.step(*(pad_side([pair[side] for pair in pairs], PAD, 32) for side in (0, 1)))
    assert all(isinstance(value, float) for value in found.values())
    assert all(not torch.equal(before[name], value) for name, value in published.named_parameters())
