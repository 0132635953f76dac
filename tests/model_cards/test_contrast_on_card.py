"""The card tells how the contrast of a run differs from the plain one."""

import pytest

from sensia.model_cards import render_card

BASE = "In both InfoNCE terms, a sentence in English has the vectors of the base model, which do not change."


@pytest.mark.parametrize(
    ("settings", "said"), [({"source_encoder": "base"}, True), ({"source_encoder": "model"}, False), ({}, False)]
)
def test_card_says_that_sources_had_the_vectors_of_the_base_model(results, settings, said):
    results["training"]["hyperparameters"] |= settings
    assert (BASE in " ".join(render_card(results).split())) == said
