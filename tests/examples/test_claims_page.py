"""The page on the paper's claims and that of the first experiments, made from results alone."""

import re
from pathlib import Path

import pytest
from claim_results import result

from reproduction.claim_plots import PLOTS
from reproduction.claim_sentences import SENTENCES
from reproduction.claim_tables import TABLES
from reproduction.claims import judge
from reproduction.claims_page import Measured, claims_page, write_claims_page
from reproduction.curve_table import curve_table
from reproduction.experiments import EXPERIMENTS, write_experiments
from reproduction.plan import read_plan, read_results
from reproduction.report import write_report
from reproduction.run_results import Results

ROOT = Path(__file__).parents[2]


def at_scale(results, planned=9):
    return Measured(judge(results), Results(results), len(results), planned)


@pytest.fixture(scope="module")
def real():
    return {name: at_scale(read_results(ROOT / "docs/results/reproduction" / name)) for name in ("mini", "mini_long")}


@pytest.fixture
def scales():
    runs = [
        result(kind, recall, 2.7, seed=seed) for kind, recall in (("sensia", 0.5), ("data-20", 0.3)) for seed in (0, 1)
    ]
    return {"mini": at_scale(runs), "mini_long": at_scale(runs[:2])}


def test_every_claim_has_a_sentence_a_table_a_plot_and_words_for_it(real):
    names = {claim.name for claim in real["mini"].claims}
    assert names == SENTENCES.keys() == TABLES.keys() == PLOTS.keys()
    assert all(words for words, _ in PLOTS.values())


def test_verdicts_of_all_scales_stand_beside_each_other(scales):
    page = claims_page(scales)
    row = next(line for line in page.splitlines() if "[Twenty times less bitext costs little](#5-" in line)
    assert row.endswith("| 2.5 to 3.3 points | does not hold | not measured yet |")
    assert "| `mini_long` | 8M parameters, 16 senses | 48,000 | 2 of 9 |" in page


def test_plot_and_table_are_of_the_largest_scale_that_has_the_runs(scales):
    parts = claims_page(scales).split("\n## ")
    assert "At `mini_long`:" in parts[1] and "At `mini`:" in parts[5]
    assert "--scale mini_long --data DIR --only sensia\n" in parts[1]
    assert "![Recall and bits per byte over the number of different pairs](images/claims_bitext.png)" in parts[5]
    assert "| 1/20 of the pairs | 2 | 0.300 (0.300 to 0.300) |" in parts[5]


def test_a_claim_without_runs_says_what_is_missing(scales):
    parts = claims_page(scales).split("\n## ")
    assert "- `mini`: **not measured yet**. Runs that are missing: scratch." in parts[3]
    assert "- `mini`: **not measured yet**. Runs that are missing: sensia in id, scored on mixture." in parts[6]
    assert "![" not in parts[3] + parts[6]


def test_links_to_claims_lead_to_their_headings(scales):
    page = claims_page(scales)
    headings = [line.removeprefix("## ").lower() for line in page.splitlines() if line.startswith("## ")]
    anchors = {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading)) for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors


def test_only_measured_claims_are_drawn(scales, tmp_path):
    write_claims_page(scales, tmp_path)
    assert {path.name for path in tmp_path.glob("images/*")} == {"claims_alignment.png", "claims_bitext.png"}


@pytest.mark.parametrize(
    ("scale", "name"),
    [
        *(("mini", name) for name in ("others", "scratch", "phases", "languages", "curricula", "search")),
        *(("mini_long", name) for name in ("mixture", "scratch")),
    ],
)
def test_the_plot_of_a_claim_shows_the_figures_of_its_table(real, scale, name):
    found = real[scale].found
    figure, table = PLOTS[name][1](found), TABLES[name](found)
    shown = {
        round(float(x), 3)
        for axes in figure.axes
        for line in axes.lines
        for x in [*line.get_xdata(), *line.get_ydata()]
    }
    bits = table.headings.index("bits per byte") if "bits per byte" in table.headings else len(table.headings) - 1
    told = {float(row[bits].split()[0]) for row in table.rows if row[0] != "" and row[bits] not in ("-", "1")}
    assert told and told <= {round(each, 3) for each in shown} | {round(each, 2) for each in shown}


def test_the_curve_tells_the_mean_and_the_range_of_seeds():
    runs = [result("sensia", 0.5, 2.7, seed=seed, curve=(0.1, end)) for seed, end in ((0, 0.4), (1, 0.6))]
    assert curve_table(Results(runs)).rows[1][:3] == ("1", "align", "0.500 (0.400 to 0.600)")


def test_an_experiment_without_runs_says_so_and_one_with_them_is_drawn(tmp_path, scales):
    write_experiments(scales, tmp_path)
    page = (tmp_path / "experiments.md").read_text(encoding="utf-8")
    assert "--experiment low_resource" in page
    assert "Runs that are missing at `mini`: data-2, data-5, data-100." in page
    assert [path.name for path in tmp_path.glob("images/*")] == ["experiment_curves.png"]


@pytest.mark.parametrize("scale", ["mini", "mini_long", "full"])
def test_every_plan_has_the_runs_of_the_experiments_and_of_the_claims(scale, scales):
    kinds = {run.kind for run in read_plan(ROOT / f"examples/configs/reproduce_{scale}.yaml")}
    assert {kind for each in EXPERIMENTS.values() for kind in each.kinds} <= kinds
    assert {"monolingual", "monolingual-own-tokens", "scratch", "no-joint"} <= kinds


@pytest.mark.parametrize("scale", ["mini", "mini_long", "full"])
def test_every_plan_scores_the_geometry_of_senses_and_the_mixture(scale):
    run = read_plan(ROOT / f"examples/configs/reproduce_{scale}.yaml", ["sensia"])[0]
    assert {"topology", "procrustes", "mixture", "xcopa"} <= set(run.suite)
    # The least p-value, 1 / (1 + shuffles), stays under 5 % after a correction for two dozen tests.
    assert all(24 / (1 + run.suite[task]["shuffles"]) < 0.05 for task in ("topology", "procrustes"))


def test_the_pages_of_the_project_are_those_of_its_results(tmp_path):
    for folder in ("docs/results", "examples/configs"):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        (tmp_path / folder).symlink_to(ROOT / folder)
    write_report(tmp_path, "mini")
    for name in ("claims.md", "claims-mini.md", "experiments.md"):
        expected = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert (tmp_path / "docs" / name).read_text(encoding="utf-8") == expected, f"{name}: run reproduce.py --report"
