"""Small checkpoints in the layout of the public `stanfordnlp/backpack-gpt2`, made of random tensors."""

import json

import torch
from safetensors.torch import save_file

NUM_SENSES, NUM_HEADS, NUM_LAYERS, WIDTH, VOCABULARY, POSITIONS = 4, 4, 2, 32, 61, 24
#: One tensor under several names; the first is the one that a de-duplicated file keeps.
WORD_NAMES = ("backpack.gpt2_model.wte.weight", "backpack.word_embeddings.weight", "lm_head.weight")
POSITION_NAMES = ("backpack.gpt2_model.wpe.weight", "backpack.position_embeddings.weight")
ALIASES = {**dict.fromkeys(WORD_NAMES[1:], WORD_NAMES[0]), POSITION_NAMES[1]: POSITION_NAMES[0]}


def public_shapes():
    """Every name of the public layout but the aliases, with its shape."""
    shapes = {WORD_NAMES[0]: (VOCABULARY, WIDTH), POSITION_NAMES[0]: (POSITIONS, WIDTH)}
    for layer in range(NUM_LAYERS):
        block = f"backpack.gpt2_model.h.{layer}"
        shapes |= norm(f"{block}.ln_1") | norm(f"{block}.ln_2")
        shapes |= conv(f"{block}.attn.c_attn", WIDTH, 3 * WIDTH) | conv(f"{block}.attn.c_proj", WIDTH, WIDTH)
        shapes |= conv(f"{block}.mlp.c_fc", WIDTH, 4 * WIDTH) | conv(f"{block}.mlp.c_proj", 4 * WIDTH, WIDTH)
    shapes |= norm("backpack.gpt2_model.ln_f")
    sense = "backpack.sense_network"
    shapes |= norm(f"{sense}.block.ln_1") | norm(f"{sense}.block.ln_2") | norm(f"{sense}.ln")
    shapes |= conv(f"{sense}.block.mlp.c_fc", WIDTH, 4 * WIDTH) | conv(f"{sense}.block.mlp.c_proj", 4 * WIDTH, WIDTH)
    shapes |= conv(f"{sense}.final_mlp.c_fc", WIDTH, 4 * WIDTH)
    shapes |= conv(f"{sense}.final_mlp.c_proj", 4 * WIDTH, NUM_SENSES * WIDTH)
    heads = 2 * NUM_SENSES * (WIDTH // NUM_SENSES)
    weights = "backpack.sense_weight_net.c_attn"
    return shapes | {f"{weights}.weight": (heads, WIDTH), f"{weights}.bias": (heads,)}


def norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def conv(name, inputs, outputs):
    return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}


def public_tensors():
    """The distinct tensors, without aliases."""
    generator = torch.Generator().manual_seed(0)
    noise = {name: torch.randn(shape, generator=generator) * 0.25 for name, shape in public_shapes().items()}
    # The only vectors that are weights are those of the norms, which scale by about one.
    return {name: tensor + (tensor.ndim == 1 and name.endswith("weight")) for name, tensor in noise.items()}


def all_names(tensors):
    """The tensors under every name, aliases sharing their storage."""
    return tensors | {alias: tensors[kept] for alias, kept in ALIASES.items()}


def legacy_buffers():
    """The causal masks that files of older transformers carry in every layer."""
    buffers = {}
    for layer in range(NUM_LAYERS):
        mask = torch.ones(POSITIONS, POSITIONS, dtype=torch.uint8).tril()[None, None]
        buffers[f"backpack.gpt2_model.h.{layer}.attn.bias"] = mask
        buffers[f"backpack.gpt2_model.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return buffers


def public_config(**changes):
    """The configuration as the public code writes it."""
    return {
        "activation_function": "gelu_new",
        "architectures": ["BackpackGPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "auto_map": {
            "AutoConfig": "configuration_backpack_gpt2.BackpackGPT2Config",
            "AutoModelForCausalLM": "modeling_backpack_gpt2.BackpackGPT2LMHeadModel",
        },
        "bos_token_id": 58,
        "embd_pdrop": 0.1,
        "eos_token_id": 58,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_embd": WIDTH,
        "n_head": NUM_HEADS,
        "n_inner": None,
        "n_layer": NUM_LAYERS,
        "n_positions": POSITIONS,
        "num_senses": NUM_SENSES,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": True,
        "scale_attn_weights": True,
        "sense_intermediate_scale": 4,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "torch_dtype": "float32",
        "transformers_version": "4.30.0",
        "use_cache": True,
        "vocab_size": VOCABULARY,
        **changes,
    }


def write_config(folder, **changes):
    (folder / "config.json").write_text(json.dumps(public_config(**changes)))
    return folder


def write_pickled(folder, tensors):
    torch.save(all_names(tensors), folder / "pytorch_model.bin")
    return write_config(folder)


def write_deduplicated(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", **ALIASES})
    return write_config(folder)


def write_full(folder, tensors):
    return write_named(folder, all_names(tensors))


def write_named(folder, tensors):
    """Exactly these names, each with its own copy."""
    save_file(
        {name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    return write_config(folder)


def write_shards(folder, *shards):
    """One safetensors file per dict of tensors, with the index that names them."""
    files = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    for file, tensors in zip(files, shards, strict=True):
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / file, {"format": "pt"})
    weight_map = {name: file for file, tensors in zip(files, shards, strict=True) for name in tensors}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return write_config(folder)


FORMS = {"pickled": write_pickled, "de-duplicated": write_deduplicated, "full": write_full}
