import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensia.trainers import PhaseSchedule
from sensia.trainers.schedule import SCHEDULES, Phase

WARM, MAIN = Phase("warm", 0.1, (1, 1, 0)), Phase("main", 0.9, (1, 1, 2), (0, 0, 4), freeze=True)

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
        ({"align_share": "0.2"}, "align_share"),
        ({"joint_weights": (0.5, "0.5", 0)}, "joint_weights"),
        ({"polish_weights": (1, -1, 1)}, "polish_weights"),
        ({"name": "custom"}, "needs `phases`"),
        ({"phases": (WARM, MAIN)}, "`phases` belong to `schedule` custom"),
        ({"name": "custom", "phases": (WARM,)}, "must sum to 1, got 0.1"),
        ({"name": "custom", "phases": (Phase("one", 0.5, ALIGN), Phase("one", 0.5, JOINT))}, "must differ"),
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


@given(step=st.integers(0, 3000), name=st.sampled_from(sorted(SCHEDULES)))
def test_every_curriculum_names_its_phases_and_normalises_its_weights(step, name):
    schedule = PhaseSchedule(name=name, phases=(WARM, MAIN) if name == "custom" else ())
    point = schedule.at(step, 3000)
    assert point.phase in schedule.phase_names
    assert sum(weights(point)) == pytest.approx(1) and min(weights(point)) >= 0


@pytest.mark.parametrize("name", ["phased", "stepwise"])
def test_polish_alone_freezes(name):
    schedule = PhaseSchedule(name=name)
    assert {(schedule.at(step, 100).phase, schedule.at(step, 100).freeze) for step in range(101)} == {
        ("align", False),
        ("joint", False),
        ("polish", True),
    }


@pytest.mark.parametrize("step", [0, 1, 250, 500, 999, 1000])
def test_cosine_is_one_curve_over_the_whole_run_that_freezes_nothing(step):
    point = PhaseSchedule(name="cosine").at(step, 1000)
    assert weights(point) == normalized(between(ALIGN, POLISH, step / 1000))
    assert (point.phase, point.freeze) == ("cosine", False)


@pytest.mark.parametrize(
    ("step", "phase", "vector"),
    [
        (0, "align", (0.45, 0.55, 0.02)),
        (50, "align", (0.375, 0.425, 0.21)),
        (100, "align", (0.3, 0.3, 0.4)),
        (550, "fade", (0.15, 0.15, 0.7)),
        (1000, "fade", (0, 0, 1)),
    ],
)
def test_fade_aligns_for_a_tenth_and_ends_with_the_language_model_loss_alone(step, phase, vector):
    point = PhaseSchedule(name="fade").at(step, 1000)
    assert (point.phase, point.freeze) == (phase, False)
    assert weights(point) == pytest.approx(normalized(vector))


def test_temperatures_of_cosine_move_over_the_whole_run():
    schedule = PhaseSchedule(name="cosine", tau_sns=0.2, tau_sns_end=0.1)
    assert [schedule.at(step, 100).tau_sns for step in (0, 50, 100)] == pytest.approx([0.2, 0.15, 0.1])


@pytest.mark.parametrize(
    ("step", "ended", "phase", "vector"),
    [
        (900, (), "align", ALIGN),
        (299, (300,), "align", ALIGN),
        (300, (300,), "joint", JOINT),
        (449, (300, 450), "joint", JOINT),
        (450, (300, 450), "polish", POLISH),
        (1000, (300, 450), "polish", POLISH),
    ],
)
def test_adaptive_holds_each_vector_until_its_phase_is_said_to_have_ended(step, ended, phase, vector):
    point = PhaseSchedule(name="adaptive").at(step, 1000, ended)
    assert (point.phase, point.freeze) == (phase, phase == "polish")
    assert weights(point) == normalized(vector)


def test_temperatures_of_adaptive_change_when_align_ends():
    schedule = PhaseSchedule(name="adaptive", tau_ctx=0.2, tau_ctx_end=0.1)
    assert [schedule.at(step, 100, (30,)).tau_ctx for step in (0, 29, 30, 100)] == [0.2, 0.2, 0.1, 0.1]


@pytest.mark.parametrize(("name", "ended"), [("phased", (3,)), ("adaptive", (5, 3)), ("adaptive", (1, 2, 3))], ids=str)
def test_ends_that_cannot_be_are_refused(name, ended):
    with pytest.raises(ValueError, match="`ended`"):
        PhaseSchedule(name=name).at(4, 10, ended)


def test_custom_phases_move_within_themselves_and_freeze_as_told():
    schedule = PhaseSchedule(name="custom", phases=(WARM, MAIN))
    points = [schedule.at(step, 100) for step in range(101)]
    assert [point.phase for point in points] == ["warm"] * 11 + ["main"] * 90
    assert [point.freeze for point in points] == [False] * 11 + [True] * 90
    assert all(weights(point) == normalized((1, 1, 0)) for point in points[:11])
    for step in range(11, 101):
        assert weights(points[step]) == normalized(between((1, 1, 2), (0, 0, 4), (step - 10) / 90))


