"""Makes a small Backpack out of a larger one: fewer layers, heads and dimensions, and a shorter vocabulary.

    python examples/shrink_backpack.py --model examples/assets/backpack-en-small --texts TEXTS --output runs/shrunk

The result begins far ahead of random weights and has to be trained on: `sensia pretrain --model runs/shrunk ...`. The
embedded `backpack-en-mini` was made so. Both models have a GPT-2 trunk. The vocabulary is cut to the first tokens: a
byte-level BPE of 8,192 tokens is the beginning of one of 16,384 that was trained on the same text.

What is kept: the layers without which the loss rises most; the heads and MLP neurons that add most; the principal
components of what flows between layers, without its mean, so that layer norms stay what they were; of each sense's
query-key product the best approximation of lower rank. Output layers are fitted again by least squares to what they
gave before.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, GPT2Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from sensia.corpora import read_texts

DOUBLE = torch.double


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the larger Backpack, with a GPT-2 trunk")
    parser.add_argument("--texts", required=True, help="text that the activations are measured on")
    parser.add_argument("--output", required=True, help="folder for the smaller one")
    for name, value in {"layers": 5, "heads": 4, "width": 256, "vocabulary": 8192, "positions": 256}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--blocks", type=int, default=96, help="blocks of text to measure on")
    return parser.parse_args()


@torch.no_grad()
def mean_loss(model, blocks: Tensor) -> float:
    return sum(model(input_ids=each, labels=each).loss.item() for each in blocks.split(8)) / len(blocks.split(8))


def drop_layers(model, blocks: Tensor, kept: int):
    """Drops the layers one by one, each time the one whose loss is least."""
    layers = list(model.backpack.trunk.h)
    while len(layers) > kept:
        losses = []
        for left_out in range(len(layers)):
            use_layers(model, layers[:left_out] + layers[left_out + 1 :])
            losses.append(mean_loss(model, blocks))
        del layers[min(range(len(layers)), key=losses.__getitem__)]
        use_layers(model, layers)


def use_layers(model, layers: list):
    model.backpack.trunk.h = nn.ModuleList(layers)
    model.config.trunk_config.n_layer = len(layers)
    for number, layer in enumerate(layers):
        layer.attn.layer_idx = number


@torch.no_grad()
def record(model, blocks: Tensor) -> dict[str, Tensor]:
    """Activations by name: the inputs of norms and output layers, and the mixture; one row for each token."""
    found: dict[str, list[Tensor]] = {}
    trunk, handles = model.backpack.trunk, []

    def keep(module, name):
        hook = lambda _module, inputs, _output: found.setdefault(name, []).append(inputs[0].flatten(0, 1).to(DOUBLE))  # noqa: E731
        handles.append(module.register_forward_hook(hook))

    for number, layer in enumerate(trunk.h):
        keep(layer.ln_1, f"stream {number} attention")
        keep(layer.ln_2, f"stream {number} mlp")
        keep(layer.attn.c_proj, f"heads {number}")
        keep(layer.mlp.c_proj, f"neurons {number}")
    keep(trunk.ln_f, "stream last")
    for each in blocks.split(8):
        mixture = model.backpack(input_ids=each).last_hidden_state
        found.setdefault("mixture", []).append(mixture.flatten(0, 1).to(DOUBLE))
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts) for name, parts in found.items()}


def directions(rows: Tensor, weights: Tensor | None = None) -> Tensor:
    """Covariance [D, D] of the rows' directions, without their means."""
    rows = nn.functional.normalize(rows - rows.mean(-1, keepdim=True), dim=-1)
    weights = torch.ones(len(rows), dtype=DOUBLE) if weights is None else weights
    return (rows * weights[:, None]).T @ rows / weights.sum()


def projection(activations: dict[str, Tensor], embeddings: Tensor, weights: Tensor, width: int) -> Tensor:
    """Principal directions [D, width] of all that shares the residual stream; no result has a mean."""
    streams = [rows for name, rows in activations.items() if name.startswith("stream")]
    total = sum(directions(rows) for rows in streams) / len(streams)
    total = total + 0.7 * directions(embeddings, weights) + 0.7 * directions(activations["mixture"])
    centre = torch.eye(len(total), dtype=DOUBLE) - 1 / len(total)
    principal = torch.linalg.eigh(centre @ total @ centre)[1][:, -(width - 1) :]  # [D, width - 1]
    ones = torch.ones(width, 1, dtype=DOUBLE)
    basis = torch.linalg.qr(torch.cat([ones, torch.randn(width, width - 1, dtype=DOUBLE)], 1))[0][:, 1:]
    return principal @ basis.T


