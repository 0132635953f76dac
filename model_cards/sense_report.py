"""The figures of a study of senses as Markdown tables, each estimate with its interval and what chance gives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_GEOMETRY = {
    "sense_topology": "sense topology, Spearman's rho",
    "procrustes": "Procrustes, not centred, held-out cosine",
    "procrustes_centered": "Procrustes, centred, held-out cosine",
    "mutual_information": "Jensen-Shannon bound, nats, held-out",
    "sense_similarity": "senses of one number, centred cosine",
}
_BANDS = ("sense_topology", "procrustes", "procrustes_centered")


def sense_report(results: Mapping[str, Any]) -> str:
    """
    The tables of a study of senses: mixture, its entropy by word frequency and, where tags were given, part of speech,
    ablations, geometry, geometry by frequency, and ambiguous words.

    Args:
        results (`Mapping`): what `examples/study_senses.py` writes.

    Returns:
        `str`: Markdown, a heading before each table.
    """
    models = results["models"]
    parts = {
        "Mixture": (["model, language", "entropy", "of at most", "cosine of two senses", "tokens"], _mixture(models)),
        **_entropies(models),
        "Ablations: nats per token lost": _ablations(models),
        "Geometry": (["statistic", "model", "estimate, 95 %", "shuffled pairs", "gap", "p"], _geometry(models)),
        "Geometry by word frequency: gap": (["count of the rarer word", "model", *_BANDS], _bands(models)),
        "Ambiguous words: area under the ROC curve": (
            ["measure", "model", "mean, 95 %", "chance, 95 % of shuffles", "p"],
            _meanings(models),
        ),
    }
    return "\n".join(f"### {heading}\n\n{_table(*part)}" for heading, part in parts.items())


def _table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _mixture(models: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for model, language, each in _languages(models):
        numbers = (each["entropy"], each["maximum_entropy"], each["off_diagonal_cosine"])
        yield f"{model}, {language}", *map(_number, numbers), f"{each['tokens']:,}"


def _entropies(models: Mapping[str, Any]) -> dict[str, tuple[Sequence[str], Iterator[Sequence[str]]]]:
    """Tables of the mixture's entropy by groups of words, for the groups that were measured."""
    headings = {
        "entropy_by_frequency": ("Entropy by word frequency", "rank of the word"),
        "entropy_by_tag": ("Entropy by part of speech", "part of speech"),
    }
    measured = {
        name: {f"{model}, {language}": each[name] for model, language, each in _languages(models) if each.get(name)}
        for name in headings
    }
    return {
        headings[name][0]: ([headings[name][1], *columns], _groups(columns))
        for name, columns in measured.items()
        if columns
    }


def _groups(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """A row for each group, in the order of the column with most of them, with the group's entropy and tokens."""
    most = max(columns.values(), key=len)
    for name in dict.fromkeys([*most, *(name for groups in columns.values() for name in groups)]):
        found = [groups.get(name) for groups in columns.values()]
        yield name, *(f"{_number(each['entropy'])} ({each['tokens']:,})" if each else "" for each in found)


def _ablations(models: Mapping[str, Any]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    columns = {f"{model}, {language}": each["ablation"]["variants"] for model, language, each in _languages(models)}
    names = [name for name in next(iter(columns.values())) if name != "untouched"]
    untouched = [
        ["untouched: nats per token", *(_number(each["untouched"]["cross_entropy"]) for each in columns.values())]
    ]
    lost = ([name, *(_number(each[name]["change"]) for each in columns.values())] for name in names)
    return ["variant", *columns], iter([*untouched, *lost])


def _geometry(models: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, label in _GEOMETRY.items():
        for model, results in models.items():
            each = results["geometry"][name]
            estimate = f"{_number(each['estimate'])} ({_range(each['ci_low'], each['ci_high'])})"
            yield label, model, estimate, _number(each["baseline"]), _number(each["gap"]), _number(each["p_value"])


def _bands(models: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for model, results in models.items():
        for band in results["geometry"]["by_frequency"]:
            low, high = band["counts"]
            yield f"{low:,} to {high:,}", model, *(_number(band[name]["gap"]) for name in _BANDS)


def _meanings(models: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    models = {name: results for name, results in models.items() if results["meanings"] is not None}
    for name in next(iter(models.values()), {"meanings": {"measures": ()}})["meanings"]["measures"]:
        for model, results in models.items():
            each = results["meanings"]["measures"][name]
            mean = f"{_number(each['auc'])} ({_range(*each['auc_interval'])})"
            if "auc_chance" not in each:
                yield name, model, mean, "0.5", ""
                continue
            chance = f"{_number(each['auc_chance'])} ({_range(*each['auc_chance_interval'])})"
            yield name, model, mean, chance, _number(each["auc_p_value"])


def _languages(models: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for model, results in models.items():
        for language, each in results["mixture"].items():
            yield model, language, each


def _number(value: float) -> str:
    return f"{value:.3f}"


def _range(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"
