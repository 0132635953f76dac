"""The sizes that the guide to trunks states: right where others published them, and those of the script."""

from pathlib import Path

import pytest

from benchmarks.trunk_sizes import (
    TRUNKS,
    cached_numbers,
    in_units,
    kept_with_a_table,
    markdown,
    memory,
    parameters,
    planned,
)

GUIDE = Path(__file__).parents[2] / "docs" / "trunks.md"
#: As published; of Llama-2-7B without its head, which is not tied and has as many parameters as the embeddings.
PUBLISHED = {
    "GPT-2 small": 124_439_808,
    "Qwen3-0.6B": 596_049_920,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-2-7B": 6_738_415_616 - 32_000 * 4096,
}
WIDTHS = {"GPT-2 small": 768, "Qwen3-0.6B": 1024, "Llama-3.2-1B": 2048, "Llama-2-7B": 4096}


@pytest.fixture(scope="module")
def models():
    return {name: planned(name, num_senses=16) for name in TRUNKS}


@pytest.mark.parametrize("name", PUBLISHED)
class TestSizes:
    def test_of_the_trunk_are_the_published_ones(self, models, name):
        sizes = parameters(models[name])
        assert sizes["embeddings"] + sizes["rest of the trunk"] == PUBLISHED[name]

    def test_of_the_networks_follow_from_the_width(self, models, name):
        sizes, width = parameters(models[name]), WIDTHS[name]
        # Two layers of 4 D, the last of which has K D outputs in the second MLP; biases; three norms.
        matrices = 4 * width**2 * (1 + 1 + 1 + 16)
        assert sizes["sense network"] == matrices + (4 + 1 + 4 + 16) * width + 3 * 2 * width
        assert sizes["weight network"] == 2 * width**2 + 2 * width

    def test_add_up(self, models, name):
        sizes = parameters(models[name])
        total = sizes.pop("total")
        assert total == sum(sizes.values())

    def test_of_the_cache_follow_from_the_heads(self, models, name):
        fields = TRUNKS[name][1]
        heads = fields.get("num_key_value_heads") or fields["n_head"]
        head_dim = fields.get("head_dim") or WIDTHS[name] // (fields.get("num_attention_heads") or fields["n_head"])
        layers = fields.get("num_hidden_layers") or fields["n_layer"]
        trunk, mixture = cached_numbers(models[name])
        assert trunk == 2 * layers * heads * head_dim
        assert mixture == WIDTHS[name] + 4 * WIDTHS[name]


def test_an_id_takes_three_numbers_of_the_cache():
    assert kept_with_a_table(16) == 3


def test_the_guide_states_what_the_script_prints(models):
    sizes = {name: {part: f"{n:,}" for part, n in parameters(model).items()} for name, model in models.items()}
    guide = GUIDE.read_text(encoding="utf-8")
    assert markdown("parameters", sizes) in guide
    assert markdown("memory", {name: memory(model) for name, model in models.items()}) in guide


@pytest.mark.parametrize(("size", "text"), [(8, "8.00 B"), (1540, "1.54 kB"), (682e6, "682 MB"), (126.6e9, "127 GB")])
def test_bytes_are_rounded_to_three_digits(size, text):
    assert in_units(size) == text
