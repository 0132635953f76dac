"""
Convert a published Backpack checkpoint to the layout that `BackpackForCausalLM.from_pretrained` reads everywhere.

    python -m modeling_sensia.conversion_backpack SRC DST [options]

SRC is a folder, a file or a Hub id, in one of two layouts, told apart by the names of the tensors:
  Stanford's on the Hub   backpack.gpt2_model.*, backpack.sense_network.*, backpack.sense_weight_net.*
  ACL 2023 training       [model.]transformer.gpt2_model.*, .content_model.*, .contextualization_attn.*
in *.safetensors (whole or in shards), pytorch_model.bin or *.ckpt. Pickled files are read weights-only: no code in
them is run. A config.json beside the weights is used; without one, sizes are inferred and --num-heads is needed.
DST is a new or empty folder. It gets the model, SRC's tokenizer files, and conversion.json, which states the source of
each tensor. An unknown name, a missing tensor or a wrong shape is an error, and then nothing is written.

    python -m modeling_sensia.conversion_backpack stanfordnlp/backpack-gpt2 backpack-gpt2
    python -m modeling_sensia.conversion_backpack last.ckpt backpack-small --num-heads 12 --skip-pickled-objects
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .checkpoint_files import TOKENIZER_FILES, fetch, locate, read
from .configuration_backpack import BackpackConfig, divides_mixture
from .modeling_backpack import BackpackForCausalLM
from .public_checkpoints import PUBLIC_RENAMINGS

STANFORD, ACL_2023 = "Stanford's on the Hub", "ACL 2023 training"
#: Published names and ours, applied in this order. The ACL 2023 code applies norms at the end of a block: `norm2` of a
#: block is the first norm of the next block or, after the last block, the trunk's final norm.
RENAMINGS: dict[str, dict[str, Any]] = {
    STANFORD: {**PUBLIC_RENAMINGS, r"^(?!backpack\.)": "backpack."},
    ACL_2023: {
        r"^(model\.)?transformer\.": "backpack.",
        r"^(model\.)?lm_head\.": "backpack.trunk.wte.",
        r"\.((gpt2|content)_model\.)?embeddings\.word_embeddings\.": ".trunk.wte.",
        r"\.((gpt2|content)_model\.)?embeddings\.position_embeddings\.": ".trunk.wpe.",
        r"\.gpt2_model\.ln_0\.": ".trunk.h.0.ln_1.",
        r"\.gpt2_model\.layers\.(\d+)\.norm1\.": r".trunk.h.\1.ln_2.",
        r"\.gpt2_model\.layers\.(\d+)\.norm2\.": lambda match: f".trunk.h.{int(match[1]) + 1}.ln_1.",
        r"\.gpt2_model\.layers\.": ".trunk.h.",
        r"\.content_model\.ln_0\.": ".sense_network.ln.",
        r"\.content_model\.layers\.0\.norm(\d)\.": r".sense_network.block.ln_\1.",
        r"\.content_model\.layers\.0\.": ".sense_network.block.",
        r"\.content_model\.final_mlp\.": ".sense_network.final_mlp.",
        r"\.contextualization_attn\.Wqkv\.": ".weight_network.c_attn.",
        r"\.mixer\.Wqkv\.": ".attn.c_attn.",
        r"\.mixer\.out_proj\.": ".attn.c_proj.",
        r"mlp\.fc1\.": "mlp.c_fc.",
        r"mlp\.fc2\.": "mlp.c_proj.",
    },
}
#: Tensors that are not weights: causal masks of GPT-2's older code, and counters of the training code.
IGNORED = {STANFORD: r"gpt2_model\.h\.\d+\.attn\.(masked_)?bias$", ACL_2023: r"^(train|val|test)_metrics\."}
SENSES = "backpack.sense_network"
DIVISION = "fold 1/K into the senses, as JAX (Levanter) exports need, whose code divides the mixture by K"
SCALING = """whether attention is divided by the layer's number (default: as config.json says, or yes); no for models
trained with transformers 4.42 to 5.3 and default attention, whatever they say: held-out perplexity tells"""


def convert_checkpoint(
    source: str,
    destination: str | Path,
    *,
    num_heads: int | None = None,
    divide_by_num_senses: bool | None = None,
    scale_attn_by_inverse_layer_idx: bool | None = None,
    dtype: str | None = None,
    tokenizer: str | None = None,
    skip_pickled_objects: bool = False,
) -> dict[str, Any]:
    """
    Converts a published checkpoint into a folder that `from_pretrained` reads.

    Args:
        source (`str`), destination (`str` or `Path`) and the options: as `--help` of this module explains them.

    Returns:
        `dict`: the report, which is also written as conversion.json.

    Raises:
        ValueError: if a tensor is unknown, missing or of a wrong shape, or a size or option is not known.
    """
    destination = Path(destination)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ValueError(f"{destination.name} exists and is not an empty folder; it was left as it is.")
    folder, files = locate(source)
    tokenizer_files = _find_tokenizer(tokenizer, folder)
    given = json.loads((folder / "config.json").read_text()) if (folder / "config.json").is_file() else {}
    divide = _decide_division(given, divide_by_num_senses)
    tensors = read(files, skip_pickled_objects)
    layout = recognise_layout(list(tensors))
    weights, origins = _rename(tensors, layout)
    padded_from = _widen_sense_mlp(weights) if layout == ACL_2023 else None
    config = _build_config(weights, given, num_heads, scale_attn_by_inverse_layer_idx)
    model = _build_model(weights, origins, config, divide, dtype)
    report = {
        "layout": layout,
        "files": {path.name: _sha256(path) for path in files},
        "configuration": "config.json" if given else "inferred from the tensors",
        "num_senses": config.num_senses,
        "mixture_divided_by_num_senses": divide,
        "scale_attn_by_inverse_layer_idx": config.scale_attn_by_inverse_layer_idx,
        "sense_mlp_padded_from": padded_from,
        "dtype": str(model.dtype).removeprefix("torch."),
        "tensors": origins,
        "ignored": sorted(name for name in tensors if re.search(IGNORED[layout], name)),
    }
    _write(model, report, tokenizer_files, destination)
    return report


def _find_tokenizer(tokenizer: str | None, folder: Path) -> list[Path]:
    folder = fetch(tokenizer, TOKENIZER_FILES) if tokenizer else folder
    files = [file for pattern in TOKENIZER_FILES for file in folder.glob(pattern) if file.is_file()]
    if tokenizer and not files:
        raise ValueError(f"{tokenizer} holds no tokenizer: none of {', '.join(TOKENIZER_FILES)}.")
    return files


def recognise_layout(names: list[str]) -> str:
    """Recognises a checkpoint's layout by the names of its tensors; the configuration is ignored."""
    if any(re.search(r"(content_model|contextualization_attn)\.", name) for name in names):
        return ACL_2023
    if any("sense_weight_net." in name for name in names):
        return STANFORD
    raise ValueError(
        "The checkpoint is no published Backpack: no name has `sense_weight_net.` (Stanford's layout) or "
        f"`contextualization_attn.` (ACL 2023). Its names begin with {', '.join(sorted(names)[:5])}."
    )