def fit(inputs: Tensor, outputs: Tensor, ridge: float, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weight [in, out] and bias [out] of the linear layer that comes nearest."""
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=DOUBLE)], 1)
    weighted = inputs if weights is None else inputs * weights[:, None]
    penalty = ridge * (weighted * inputs).sum() / inputs.shape[1] * torch.eye(inputs.shape[1], dtype=DOUBLE)
    solution = torch.linalg.solve(weighted.T @ inputs + penalty, weighted.T @ outputs)
    return solution[:-1], solution[-1]


def put(layer, weight: Tensor, bias: Tensor, rows: Tensor | slice = slice(None)):
    layer.weight.data.copy_(weight[:, rows])
    layer.bias.data.copy_(bias[rows])


class Shrinker:
    """
    Fills a small Backpack from a large one.

    Args:
        large, small ([`BackpackForCausalLM`]): the two, with as many layers.
        activations (`dict`): of [`record`], of the large one.
        counts (`torch.Tensor` [V]): how often each token of the small one occurs.
    """

    def __init__(self, large, small, activations: dict[str, Tensor], counts: Tensor):
        self.large, self.small, self.activations = large.backpack, small.backpack, activations
        self.width = small.config.hidden_size
        self.embeddings = large.get_input_embeddings().weight.detach()[: small.config.vocab_size].to(DOUBLE)
        self.weights = counts.to(DOUBLE).sqrt() + 1
        self.narrow = projection(activations, self.embeddings, self.weights, self.width)  # [D, width]
        self.weights = self.weights / self.weights.sum()

    @torch.no_grad()
    def run(self):
        trunk, small = self.large.trunk, self.small.trunk
        small.wte.weight.copy_(self.embeddings @ self.narrow)
        small.wpe.weight.copy_(trunk.wpe.weight.to(DOUBLE)[: len(small.wpe.weight)] @ self.narrow)
        for number, (old, new) in enumerate(zip(trunk.h, small.h, strict=True)):
            self._attention(number, old, new)
            self._mlp(number, old, new)
        self._weight_network()
        self._sense_network()

    def _behind_norm(self, norm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A layer behind a norm, with the norm's own weights taken in, for a narrower norm without any."""
        scale = math.sqrt(len(self.narrow) / self.width)
        weight, bias, gain = weight.to(DOUBLE), bias.to(DOUBLE), norm.weight.to(DOUBLE)
        return scale * self.narrow.T @ (gain[:, None] * weight), bias + norm.bias.to(DOUBLE) @ weight

    def _output(self, name: str, old, new, kept: Tensor):
        inputs = self.activations[name]
        outputs = inputs @ old.weight.to(DOUBLE) + old.bias.to(DOUBLE)
        weight, bias = fit(inputs[:, kept], outputs, 1e-3)
        put(new, weight @ self.narrow, bias @ self.narrow)

    def _attention(self, number: int, old, new):
        heads, size = old.attn.num_heads, old.attn.head_dim
        inputs = self.activations[f"heads {number}"].unflatten(1, (heads, size))
        output = old.attn.c_proj.weight.to(DOUBLE).unflatten(0, (heads, size))
        energy = torch.stack([(inputs[:, head] @ output[head]).square().sum(-1).mean() for head in range(heads)])
        chosen = energy.topk(new.attn.num_heads).indices.sort().values
        kept = (chosen[:, None] * size + torch.arange(size)).flatten()
        weight, bias = self._behind_norm(old.ln_1, old.attn.c_attn.weight, old.attn.c_attn.bias)
        put(new.attn.c_attn, weight, bias, torch.cat([kept + part * heads * size for part in range(3)]))
        self._output(f"heads {number}", old.attn.c_proj, new.attn.c_proj, kept)

    def _mlp(self, number: int, old, new):
        energy = self.activations[f"neurons {number}"].square().mean(0) * old.mlp.c_proj.weight.to(
            DOUBLE
        ).square().sum(1)
        kept = energy.topk(new.mlp.c_proj.weight.shape[0]).indices.sort().values
        put(new.mlp.c_fc, *self._behind_norm(old.ln_2, old.mlp.c_fc.weight, old.mlp.c_fc.bias), kept)
        self._output(f"neurons {number}", old.mlp.c_proj, new.mlp.c_proj, kept)

    def _weight_network(self):
        old, new = self.large.weight_network.c_attn, self.small.weight_network.c_attn
        weight, bias = self._behind_norm(self.large.trunk.ln_f, old.weight.T, old.bias)
        both = torch.cat([weight, bias[None]])  # [width + 1, 2 K (D // K)]
        inputs = nn.functional.layer_norm(self.activations["stream last"] @ self.narrow, (self.width,))
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=DOUBLE)], 1)
        covariance = inputs.T @ inputs / len(inputs) + 1e-3 * torch.eye(inputs.shape[1], dtype=DOUBLE)
        root = torch.linalg.cholesky(covariance).T
        senses = self.small.config.num_senses
        wide, slim = both.shape[1] // 2 // senses, new.weight.shape[0] // 2 // senses
        sides = both.unflatten(1, (2, senses, wide))
        pieces = torch.empty(len(both), 2, senses, slim, dtype=DOUBLE)
        for sense in range(senses):
            left, values, right = torch.linalg.svd(root @ sides[:, 0, sense] @ (root @ sides[:, 1, sense]).T)
            spread = (values[:slim] * math.sqrt(slim / wide)).sqrt()
            pieces[:, 0, sense] = torch.linalg.solve(root, left[:, :slim] * spread)
            pieces[:, 1, sense] = torch.linalg.solve(root, right[:slim].T * spread)
        flat = pieces.flatten(1)
        new.weight.copy_(flat[:-1].T)
        new.bias.copy_(flat[-1])

    def _sense_network(self):
        old, new = self.large.sense_network.to(DOUBLE), self.small.sense_network
        normed = old.ln(self.embeddings)
        self._sense_norm(normed @ self.narrow, new.ln)
        first = old.block.mlp.hidden(old.block.ln_1(normed + self.embeddings))
        kept = self._neurons(first, old.block.mlp.c_proj, new.block.mlp.c_proj.weight.shape[0])
        put(
            new.block.mlp.c_fc,
            *self._behind_norm(old.block.ln_1, old.block.mlp.c_fc.weight, old.block.mlp.c_fc.bias),
            kept,
        )
        output = old.block.mlp.c_proj
        put(new.block.mlp.c_proj, output.weight[kept] @ self.narrow, output.bias @ self.narrow)
        last = old.final_mlp.hidden(old.block(normed, self.embeddings))
        kept = self._neurons(last, old.final_mlp.c_proj, new.final_mlp.c_proj.weight.shape[0])
        put(
            new.final_mlp.c_fc,
            *self._behind_norm(old.block.ln_2, old.final_mlp.c_fc.weight, old.final_mlp.c_fc.bias),
            kept,
        )
        hidden = new.last_hidden(self.small.get_input_embeddings().weight).to(DOUBLE)
        senses = old(self.embeddings).unflatten(1, (self.small.config.num_senses, -1)) @ self.narrow  # [V, K, width]
        put(new.final_mlp.c_proj, *fit(hidden, senses.flatten(1), 1e-4, self.weights))

    def _neurons(self, hidden: Tensor, output, kept: int) -> Tensor:
        energy = (self.weights[:, None] * hidden.square()).sum(0) * output.weight.square().sum(1)
        return energy.topk(kept).indices.sort().values

    def _sense_norm(self, wanted: Tensor, norm):
        """Gain and bias of the first norm, whose output goes on as it is, dimension by dimension."""
        given = nn.functional.layer_norm(self.embeddings @ self.narrow, (self.width,))
        means = [(self.weights[:, None] * rows).sum(0) for rows in (given, wanted)]
        given_part, wanted_part = given - means[0], wanted - means[1]
        gain = (self.weights[:, None] * given_part * wanted_part).sum(0)
        gain = gain / (self.weights[:, None] * given_part.square()).sum(0)
        norm.weight.copy_(gain)
        norm.bias.copy_(means[1] - gain * means[0])


