import re

import pytest
import yaml
from example_scripts import EXAMPLES

from reproduction.comparison import comparison_page, write_comparison_report
from reproduction.plan import Comparison, read_comparisons, read_plan
from reproduction.seed_tests import differences_by_seeds

ALIGNED_OVER_NONE = [Comparison("aligned", "none")]


def result(kind, bits, *, language="zh", seed=0, steps=300):
    metrics = {"bits_per_byte": bits, "context_recall@1": 1 / bits, "sense_recall@1": 1 / bits}
    return {
        "kind": kind,
        "language": language,
        "seed": seed,
        "training": {"seconds": 60.0, "steps": steps, "flops": 2.5e15},
        "tokenizer": None if kind == "none" else {"before": tokens(60, 20), "after": tokens(24, 20)},
        "scores": {name: {"metrics": metrics} for name in ("ntrex", "in-domain", "english")},
    }


def tokens(target, source):
    return {"target": {"tokens_per_sentence": target}, "source": {"tokens_per_sentence": source}}


def seeds(kind, *bits):
    return [result(kind, each, seed=seed) for seed, each in enumerate(bits)]


def rows(page, first_cell):
    return [line for line in page.splitlines() if line.startswith(f"| {first_cell}")]


def test_a_difference_far_beyond_the_seeds_is_bold():
    page = comparison_page(
        "tokenizers", ALIGNED_OVER_NONE, seeds("none", 4, 4.01, 4.02) + seeds("aligned", 3, 3.01, 3.02)
    )
    assert rows(page, "`aligned` less `none` | zh")[0].split(" | ")[2] == "**-1.000**"


def test_a_difference_within_the_seeds_is_plain():
    page = comparison_page("tokenizers", ALIGNED_OVER_NONE, seeds("none", 3, 4, 5) + seeds("aligned", 3.1, 3.9, 4.9))
    assert rows(page, "`aligned` less `none` | zh")[0].split(" | ")[2] == "-0.033"


def test_a_difference_of_single_seeds_is_said_to_be_untested():
    page = comparison_page("tokenizers", ALIGNED_OVER_NONE, seeds("none", 4) + seeds("aligned", 3, 3.01))
    assert rows(page, "`aligned` less `none` | zh")[0].split(" | ")[2] == "*-0.995*"


def test_the_table_gives_the_mean_and_the_range_of_the_seeds():
    page = comparison_page("tokenizers", ALIGNED_OVER_NONE, seeds("none", 3, 4, 5))
    assert "| zh | `none` | 3 | - | 4.000 (3.000 to 5.000) |" in page


def test_a_run_with_the_old_tokenizer_has_the_tokens_that_others_had_before():
    page = comparison_page("tokenizers", ALIGNED_OVER_NONE, seeds("none", 4) + seeds("aligned", 3))
    assert [line.split(" | ")[3] for line in rows(page, "zh")] == ["3.00", "1.20"]


def test_runs_that_were_not_made_are_named():
    assert "1 runs of the plan were not made: `none-zh-1`." in comparison_page("tokenizers", [], [], ["none-zh-1"])


def test_the_report_has_its_plot_and_links_to_it(tmp_path):
    write_comparison_report("tokenizers", ALIGNED_OVER_NONE, seeds("none", 4) + seeds("aligned", 3), tmp_path, [])
    (image,) = re.findall(r"\]\((images/.*?)\)", (tmp_path / "comparison-tokenizers.md").read_text(encoding="utf-8"))
    assert (tmp_path / image).read_bytes().startswith(b"\x89PNG")


def test_more_cells_ask_for_a_smaller_p_value():
    pair = ([1.0, 1.1, 1.2], [1.3, 1.4, 1.5])  # t = 3.67, p = 0.021
    assert differences_by_seeds({"one": pair}) == {"one": True}
    assert differences_by_seeds(dict.fromkeys(("one", "two", "three"), pair)) == dict.fromkeys(
        ("one", "two", "three"), False
    )


def test_the_plan_of_tokenizers_has_the_seeds_of_each_language():
    plan = read_plan(EXAMPLES / "configs/reproduce_tokenizers.yaml", ["none"])
    assert [(run.language, run.seed) for run in plan] == [
        *((language, seed) for language in ("zh", "et") for seed in range(3)),
        ("tr", 0),
        ("sw", 0),
    ]


def test_a_plan_that_compares_what_it_does_not_run_is_refused(tmp_path):
    path = tmp_path / "plan.yaml"
    parts = {"common": {}, "suite": {}, "bases": {}, "runs": {"none": {}}, "compare": [["none", "aligned"]]}
    path.write_text(yaml.safe_dump(parts), encoding="utf-8")
    with pytest.raises(ValueError, match=r"plan\.yaml compares 'aligned', but runs only none"):
        read_comparisons(path)
