import pytest

from sensia.model_cards import check_results, render_card
from sensia.model_cards.curriculum import curriculum_sentence


def _section(text):
    return text.split("### Schedule", 1)[1].split("\n#", 1)[0]


def test_the_card_lists_the_phases_that_came(results):
    section = _section(render_card(results))
    assert section.startswith(": phased\n\nThe weights move by half a cosine through align and through joint")
    assert "| align | 1 to 301 | 0.440, 0.540, 0.020 | 0.400, 0.400, 0.200 | nothing |" in section
    assert "| polish | 751 to 1,500 | 0.150, 0.150, 0.700 | 0.150, 0.150, 0.700 | `sense_network` |" in section


def test_a_run_without_phases_is_not_said_to_have_any(results):
    start, end = results["training"]["phases"][0], results["training"]["phases"][-1]
    whole = start | {"name": "cosine", "last_step": 1500, "end_weights": end["weights"]}
    results["training"] |= {"schedule": {"name": "cosine"}, "phases": [whole]}
    section = _section(render_card(results))
    assert "There are no phases, and nothing was frozen." in section
    assert "align" not in section and "polish" not in section
    assert "| cosine | 1 to 1,500 | 0.440, 0.540, 0.020 | 0.150, 0.150, 0.700 | nothing |" in section


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (3, "In this run align ended after step 301 and joint ended after step 750."),
        (2, "In this run align ended after step 301."),
        (1, "In this run no phase ended before the last step."),
    ],
)
def test_the_card_says_where_adaptive_phases_ended(results, came, told):
    training = results["training"]
    training |= {"schedule": {"name": "adaptive"}, "phases": training["phases"][:came]}
    assert curriculum_sentence(training).endswith(told)
    assert told in _section(render_card(results))


def test_names_of_custom_phases_stand_in_the_table_as_they_are(results):
    phase = results["training"]["phases"][0] | {"name": "warm | up", "last_step": 1500}
    results["training"] |= {"schedule": {"name": "custom"}, "phases": [phase]}
    section = _section(render_card(results))
    assert section.startswith(": custom\n\nThe phases are this run's own.")
    assert "| warm \\| up | 1 to 1,500 |" in section


def test_a_card_of_results_without_phases_has_no_table_of_them(results):
    del results["training"]["phases"]
    assert "Frozen" not in render_card(results)


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("first_step", -1), ("weights", [1, 2]), ("end_weights", [1, 2, float("nan")])]
)
def test_phases_that_are_none_are_refused_by_name(results, field, value):
    results["training"]["phases"][1][field] = value
    with pytest.raises(ValueError, match=rf"results\.training\.phases\[1\]\.{field}: expected"):
        check_results(results)
