import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import PhaseSchedule

ALIGN, JOINT, POLISH = (0.45, 0.55, 0.02), (0.40, 0.40, 0.20), (0.15, 0.15, 0.70)


def weights(point):
    return point.w_ctx, point.w_sns, point.w_lm


def normalized(vector):
    return pytest.approx(tuple(value / sum(vector) for value in vector), abs=1e-12)


def between(start, end, share):
    turned = (1 - math.cos(math.pi * share)) / 2
    return tuple(a * (1 - turned) + b * turned for a, b in zip(start, end, strict=True))


@pytest.mark.parametrize(
    ("step", "phase", "vector"),
    [
        (0, "align", ALIGN),
        (100, "align", between(ALIGN, JOINT, 0.5)),
        (150, "align", between(ALIGN, JOINT, 0.75)),
        (200, "align", JOINT),
        (250, "joint", between(JOINT, POLISH, 1 / 6)),
        (499, "joint", between(JOINT, POLISH, 299 / 300)),
        (500, "polish", POLISH),
        (777, "polish", POLISH),
        (1000, "polish", POLISH),
    ],
)
def test_phased_moves_by_half_cosine_between_the_published_weights(step, phase, vector):
    point = PhaseSchedule().at(step, 1000)
    assert point.phase == phase
    assert weights(point) == normalized(vector)


@pytest.mark.parametrize(
    ("step", "vector"), [(0, ALIGN), (199, ALIGN), (201, JOINT), (499, JOINT), (500, POLISH), (1000, POLISH)]
)
def test_stepwise_holds_each_vector_through_its_phase(step, vector):
    assert weights(PhaseSchedule(name="stepwise").at(step, 1000)) == normalized(vector)


@given(
    step=st.integers(0, 3000),
    align=st.floats(0, 1),
    joint=st.floats(0, 1),
    name=st.sampled_from(["phased", "stepwise"]),
)
def test_weights_sum_to_one_and_never_turn_negative(step, align, joint, name):
    point = PhaseSchedule(name=name, align_share=align, joint_share=joint * (1 - align)).at(step, 3000)
    assert sum(weights(point)) == pytest.approx(1)
    assert min(weights(point)) >= 0


def test_phases_come_in_order_and_take_their_shares():
    phases = [PhaseSchedule(align_share=0.1, joint_share=0.4).at(step, 1000).phase for step in range(1001)]
    assert phases == ["align"] * 101 + ["joint"] * 399 + ["polish"] * 501


def test_a_phase_without_a_share_never_comes():
    schedule = PhaseSchedule(align_share=0.0, joint_share=0.0)
    assert {schedule.at(step, 10).phase for step in range(11)} == {"polish"}


def test_temperatures_stay_without_an_end_value():
    points = [PhaseSchedule().at(step, 100) for step in range(101)]
    assert {(point.tau_ctx, point.tau_sns) for point in points} == {(0.07, 0.05)}


def test_temperatures_move_to_their_end_values_during_align():
    schedule = PhaseSchedule(tau_ctx=0.2, tau_ctx_end=0.1)
    assert [schedule.at(step, 100).tau_ctx for step in (0, 10, 20, 21, 100)] == pytest.approx(
        [0.2, 0.15, 0.1, 0.1, 0.1]
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"name": "phasd"}, "schedule"),
        ({"align_share": 1.2}, "align_share"),
        ({"align_share": 0.7, "joint_share": 0.5}, "joint_share"),
        ({"joint_weights": (0.5, 0.5)}, "joint_weights"),
        ({"polish_weights": (0, 0, 0)}, "polish_weights"),
        ({"align_weights": (1, math.nan, 1)}, "align_weights"),
        ({"tau_sns": 0}, "tau_sns"),
        ({"tau_ctx_end": -1}, "tau_ctx_end"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, named):
    with pytest.raises(ValueError, match=named):
        PhaseSchedule(**settings)


@pytest.mark.parametrize(("step", "max_steps"), [(-1, 10), (11, 10), (0, 0)])
def test_steps_outside_the_run_are_refused(step, max_steps):
    with pytest.raises(ValueError, match="max_steps"):
        PhaseSchedule().at(step, max_steps)
