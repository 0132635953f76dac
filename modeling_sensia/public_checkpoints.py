"""Public Backpack checkpoints: names of their tensors, and checks that they fit and that aliases are equal."""

import re
from collections.abc import Iterator, Sequence

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.core_model_loading import WeightRenaming, WeightTransform
from transformers.modeling_utils import load_state_dict
from transformers.utils.loading_report import LoadStateDictInfo

#: Names of the public `stanfordnlp/backpack-gpt2` layout and ours, including aliases of tied tensors.
PUBLIC_RENAMINGS = {
    r"gpt2_model\.": "trunk.",
    r"sense_weight_net\.": "weight_network.",
    r"(^|\.)word_embeddings\.weight$": r"\1trunk.wte.weight",
    r"(^|\.)position_embeddings\.weight$": r"\1trunk.wpe.weight",
    r"^lm_head\.weight$": "backpack.trunk.wte.weight",
}
#: Names that checkpoints use for one tensor: the word embeddings, and the position embeddings.
_ALIASES = (r"(^|\.)(lm_head|word_embeddings|wte|embed_tokens)\.weight$", r"(^|\.)(wpe|position_embeddings)\.weight$")


def public_renamings(trunk_type: str) -> list[WeightRenaming]:
    """From the names of a public checkpoint to ours; none for a trunk (`model_type`) that no public checkpoint has."""
    public = PUBLIC_RENAMINGS if trunk_type == "gpt2" else {}
    return [WeightRenaming(theirs, ours) for theirs, ours in public.items()]


def check_public_fits(used: Sequence[WeightTransform], info: LoadStateDictInfo):
    """Raises a `ValueError` if tensors were renamed by [`public_renamings`] and the weights do not fit the model."""
    misfits = {"missing": sorted(info.missing_keys), "left over": sorted(info.unexpected_keys)}
    if any(misfits.values()) and any(entry.source_patterns[0] in PUBLIC_RENAMINGS for entry in used):
        raise ValueError(f"The public checkpoint does not fit the model; under the model's names it has {misfits}.")


def check_aliases_agree(state_dict: dict[str, Tensor] | None, checkpoint_files: list[str]):
    """Raises a `ValueError` if a checkpoint has one tensor under several names with different values."""
    for pattern in _ALIASES:
        aliases = _matching_tensors(state_dict, checkpoint_files, pattern)
        first, expected = next(aliases, ("", torch.empty(0)))
        for name, tensor in aliases:
            if not torch.equal(expected, tensor):
                raise ValueError(
                    f"The checkpoint's `{first}` and `{name}` must be one tensor, but differ. Remove the wrong one."
                )


def _matching_tensors(
    state_dict: dict[str, Tensor] | None, checkpoint_files: list[str], pattern: str
) -> Iterator[tuple[str, Tensor]]:
    if state_dict is not None:
        yield from ((name, tensor) for name, tensor in state_dict.items() if re.search(pattern, name))
        return
    for path in checkpoint_files:
        if str(path).endswith(".safetensors"):
            with safe_open(path, framework="pt") as file:
                yield from ((name, file.get_tensor(name)) for name in file.keys() if re.search(pattern, name))  # noqa: SIM118
        else:
            yield from _matching_tensors(load_state_dict(path), [], pattern)


__all__ = ["PUBLIC_RENAMINGS", "check_aliases_agree", "check_public_fits", "public_renamings"]
