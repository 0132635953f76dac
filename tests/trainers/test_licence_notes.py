"""What a run says of the licences of its parts and of the one chosen for the result."""

import json

import pytest

from sensia.trainers.licence_notes import LicensedPart, base_licence, licence_reason, licence_warnings, stated_about
from sensia.trainers.run_arguments import AdaptArguments


def parts(base, *data):
    return [LicensedPart("base model b", base), *(LicensedPart(f"bitext {n}.jsonl", d) for n, d in enumerate(data))]


def test_a_laxer_licence_is_warned_of_and_told():
    made_from = parts("mpl-2.0", "cc-by-nc-4.0")
    warnings = licence_warnings("mit", made_from)
    assert [warning.split(":")[1].split(".")[0] for warning in warnings] == [
        " it does not demand copyleft",
        " it does not demand non-commercial use",
    ]
    assert "mit, is laxer than that of bitext 0.jsonl, cc-by-nc-4.0" in warnings[1]
    reason = licence_reason("mit", made_from)
    assert all(warning in reason for warning in warnings)
    assert "base model b: attribution and copyleft; bitext 0.jsonl: attribution and non-commercial use." in reason
    assert "most demanding" not in reason and "all these kinds" not in reason


def test_a_licence_that_demands_as_much_is_told_so():
    made_from = parts("mpl-2.0", "CC0-1.0 AND Apache-2.0")
    assert licence_warnings("mpl-2.0", made_from) == []
    assert licence_reason("mpl-2.0", made_from).endswith(
        "The chosen licence, mpl-2.0, has demands of all these kinds."
    )


@pytest.mark.parametrize("chosen", ["epl-2.0", "cc-by-sa-4.0"])
def test_licences_that_bind_what_is_made_are_called_neither_laxer_nor_compatible(chosen):
    assert licence_warnings(chosen, parts("mpl-2.0", "mit")) == []
    reason = licence_reason(chosen, parts("mpl-2.0", "mit"))
    assert reason.endswith(f"Whether the chosen licence, {chosen}, is compatible with mpl-2.0 was not checked.")


@pytest.mark.parametrize(("base", "data"), [(None, "mit"), ("mit", "custom terms")])
def test_nothing_is_concluded_from_a_licence_that_is_not_known(base, data):
    reason = licence_reason("cc-by-sa-4.0", parts(base, data))
    assert "all these kinds" not in reason
    assert "cc-by-sa-4.0, was not compared with that of " in reason
    assert (": not stated" in reason) == (base is None)


def test_no_derivatives_are_warned_of_whatever_was_chosen():
    for chosen in (None, "other", "cc-by-nd-4.0"):
        (warning,) = licence_warnings(chosen, parts("cc-by-nd-4.0", "cc0-1.0"))
        assert "does not allow that adapted versions are passed on" in warning


def test_a_chosen_licence_of_unknown_demands_is_not_compared():
    assert "so it was not compared with theirs" in licence_reason("other", parts("mit", "mpl-2.0"))


def test_no_licence_is_chosen_for_anybody():
    assert licence_reason(None, parts("mit", "mit")).endswith("who publishes it has to.")


def arguments(**settings):
    return AdaptArguments("base", ["train.jsonl"], "id", **settings)


def test_the_setting_takes_usual_spellings():
    assert arguments(model_license="CC BY-SA 4.0").model_license == "cc-by-sa-4.0"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model_license": "mitt"}, "Did you mean `mit`"),
        ({"model_license": "other"}, "give `model_license_name` or `model_license_link` too"),
        ({"model_license": "mit", "model_license_name": "x"}, "`model_license_name` is for `model_license` other"),
        ({"model_license_link": "https://x.org"}, "`model_license_link` is for `model_license` other"),
    ],
)
def test_what_the_hub_would_not_know_is_refused_at_once(settings, words):
    with pytest.raises(ValueError, match=words):
        arguments(**settings)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ('license: "mpl-2.0" # ours', "mpl-2.0"),
        ("license:\n- mit\n- apache-2.0", "mit AND apache-2.0"),
        ("license: other\nlicense_name: house-rules", "house-rules"),
        ("license: unknown", None),
        ("tags: [x]", None),
        ("license: [", None),
    ],
)
def test_the_licence_of_a_base_model_is_that_of_its_metadata(tmp_path, metadata, licence):
    (tmp_path / "README.md").write_text(f"---\n{metadata}\n---\n\nlicense: text of the card\n", encoding="utf-8")
    assert base_licence(str(tmp_path)) == licence


def test_a_base_model_without_a_card_states_nothing(tmp_path):
    assert base_licence(str(tmp_path)) is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"train.jsonl": "mit"})])
def test_a_damaged_sources_file_is_named(tmp_path, text):
    (tmp_path / "sources.json").write_text(text)
    with pytest.raises(ValueError, match=r"sources\.json"):
        stated_about(tmp_path / "train.jsonl")
