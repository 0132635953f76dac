import json
import re
from pathlib import Path

import pytest

from sensia.model_cards.sense_report import sense_report

DOCS = Path(__file__).resolve().parents[2] / "docs"


def statistic(estimate):
    return {
        "estimate": estimate,
        "ci_low": 0.1,
        "ci_high": 0.9,
        "baseline": 0.25,
        "gap": estimate - 0.25,
        "p_value": 0.005,
    }


def study(estimate):
    names = ("sense_topology", "procrustes", "procrustes_centered", "mutual_information", "sense_similarity")
    geometry = {name: statistic(estimate + place / 100) for place, name in enumerate(names)}
    geometry["by_frequency"] = [{"counts": [55, 58150], **{name: statistic(0.75) for name in names[:3]}}]
    variants = {
        "untouched": {"cross_entropy": 5.6651, "change": 0.0},
        "top_1": {"cross_entropy": 7.0, "change": 2.2219},
    }
    groups = {
        "entropy_by_frequency": {
            "1 to 100": {"entropy": 0.5, "tokens": 10},
            "101 to 1,000": {"entropy": 0.7, "tokens": 2000},
        },
        "entropy_by_tag": {"NOUN": {"entropy": 0.6, "tokens": 7}},
    }
    mixture = {"entropy": 0.6432, "maximum_entropy": 2.0794, "off_diagonal_cosine": 0.1841, "tokens": 10131}
    chance = {"auc_chance": 0.5, "auc_chance_interval": [0.48, 0.52], "auc_p_value": 0.0049}
    text = {"auc": 0.8061, "auc_interval": [0.7831, 0.8281]}
    return {
        "mixture": {"en": {**mixture, **groups, "ablation": {"variants": variants}}},
        "meanings": {"measures": {"text": text, "received_apart": {**text, **chance}}},
        "geometry": geometry,
    }


@pytest.fixture
def tables():
    report = sense_report({"models": {"base": study(0.3), "adapted": study(0.4)}})
    return [
        [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
        for part in report.split("### ")[1:]
    ]


def test_mixture_and_ablations_have_a_row_or_column_for_each_model_and_language(tables):
    assert tables[0][2:] == [[f"{name}, en", "0.643", "2.079", "0.184", "10,131"] for name in ("base", "adapted")]
    assert tables[3][0] == ["variant", "base, en", "adapted, en"]
    assert tables[3][2:] == [["untouched: nats per token", "5.665", "5.665"], ["top_1", "2.222", "2.222"]]


def test_entropy_stands_by_word_frequency_and_part_of_speech_with_the_tokens_counted(tables):
    assert tables[1][0] == ["rank of the word", "base, en", "adapted, en"]
    assert tables[1][2:] == [["1 to 100", *["0.500 (10)"] * 2], ["101 to 1,000", *["0.700 (2,000)"] * 2]]
    assert tables[2][2:] == [["NOUN", *["0.600 (7)"] * 2]]


def test_without_tags_there_is_no_table_of_parts_of_speech():
    results = {"models": {"base": study(0.3)}}
    results["models"]["base"]["mixture"]["en"]["entropy_by_tag"] = {}
    report = sense_report(results)
    assert "### Entropy by word frequency" in report and "part of speech" not in report


def test_every_geometric_estimate_has_its_interval_chance_gap_and_p(tables):
    assert tables[4][2][1:] == ["base", "0.300 (0.100 to 0.900)", "0.250", "0.050", "0.005"]
    assert [row[2][:5] for row in tables[4][2:]] == [f"{base + n / 100:.3f}" for n in range(5) for base in (0.3, 0.4)]
    assert tables[5][2] == ["55 to 58,150", "base", "0.500", "0.500", "0.500"]


def test_what_ambiguous_words_tell_stands_beside_chance(tables):
    assert tables[6][2][:4] == ["text", "base", "0.806 (0.783 to 0.828)", "0.5"]
    assert tables[6][5][2:] == ["0.806 (0.783 to 0.828)", "0.500 (0.480 to 0.520)", "0.005"]


def test_the_figures_of_the_guide_are_those_of_its_results_file():
    results = json.loads((DOCS / "results/senses-id.json").read_text(encoding="utf-8"))
    guide = (DOCS / "senses.md").read_text(encoding="utf-8")
    assert sense_report(results) in guide


def test_the_pictures_of_the_guide_are_there_and_small():
    guide = (DOCS / "senses.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((images/[^)]+)\)", guide)
    assert sorted(pictures) == sorted(
        f"images/senses_{name}.png" for name in ("page", "similarity", "topology", "words")
    )
    assert all((DOCS / name).stat().st_size < 150_000 for name in pictures)
