"""Edits that make no sense, or do not fit the model, are refused by their field."""

import math

import pytest
from steering_oracles import EDITS, SENSES
from tiny_backpacks import VOCABULARY, tiny_backpack

from modeling_sensia.steering import ProjectOut, ScaleSenses, Steering, SwapSenses, TowardsTopic


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScaleSenses([0], -0.5), "`factor` must be at least 0, got -0.5"),
        (lambda: ScaleSenses([0], math.nan), "`factor` must be a finite number, got nan"),
        (lambda: ScaleSenses([], 1), "`senses` must be whole numbers from 0, at least one"),
        (lambda: ScaleSenses([True], 1), "`senses` must be whole numbers"),
        (lambda: ScaleSenses([-1], 1), "`senses` must be whole numbers"),
        (lambda: ScaleSenses(2, 1), "`senses` must be a list, got 2"),
        (lambda: ScaleSenses(None, 1, ["he"]), "`token_ids` must be whole numbers"),
        (lambda: SwapSenses(-1, 2), "`token_id` must be whole numbers"),
        (lambda: SwapSenses(1, 2.5), "`other_id` must be whole numbers"),
        (lambda: TowardsTopic(None, 1), "`token_ids` must be the ids of the topic's words"),
        (lambda: TowardsTopic([1], math.inf), "`strength` must be a finite number"),
        (lambda: ProjectOut([0], [0.0, 0.0]), "`direction` must not be zero"),
        (lambda: ProjectOut([0], [1.0, math.nan]), "`direction` must be a finite number"),
        (lambda: ProjectOut([0], "up"), "`direction` must be a list"),
        (lambda: Steering([max]), "`edits` must be edits such as"),
        (lambda: Steering(ScaleSenses([0], 1)), "`edits` must be a list"),
    ],
)
def test_wrong_fields_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (ScaleSenses([SENSES], 0), "`senses` has 4; this model has 0 to 3"),
        (ScaleSenses(None, 0, [VOCABULARY]), "`token_ids` has 97; this model has 0 to 96"),
        (SwapSenses(VOCABULARY, 1), "`token_ids` has 97"),
        (SwapSenses(1, VOCABULARY), "`token_ids` has 97"),
        (TowardsTopic([VOCABULARY], 1), "`token_ids` has 97"),
        (ProjectOut([0], [1.0] * 5), "`direction` has 5 numbers; the senses of this model 32"),
    ],
)
def test_edits_that_do_not_fit_the_model_are_refused(model, edit, message):
    with pytest.raises(ValueError, match=message), Steering([edit]).applied(model):
        pass


def test_a_model_in_training_mode_is_refused():
    model = tiny_backpack().train()
    with pytest.raises(ValueError, match="evaluation mode"), Steering([EDITS["swap"]]).applied(model):
        pass


def test_another_model_than_a_backpack_is_refused(model):
    steering = Steering([EDITS["swap"]])
    with pytest.raises(ValueError, match="needs a Backpack, got GPT2Model"), steering.applied(model.backpack.trunk):
        pass