@given(shares=st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any))
def test_custom_phases_begin_where_the_decimal_shares_say(shares):
    total = sum(shares)
    phases = tuple(Phase(str(place), share / total, (1, 1, 1)) for place, share in enumerate(shares))
    found = [PhaseSchedule(name="custom", phases=phases).at(step, total).phase for step in range(total)]
    wanted = [str(place) for place, share in enumerate(shares) for _ in range(share)]
    if 0 < shares[0] < total:
        wanted[shares[0]] = "0"  # the step on which the first phase ends is its own
    assert found == wanted


@pytest.mark.parametrize(
    ("schedule", "ended"),
    [
        (PhaseSchedule(), ()),
        (PhaseSchedule(align_share=0.0, joint_share=0.123), ()),
        (PhaseSchedule(name="cosine"), ()),
        (PhaseSchedule(name="fade"), ()),
        (PhaseSchedule(name="adaptive"), ()),
        (PhaseSchedule(name="adaptive"), (7, 31)),
        (PhaseSchedule(name="custom", phases=(WARM, MAIN)), ()),
    ],
)
def test_spans_hold_exactly_the_steps_of_their_phase(schedule, ended):
    phases = [schedule.at(step, 97, ended).phase for step in range(97)]
    spans = [(name, phases.index(name), 96 - phases[::-1].index(name)) for name in dict.fromkeys(phases)]
    assert schedule.spans(97, ended) == spans


def test_a_curriculum_freezes_where_a_phase_does():
    assert {name for name in SCHEDULES if name != "custom" and PhaseSchedule(name=name).freezes} == {
        "phased", "stepwise", "adaptive"
    }  # fmt: skip
    assert PhaseSchedule(name="custom", phases=(Phase("all", 1.0, (1, 1, 1), freeze=True),)).freezes


def test_a_phase_is_read_from_settings():
    given = {"name": "main", "share": 0.9, "weights": [1, 1, 2], "end_weights": [0, 0, 4], "freeze": True}
    assert Phase.from_settings(given) == MAIN


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weigths": [1, 1, 1]}, r"unknown setting `weigths` of a phase\. Did you mean `weights`"),
        ({"share": 1.5}, r"`share` of phase 'main' must lie in \[0, 1\], got 1\.5"),
        ({"share": math.nan}, "`share` of phase 'main'"),
        ({"share": True}, "`share` of phase 'main'"),
        ({"weights": [1, 1]}, "`weights` of phase 'main'"),
        ({"weights": 1}, "`weights` of phase 'main'"),
        ({"end_weights": [0, 0, 0]}, "`end_weights` of phase 'main'"),
        ({"end_weights": [0, math.inf, 0]}, "`end_weights` of phase 'main'"),
        ({"freeze": "yes please"}, "`freeze` of phase 'main'"),
        ({"name": " "}, "`name` of a phase"),
    ],
)
def test_impossible_phases_are_refused_by_name(changed, message):
    with pytest.raises(ValueError, match=message):
        Phase.from_settings({"name": "main", "share": 0.9, "weights": [1, 1, 2], **changed})


@pytest.mark.parametrize("missing", ["name", "share", "weights"])
def test_a_phase_without_what_it_needs_is_refused(missing):
    settings = {"name": "main", "share": 0.9, "weights": [1, 1, 2]}
    del settings[missing]
    with pytest.raises(ValueError, match=f"needs `{missing}`"):
        Phase.from_settings(settings)


def test_a_phase_that_is_no_mapping_is_refused():
    with pytest.raises(ValueError, match="`phases`"):
        Phase.from_settings("align")


def test_a_share_written_with_ten_digits_ends_on_the_step_that_it_means():
    third = PhaseSchedule(align_share=0.3333333333, joint_share=0.3333333333)
    assert [third.at(step, 3).phase for step in range(4)] == ["align", "align", "polish", "polish"]


@pytest.mark.parametrize(
    ("phases", "contrasts"),
    [
        ([Phase("lm", 1.0, (0, 0, 1))], False),
        ([Phase("lm", 0.5, (0, 0, 1)), Phase("both", 0.5, (0, 0.1, 1))], True),
        ([Phase("rising", 1.0, (0, 0, 1), (0.1, 0, 1))], True),
    ],
)
def test_a_curriculum_contrasts_where_any_phase_ever_weighs_it(phases, contrasts):
    assert PhaseSchedule(name="custom", phases=tuple(phases)).contrasts == contrasts
    assert PhaseSchedule().contrasts


def test_a_constant_schedule_keeps_its_weights_and_freezes_nothing():
    schedule = PhaseSchedule(name="constant", joint_weights=(0.05, 0.05, 0.9))
    points = [schedule.at(step, 10) for step in range(11)]
    assert {(round(p.w_ctx, 9), round(p.w_sns, 9), round(p.w_lm, 9), p.freeze) for p in points} == {
        (0.05, 0.05, 0.9, False)
    }


def test_a_constant_schedule_adds_its_terms_to_the_language_model_loss():
    point = PhaseSchedule(name="constant", joint_weights=(0.05, 0.05, 1.0)).at(3, 10)
    assert (point.w_ctx, point.w_sns, point.w_lm) == (0.05, 0.05, 1.0)
