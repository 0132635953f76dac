"""The card tells how the contrast of a run differs from the plain one."""

import pytest

from sensia.model_cards import render_card

BASE = "In both InfoNCE terms, a sentence in English has the vectors of the base model, which do not change."


CONFLICTS = (
    "Where the gradient of the InfoNCE terms conflicted with that of the other terms at a token, the conflicting"
)


@pytest.mark.parametrize(
    ("settings", "said"), [({"source_encoder": "base"}, True), ({"source_encoder": "model"}, False), ({}, False)]
)
def test_card_says_that_sources_had_the_vectors_of_the_base_model(results, settings, said):
    results["training"]["hyperparameters"] |= settings
    assert (BASE in " ".join(render_card(results).split())) == said


@pytest.mark.parametrize("projects", [True, False])
def test_card_says_that_conflicts_were_projected(results, projects):
    results["training"]["hyperparameters"]["project_conflicts"] = projects
    assert (CONFLICTS in " ".join(render_card(results).split())) == projects