def main():
    args = parse_arguments()
    torch.manual_seed(0)
    large = BackpackForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    shorter = shorten(tokenizer, args.vocabulary)
    ids = [one for row in read_texts(args.texts).select(range(400))["text"] for one in shorter(row)["input_ids"]]
    blocks = torch.tensor(ids[: len(ids) // args.positions * args.positions]).view(-1, args.positions)
    blocks = blocks[torch.randperm(len(blocks))[: args.blocks]]
    drop_layers(large, blocks[:12], args.layers)
    vocabulary: dict[str, Any] = {"vocab_size": args.vocabulary, "activation_function": "gelu_pytorch_tanh"}
    sizes: dict[str, Any] = {
        "n_embd": args.width,
        "n_layer": args.layers,
        "n_head": args.heads,
        "n_positions": args.positions,
    }
    special = {"bos_token_id": shorter.bos_token_id, "eos_token_id": shorter.eos_token_id}
    dropout: dict[str, Any] = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    trunk = GPT2Config(**vocabulary, **sizes, **special, **dropout)
    config = BackpackConfig(
        trunk_config=trunk, num_senses=large.config.num_senses, sense_intermediate_scale=1, sense_dropout=0.0
    )
    small = BackpackForCausalLM(config).eval()
    counts = torch.bincount(torch.tensor(ids), minlength=args.vocabulary)
    Shrinker(large, small, record(large, blocks), counts).run()
    small.save_pretrained(args.output)
    shorter.save_pretrained(args.output)
    print(
        f"{small.num_parameters():,} parameters, {mean_loss(small, blocks[-16:]):.2f} nats a token, in {args.output}"
    )


def shorten(tokenizer, size: int):
    """The tokenizer with its first tokens alone, and the merges that make them."""
    import json

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["model"]["vocab"] = {token: one for token, one in state["model"]["vocab"].items() if one < size}
    state["model"]["merges"] = [pair for pair in state["model"]["merges"] if "".join(pair) in state["model"]["vocab"]]
    special = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "pad_token")}
    backend = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **special)


if __name__ == "__main__":
    main()
