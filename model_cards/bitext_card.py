"""The card and the notice of a bitext that `sensia bitext` has built."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sensia.model_cards.markdown import words

_MEANINGS = {
    "empty": "a side is missing",
    "too_short": "a side of next to nothing",
    "too_long": "a side that is no sentence any more",
    "no_text": "a side with fewer letters than other signs",
    "copied": "the sides are the same, or share most of their words",
    "length_ratio": "one side is far longer than usual",
    "other_script": "a side in another script than that of its language",
    "other_numbers": "numbers that stand on one side only",
    "other_addresses": "addresses of the web or of mail that stand on one side only",
    "glued": "words that are glued together on the target side",
    "other_language": "a side that is surely in another language",
    "quality": "the sides look misaligned, cut or swapped to a classifier that learned from this bitext",
    "similarity": "the sentence vectors of its sides are not similar enough",
    "duplicates": "the pair occurred before",
    "near_duplicates": "the pair is nearly the same as an earlier one",
    "repeated": "a sentence that occurred too often on its side",
    "held_out": "a sentence that shares eight words in a row with held-out text",
}


def bitext_card(
    name: str,
    codes: Sequence[str],
    sources: Sequence[Any],
    reports: Mapping[str, Any],
    sizes: Mapping[str, int],
    steps: Sequence[str],
    licence: str,
    scored_by: str | None = None,
) -> str:
    """
    The data set card.

    Args:
        name (`str`): name of the data set.
        codes (`Sequence` of two `str`): codes of the languages, for the Hub.
        sources (`Sequence` of `BitextSource`): what the bitext was built from.
        reports (`Mapping` of `SourceReport`): counts by the name of each source.
        sizes (`Mapping` of `int`): pairs of each part.
        steps (`Sequence[str]`): steps that were made.
        licence (`str`): the Hub's identifier of the licence of the whole.
        scored_by (`str`, *optional*): a sentence that says what the column `score` holds.

    Returns:
        `str`: Markdown with the metadata that the Hub reads.
    """
    files = [{"split": "validation" if part == "dev" else part, "path": f"{part}.parquet"} for part in sizes]
    metadata = {
        "language": list(codes),
        "license": licence,
        "task_categories": ["translation"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    lines = ["---", yaml.safe_dump(metadata, sort_keys=False).strip(), "---", "", f"# {name}", ""]
    lines += [f"Sentence pairs in {codes[0]} and {codes[1]}, built by `sensia bitext`.", ""]
    lines += ["| part | pairs |", "|---|---:|", *(f"| {part} | {size:,} |" for part, size in sizes.items()), ""]
    if len(sizes) > 1:
        lines += ["No pair of one part shares eight words in a row with a pair of another part, on the same side.", ""]
    lines += ["## Sources", "", "| source | licence | pairs read | repaired | kept |", "|---|---|---:|---:|---:|"]
    for each in sources:
        report = reports[each.shown]
        counts = f"{report.read:,} | {report.changed:,} | {report.kept:,}"
        lines.append(f"| {cell(each.shown)} | {cell(each.license or 'unknown')} | {counts} |")
    if scored_by:
        lines += ["", "## Scores", "", scored_by, "", *_scores(reports)]
    lines += _swapped(reports)
    lines += ["", "## What was dropped", "", f"Steps: {', '.join(steps)}.", ""]
    for name_of_source, report in reports.items():
        lines += _dropped(name_of_source, report)
    return "\n".join(lines) + "\n"


def _scores(reports: Mapping[str, Any]) -> list[str]:
    scored = {name: report.scores for name, report in reports.items() if report.scores}
    shares = list(next(iter(scored.values()), {}))
    lines = ["The scores that a share of the pairs of a source is below:", ""]
    lines += [f"| source | {' | '.join(shares)} |", f"|---|{'---:|' * len(shares)}"]
    for name, scores in scored.items():
        lines.append(f"| {cell(name)} | {' | '.join(f'{score:.3f}' for score in scores.values())} |")
    return lines


def swapped_source(name: str, report: Any) -> str:
    """
    Says of a source whose sides have each other's name what was done, and what to do.

    Args:
        name (`str`): name of the source.
        report (`SourceReport`): its counts.

    Returns:
        `str`: one line.
    """
    return (
        f"{name} is swapped as a whole: {report.swapped.pairs:,} of the {report.told:,} pairs whose languages are "
        "clear were swapped, and are swapped back. Name the two sides of this source the other way round, for the "
        "pairs that are too short to tell."
    )


def _swapped(reports: Mapping[str, Any]) -> list[str]:
    found = {name: report for name, report in reports.items() if report.swapped.pairs}
    if not found:
        return []
    lines = ["", "## What was swapped back", "", "Pairs of which each side was in the language of the other.", ""]
    lines += ["| source | pairs | examples, as they were |", "|---|---:|---|"]
    for name, report in found.items():
        lines.append(f"| {cell(name)} | {report.swapped.pairs:,} | {_examples(report.swapped)} |")
    return [*lines, *(f"\n{words(swapped_source(name, each))}" for name, each in found.items() if each.is_swapped)]


def _examples(step: Any) -> str:
    return "<br>".join(f"{_short(source)} / {_short(target)}" for source, target in step.examples)


def _dropped(name: str, report: Any) -> list[str]:
    if not report.steps:
        return [f"**{name}**: nothing.", ""]
    lines = [f"**{name}**", "", "| step | pairs | meaning | examples |", "|---|---:|---|---|"]
    for step, found in report.steps.items():
        lines.append(f"| {step} | {found.pairs:,} | {_MEANINGS[step]} | {_examples(found)} |")
    return [*lines, ""]


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return words(text).replace("|", "\\|")


def _short(text: str) -> str:
    return cell(text if len(text) <= 60 else f"{text[:57]}...") or "(empty)"


def notice(sources: Sequence[Any]) -> str:
    """
    Attributions and licences of the sources.

    Args:
        sources (`Sequence` of `BitextSource`): what the bitext was built from.

    Returns:
        `str`: Markdown.
    """
    lines = ["# Sources and licences", ""]
    for each in sources:
        lines += [f"- **{each.shown}** ({each.path}): {each.license or 'licence unknown'}."]
        lines[-1] += f" {each.attribution}" if each.attribution else ""
    return "\n".join(lines) + "\n"