def _rename(tensors: dict[str, Tensor], layout: str) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Renames and transposes the tensors to our layout; returns them with the original names of each."""
    table = {name: name for name in tensors if not re.search(IGNORED[layout], name)}
    for pattern, replacement in RENAMINGS[layout].items():
        table = {name: re.sub(pattern, replacement, ours) for name, ours in table.items()}
    last = f"backpack.trunk.h.{sum(ours.endswith('.attn.c_attn.weight') for ours in table.values())}.ln_1."
    weights: dict[str, Tensor] = {}
    origins: dict[str, list[str]] = {}
    for name, ours in table.items():
        tensor = tensors[name]
        if layout == ACL_2023:
            ours = ours.replace(last, "backpack.trunk.ln_f.")
            if re.search(r"(trunk|sense_network)\..*\.c_\w+\.weight$", ours):
                tensor = tensor.t().contiguous()  # linear layers there are [out, in], ours [in, out]
        if ours in weights and not torch.equal(weights[ours], tensor):
            raise ValueError(f"`{origins[ours][0]}` and `{name}` must be one tensor, but differ: drop the wrong one.")
        weights[ours] = tensor
        origins.setdefault(ours, []).append(name)
    return weights, origins


def _widen_sense_mlp(weights: dict[str, Tensor]) -> int | None:
    """
    Pads the first sense MLP to the inner width 4 D with zeros, which do not change its output. The paper's ablations
    of the number of senses (`shrink_final_inner`) have width D.
    """
    first, bias, second = (f"{SENSES}.block.mlp.{name}" for name in ("c_fc.weight", "c_fc.bias", "c_proj.weight"))
    if not {first, bias, second} <= weights.keys():
        return None
    width, inner = weights[first].shape
    extra = 4 * width - inner
    if extra <= 0 or weights[bias].shape != (inner,) or weights[second].shape != (inner, width):
        return None
    paddings = {first: (0, extra), bias: (0, extra), second: (0, 0, 0, extra)}
    weights |= {name: F.pad(weights[name], padding) for name, padding in paddings.items()}
    return inner


def _decide_division(given: dict[str, Any], divide: bool | None) -> bool:
    if divides_mixture(given) and divide is None:
        raise ValueError(
            "The config.json is a JAX (Levanter) export's, whose code divides the mixture by K. Ours does not."
            " Give --divide-by-num-senses to fold 1/K into the weights, or --no-divide-by-num-senses to keep them."
        )
    return bool(divide)


def _build_config(
    weights: dict[str, Tensor], given: dict[str, Any], num_heads: int | None, scaled: bool | None
) -> BackpackConfig:
    sizes = {"vocab_size", "n_positions", "n_embd", "n_layer", "num_senses"}
    fields = {**({} if sizes <= given.keys() else _infer_sizes(weights)), **given}
    if num_heads and fields.setdefault("n_head", num_heads) != num_heads:
        raise ValueError(f"--num-heads is {num_heads}, but config.json says {fields['n_head']}.")
    if "n_head" not in fields:
        raise ValueError(
            "The number of attention heads cannot be inferred from tensors, and no config.json says it: "
            "give --num-heads (ACL 2023: micro 6, mini 8, small 12)."
        )
    if fields["n_embd"] % fields["n_head"]:
        raise ValueError(f"{fields['n_head']} heads do not divide the width {fields['n_embd']}.")
    if scaled is not None:
        fields["scale_attn_by_inverse_layer_idx"] = scaled
    with tempfile.TemporaryDirectory() as folder:
        own = {name: value for name, value in fields.items() if name not in ("model_type", "auto_map")}
        (Path(folder) / "config.json").write_text(json.dumps(own))
        return BackpackConfig.from_pretrained(folder)


def _infer_sizes(weights: dict[str, Tensor]) -> dict[str, Any]:
    mlps = ("trunk.h.0.mlp.c_fc", "sense_network.final_mlp.c_fc", "sense_network.final_mlp.c_proj")
    needed = [f"backpack.{name}.weight" for name in ("trunk.wte", "trunk.wpe", *mlps)]
    if missing := [name for name in needed if name not in weights or weights[name].ndim != 2]:
        raise ValueError(f"Sizes cannot be inferred, as these matrices are missing: {', '.join(missing)}.")
    (vocabulary, width), (positions, _), (_, inner), (_, wide), (_, flat) = (weights[name].shape for name in needed)
    if wide % width or flat % width:
        raise ValueError(f"The last sense MLP is {wide} and {flat} wide: no multiples of the width {width}.")
    end = 50256 if vocabulary > 50256 else None  # GPT-2's end of text
    return {
        "vocab_size": vocabulary,
        "n_positions": positions,
        "n_embd": width,
        "n_inner": inner,
        "n_layer": len({name.split(".")[3] for name in weights if name.startswith("backpack.trunk.h.")}),
        "num_senses": flat // width,
        "sense_intermediate_scale": wide // width,
        "bos_token_id": end,
        "eos_token_id": end,
    }


def _build_model(
    weights: dict[str, Tensor], origins: dict[str, list[str]], config: BackpackConfig, divide: bool, dtype: str | None
) -> BackpackForCausalLM:
    with torch.device("meta"):
        model = BackpackForCausalLM(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    misfits = [
        f"{origins[name][0]} {list(weights[name].shape)} should be {list(shape)}"
        for name, shape in shapes.items()
        if name in weights and weights[name].shape != shape
    ]
    left = [name for ours, names in origins.items() if ours not in shapes for name in names]
    missing = [name for name in shapes if name not in weights]
    problems = {"without a place": left, "missing, under our names": missing, "of another shape": misfits}
    if any(problems.values()):
        lines = [f"\n{len(found)} tensors {what}: {'; '.join(found)}" for what, found in problems.items() if found]
        raise ValueError("The checkpoint does not fit a Backpack." + "".join(lines))
    kept = {tensor.dtype for tensor in weights.values()}
    if dtype is None and (len(kept) > 1 or not next(iter(kept)).is_floating_point):
        raise ValueError(f"The tensors have the dtypes {', '.join(sorted(map(str, kept)))}: choose one with --dtype.")
    config.dtype = getattr(torch, dtype) if dtype else kept.pop()
    if divide:
        for name in (f"{SENSES}.final_mlp.c_proj.weight", f"{SENSES}.final_mlp.c_proj.bias"):
            weights[name] = weights[name].double() / config.num_senses  # in float64, so that it is rounded once, below
    weights = {name: tensor.to(config.dtype) for name, tensor in weights.items()}
    model.load_state_dict(weights, strict=False, assign=True)  # the head is missing because it is tied
    model.tie_weights()
    return model


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(model: BackpackForCausalLM, report: dict[str, Any], tokenizer_files: list[Path], destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as draft:
        folder = Path(draft) / "model"
        model.save_pretrained(folder)
        for file in tokenizer_files:
            shutil.copyfile(file, folder / file.name)
        (folder / "conversion.json").write_text(json.dumps(report, indent=2) + "\n")
        os.replace(folder, destination)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option, either = parser.add_argument, argparse.BooleanOptionalAction
    option("source", metavar="SRC", help="folder, file or Hub id of the checkpoint")
    option("destination", metavar="DST", help="new or empty folder to write")
    option("--num-heads", type=int, metavar="N", help="attention heads of the trunk, where no config.json says so")
    option("--divide-by-num-senses", action=either, help=DIVISION)
    option("--scale-attn-by-inverse-layer-idx", action=either, help=SCALING)
    option("--dtype", choices=("float64", "float32", "bfloat16", "float16"), help="default: the checkpoint's")
    option("--tokenizer", metavar="PATH", help="folder or Hub id to take the tokenizer from (default: SRC)")
    option("--skip-pickled-objects", action="store_true", help="read the tensors of a file that also pickles objects")
    options = vars(parser.parse_args())
    try:
        report = convert_checkpoint(options.pop("source"), options.pop("destination"), **options)
    except ValueError as error:
        raise SystemExit(f"Nothing was written. {error}") from error
    for ours, names in report.pop("tensors").items():
        print(f"{ours} <- {', '.join(names)}")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
