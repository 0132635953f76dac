import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from sensia.trainers import ParallelCollator
from sensia.trainers.dense_alignment import (
    DenseAlignmentConfig,
    DenseAlignmentTrainer,
    check_dense_model,
    encode_dense,
)

DENSE = (DenseAlignmentConfig, DenseAlignmentTrainer)
SIZES = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 0}


def dense_model(family="gpt2", attention="eager"):
    torch.manual_seed(0)
    if family == "gpt2":
        config = GPT2Config(n_positions=64, n_embd=32, n_layer=4, n_head=4, **SIZES)
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            setattr(config, name, 0.0)
        model = GPT2LMHeadModel(config)
    else:
        model = LlamaForCausalLM(
            LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4, **SIZES)
        )
    model.set_attn_implementation(attention)
    return model.double()


def one_by_one(model, sentences, pooling):
    """Unit vectors of the last and the middle layer, each sentence encoded alone."""
    layers = []
    for layer in (-1, 2):
        states = [
            model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0] for ids in sentences
        ]  # [L, D] each
        pooled = torch.stack([each[-1] if pooling == "last_token" else each.mean(0) for each in states])
        layers.append(F.normalize(pooled, dim=-1))
    return layers


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("pooling", ["last_token", "mean"])
def test_vectors_are_those_of_each_sentence_alone(pairs, tokenizer, family, attention, pooling):
    model = dense_model(family, attention)
    chosen = list(pairs.select(range(6)))
    batch = ParallelCollator(tokenizer, packing=True)(chosen)
    assert batch["input_ids"].shape[0] < 12  # sentences do share rows
    encoded = encode_dense(model, model.get_output_embeddings(), batch, pooling)
    sentences = [pair["source_ids"] for pair in chosen] + [pair["target_ids"] for pair in chosen]
    last, middle = one_by_one(model, sentences, pooling)
    torch.testing.assert_close(encoded["context_vectors"], last)
    torch.testing.assert_close(encoded["sense_vectors"], middle)


def test_losses_and_their_gradient_are_those_of_the_targets_one_by_one(pairs, tokenizer):
    model = dense_model()
    chosen = list(pairs.select(range(5)))
    batch = ParallelCollator(tokenizer, packing=True)(chosen)
    encoded = encode_dense(model, model.get_output_embeddings(), batch, "mean", label_smoothing=0.1)
    encoded["loss"].backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    logits = torch.cat([model(torch.tensor([pair["target_ids"]])).logits[0, :-1] for pair in chosen])
    labels = torch.cat([torch.tensor(pair["target_ids"][1:]) for pair in chosen])
    expected = F.cross_entropy(logits, labels, label_smoothing=0.1)
    expected.backward()
    torch.testing.assert_close(encoded["loss"], expected)
    torch.testing.assert_close(encoded["plain_loss"], F.cross_entropy(logits, labels))
    for gradient, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, atol=1e-9, rtol=1e-6)


def test_a_head_with_a_bias_is_refused():
    model = dense_model()
    model.set_output_embeddings(torch.nn.Linear(32, 400))
    with pytest.raises(ValueError, match="linear head without bias"):
        check_dense_model(model)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CohereConfig, "a cohere changes them by `logit_scale` 0.0625"),
        (Gemma2Config, "a gemma2 changes them by `final_logit_softcapping` 30.0"),
    ],
)
def test_a_model_that_changes_its_logits_is_refused(make_trainer, config, message):
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config = config(hidden_size=32, intermediate_size=64, pad_token_id=0, **sizes, **SIZES)
    with pytest.raises(ValueError, match=message):
        make_trainer(AutoModelForCausalLM.from_config(config), kinds=DENSE)


@pytest.mark.parametrize("representation", ["last_token", "mean"])
def test_the_trainer_aligns_a_dense_model(make_trainer, representation):
    trainer = make_trainer(
        dense_model().float(), kinds=DENSE, representation=representation, max_steps=40, learning_rate=3e-3
    )
    trainer.train()
    losses = [entry["loss_ctx"] + entry["loss_sns"] for entry in trainer.state.log_history if "loss_ctx" in entry]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    assert "entropy_source" not in trainer.state.log_history[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"representation": "first"}, "must be one of last_token, mean"),
        ({"polish_freeze": "sense_network"}, "`polish_freeze` must be none, got sense_network"),
        ({"packing": False}, "`packing` must be True"),
        ({"sense_learning_rate": 1e-3}, "`sense_learning_rate` must be None"),
        ({"middle_layer": 0}, "`middle_layer` must be at least 1"),
        ({}, "takes a dense model, got a Backpack"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(make_trainer, settings, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(kinds=DENSE, **settings)


def test_a_layer_that_is_not_there_is_refused(make_trainer):
    with pytest.raises(ValueError, match="`middle_layer` must be at most 4, the last layer, got 5"):
        make_trainer(dense_model().float(), kinds=DENSE, middle_layer=5)


@pytest.mark.parametrize(("pooling", "layer"), [("last_token", None), ("mean", 3)])
def test_held_out_figures_are_those_of_each_sentence_alone(make_trainer, pairs, tokenizer, pooling, layer):
    model, chosen = dense_model().float(), pairs.select(range(12))
    settings = {"representation": pooling, "middle_layer": layer, "per_device_eval_batch_size": 5}
    found = make_trainer(model, evaluate=chosen, kinds=DENSE, **settings).measure(chosen)
    model = dense_model()
    states = {}
    for side in ("source_ids", "target_ids"):
        outputs = [model(torch.tensor([ids]), output_hidden_states=True).hidden_states for ids in chosen[side]]
        for name, place in (("context", -1), ("sense", layer or 2)):
            rows = [each[place][0] for each in outputs]
            pooled = [row[-1] if pooling == "last_token" else row.mean(0) for row in rows]
            states[name, side] = F.normalize(torch.stack(pooled), dim=-1)
    for name in ("context", "sense"):
        cosines = states[name, "source_ids"] @ states[name, "target_ids"].T
        right = (cosines.argmax(1) == torch.arange(12)).double().mean().item()
        assert found[f"{name}_recall@1_source_to_target"] == pytest.approx(right)
    nll = tokens = 0
    for ids in chosen["target_ids"]:
        row = torch.tensor([[ids[-1], *ids[:-1]]])
        nll += F.cross_entropy(model(row).logits[0, :-1], row[0, 1:], reduction="sum").item()
        tokens += len(ids) - 1
    assert found["perplexity"] == pytest.approx(torch.tensor(nll / tokens).exp().item(), rel=1e-4)
    assert not any("entropy" in name for name in found)


def test_the_trainer_of_backpacks_refuses_a_dense_model(make_trainer):
    with pytest.raises(ValueError, match="adapts Backpacks, got a model of type gpt2"):
        make_trainer(dense_model())
