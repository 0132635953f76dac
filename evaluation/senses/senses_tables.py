"""Senses and mixtures as tables for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from sensia.evaluation.senses.inspection import readable

_TERMS = 6


def sense_tables(
    senses: Mapping[str, Any], model_name: str, languages: tuple[str, str] | None = None
) -> Iterator[Table]:
    """
    Makes a table for each token of a word, with one row per sense.

    Args:
        senses (`Mapping`): from [`senses_of`].
        model_name (`str`): what to call the model.
        languages (`tuple`, *optional*): codes of source and target language, if their tokens are listed separately.
    """
    headings = {"strongest": "strongest", "suppressed": "most suppressed"}
    if languages is not None:
        headings = {
            "strongest_source": languages[0],
            "strongest_target": languages[1],
            "suppressed": "most suppressed",
        }
    for token in senses["tokens"]:
        table = Table(title=Text(f"{model_name}: senses of “{readable(token['token'])}”"), title_justify="left")
        table.add_column("sense", justify="right")
        for heading in headings.values():
            table.add_column(heading, overflow="fold")
        for sense in token["senses"]:
            table.add_row(str(sense["sense"]), *(_entries(sense[name]) for name in headings))
        yield table


def _entries(entries: list[dict[str, Any]]) -> Text:
    # Plain text instead of markup, because a token may be "[bold]".
    # An entry without a space is never broken over two lines.
    parts = ((readable(entry["token"]), (f"·{entry['score']:.1f}", "dim")) for entry in entries)
    return Text("  ").join(Text.assemble(*part) for part in parts)


def mixture_table(mixture: Mapping[str, Any], model_name: str) -> Table:
    """
    Makes a table with one row per predicted token and the largest terms of its logit.

    Args:
        mixture (`Mapping`): from [`mixture_of`].
        model_name (`str`): what to call the model.
    """
    table = Table(title=Text(f"{model_name}: “{mixture['sentence']}”"), title_justify="left")
    table.add_column("token")
    table.add_column("logit", justify="right")
    table.add_column("probability", justify="right")
    table.add_column("largest terms of the logit (token/sense)", overflow="fold")
    for prediction in mixture["predictions"]:
        terms = [
            (value, place, sense)
            for sense, row in enumerate(prediction["contributions"])
            for place, value in enumerate(row)
        ]
        largest = sorted(terms, key=lambda term: -abs(term[0]))[:_TERMS]
        shown = [
            f"{readable(mixture['tokens'][place]['token'])}/{sense}·{value:+.2f}" for value, place, sense in largest
        ]
        logit, probability = f"{prediction['logit']:.2f}", f"{prediction['probability']:.2%}"
        table.add_row(Text(readable(prediction["token"])), logit, probability, Text("  ".join(shown)))
    return table


def mixture_lines(measures: Mapping[str, Mapping[str, Any]], model_name: str) -> Iterator[str]:
    """
    Makes one line with the entropy for each language, and one line for each alarm.

    Args:
        measures (`Mapping`): by language, from [`mixture.measure_mixture`].
        model_name (`str`): what to call the model.
    """
    for language, each in measures.items():
        entropy = f"entropy {each['entropy']:.3f} of {each['maximum_entropy']:.3f} nats"
        yield f"{model_name}, {language}: {entropy}, {each['tokens']:,} tokens"
        yield from (f"  {alarm}" for alarm in each["alarms"])


def meanings_table(meanings: Mapping[str, Any], model_name: str) -> Table:
    """
    Makes a table with one row per measure of ambiguous words.

    Args:
        meanings (`Mapping`): from [`meanings.measure_meanings`].
        model_name (`str`): what to call the model.
    """
    title = f"{model_name}: {len(meanings['words'])} ambiguous words"
    table = Table("AUC of", "mean", "95 % interval", "chance, 95 % of shuffles", title=title, title_justify="left")
    for name, measure in meanings["measures"].items():
        intervals = [measure["auc_interval"], measure.get("auc_chance_interval", ())]
        table.add_row(
            name, f"{measure['auc']:.3f}", *(" to ".join(f"{end:.3f}" for end in each) for each in intervals)
        )
    return table
