import pytest

from sensia.model_cards import render_card
from sensia.model_cards.results import check_results

ADAPTER = {
    "method": "LoRA",
    "rank": 16,
    "alpha": 32.0,
    "dropout": 0.0,
    "targets": ["c_attn", "c_fc"],
    "trained_parameters": 118_256,
    "share": 118_256 / 5_912_832,
}


def test_card_says_what_an_adapter_trained(results):
    results["training"]["adapter"] = ADAPTER
    text = " ".join(render_card(results).split())
    assert "an adapter (LoRA, rank 16, alpha 32, dropout 0) of the layers `c_attn`, `c_fc`: 118,256 parameters" in text
    assert "2.00% of the 5,912,832 of the model" in text
    assert "in `adapter/`" in text


@pytest.mark.parametrize("absent", [True, False])
def test_card_of_a_model_that_was_trained_whole_mentions_none(results, absent):
    if not absent:
        results["training"]["adapter"] = None
    assert "adapter" not in render_card(results).partition("## How it was trained")[2].partition("###")[0]


def test_adapter_without_its_size_is_refused(results):
    results["training"]["adapter"] = {name: value for name, value in ADAPTER.items() if name != "rank"}
    with pytest.raises(ValueError, match=r"results\.training\.adapter\.rank: missing"):
        check_results(results)
