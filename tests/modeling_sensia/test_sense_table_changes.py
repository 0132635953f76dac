"""The sense table goes when the senses change, and only then."""

import pytest
import torch
from kept_senses import close, generate, logits, wide_backpack
from peft import LoraConfig, get_peft_model
from tiny_backpacks import VOCABULARY, tiny_backpack, tiny_config, token_ids

IDS = token_ids(2, 9)
TABLES = ["all", "some"]


def table_of(model):
    return model.backpack.sense_table


def without_table(model, **kwargs):
    """The logits that these weights give without any table."""
    kept, model.backpack.sense_table = table_of(model), None
    try:
        return logits(model, IDS, **kwargs)
    finally:
        model.backpack.sense_table = kept


# Changes


def step(model, optimizer, **kwargs):
    optimizer = optimizer(model.parameters(), lr=0.1, **kwargs)
    model(IDS, labels=IDS).loss.backward()
    optimizer.step()


@torch.no_grad()
def change_row(model):
    model.get_input_embeddings().weight[IDS[0, 0]].mul_(1.5)


@torch.inference_mode()
def change_row_in_inference_mode(model):
    model.get_input_embeddings().weight[IDS[0, 0]].mul_(1.5)


@torch.no_grad()
def change_a_bias(model):
    model.backpack.sense_network.block.ln_2.bias[3] += 1


def halve_precision_and_back(model):
    model.to(torch.bfloat16).to(torch.float32)


def load_other_weights(model, assign):
    model.load_state_dict({name: tensor * 1.1 for name, tensor in model.state_dict().items()}, assign=assign)


CHANGES = {
    "training mode": lambda model: model.train().eval(),
    "sgd": lambda model: step(model, torch.optim.SGD),
    "adamw": lambda model: step(model, torch.optim.AdamW, foreach=False),
    "adamw foreach": lambda model: step(model, torch.optim.AdamW, foreach=True),
    "adamw fused": lambda model: step(model, torch.optim.AdamW, fused=True),
    "one row": change_row,
    "one row in inference mode": change_row_in_inference_mode,
    "one number": change_a_bias,
    "data of the embeddings": lambda model: model.get_input_embeddings().weight.data.mul_(1.5),
    "data of the senses": lambda model: model.backpack.sense_network.final_mlp.c_proj.weight.data.add_(0.1),
    "load_state_dict": lambda model: load_other_weights(model, assign=False),
    "load_state_dict, assigned": lambda model: load_other_weights(model, assign=True),
    "more tokens": lambda model: model.resize_token_embeddings(VOCABULARY + 20),
    "fewer tokens": lambda model: model.resize_token_embeddings(VOCABULARY - 1),
    "bfloat16": lambda model: model.to(torch.bfloat16),
    "there and back": halve_precision_and_back,
    "other embeddings": lambda model: model.set_input_embeddings(torch.nn.Embedding(VOCABULARY, 32)),
    "from parameters": lambda model: torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(model.parameters()) * 1.1, model.parameters()
    ),
}  # fmt: skip
NO_CHANGES = {
    "evaluation mode": lambda model: model.eval(),
    "generation": lambda model: generate(model, IDS, num_beams=2),
    "no other dtype": lambda model: model.float(),
    "tying": lambda model: model.tie_weights(),
    "freezing": lambda model: model.requires_grad_(False),
    "a gradient": lambda model: model(IDS, labels=IDS).loss.backward(),
    "a state dict": lambda model: model.state_dict(),
    "another trunk": lambda model: torch.nn.init.normal_(model.backpack.weight_network.c_attn.weight),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_weights_drops_the_table(change, table):
    model = wide_backpack(table=table)
    logits(model, IDS)
    change(model)
    ids = IDS.clamp(max=model.config.vocab_size - 1)
    found = logits(model, ids)
    assert table_of(model) is None
    assert torch.equal(found, logits(model, ids))


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_leaves_the_senses_alone_keeps_the_table(change):
    model = wide_backpack(table="all")
    table = table_of(model)
    change(model)
    found = logits(model, IDS)
    assert table_of(model) is table
    close(found, without_table(model))


def test_new_rows_written_through_data_drop_the_table():
    config = tiny_config(num_senses=8, trunk_overrides={"vocab_size": 4096})
    model = tiny_backpack(config)
    model.precompute_senses()
    model.get_input_embeddings().weight.data[-7:] = 1.0  # as new tokens' embeddings are often set
    ids = torch.tensor([[5, 4093, 4094]])
    found = logits(model, ids)
    model.train().eval()
    close(found, logits(model, ids))


def change_activation(model):
    model.backpack.sense_network.final_mlp.activation = torch.nn.ReLU()


@pytest.mark.parametrize("target", ["final_mlp.c_proj", "final_mlp.c_fc", "wte"])
def test_a_new_adapter_drops_the_table(target):
    model = wide_backpack(table="all")
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(target_modules=[target], init_lora_weights=False)).eval()
    assert not torch.allclose(logits(adapted, IDS), logits(wide_backpack(), IDS), atol=0.1)
    assert table_of(model) is None
