"""Tables of runs in Markdown, every figure with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from reproduction.estimates import Estimate
from reproduction.labels import label
from reproduction.run_results import Results


@dataclass(frozen=True)
class Table:
    """
    A table.

    Args:
        headings (`tuple` of `str`): of the columns; the first column holds names.
        rows (`tuple` of `tuple` of `str`): cells.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """`list` of `str`: the table in Markdown, without a line end."""
        ruler = f"|---|{'---:|' * (len(self.headings) - 1)}"
        return [_line(self.headings), ruler, *map(_line, self.rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(estimate: Estimate | None, digits: int = 3, sign: str = "") -> str:
    """A figure with its interval, or a dash where there is none."""
    return "-" if estimate is None else estimate.text(digits, sign)


def runs_table(found: Results, kinds: Sequence[str], metrics: Sequence[str], language: str = "id") -> Table:
    """
    A row for each kind of runs that there is.

    Args:
        found ([`Results`]): of all runs.
        kinds (`Sequence[str]`): wanted, in order.
        metrics (`Sequence[str]`): columns, as of [`Results.estimate`].
        language (`str`, *optional*, defaults to `"id"`): of the runs.
    """
    rows = [
        (label(kind), str(len(found(kind, language))), *(cell(found.estimate(kind, m, language)) for m in metrics))
        for kind in kinds
        if found(kind, language)
    ]
    return Table(("runs", "seeds", *metrics), tuple(rows))


def differences_table(found: Results, pairs: Sequence[tuple[str, str]], metrics: Sequence[str]) -> Table:
    """
    A row for each kind of runs, with its difference to another kind.

    Args:
        found ([`Results`]): of all runs.
        pairs (`Sequence`): a kind and what it is compared with.
        metrics (`Sequence[str]`): as of [`Results.estimate`].
    """
    rows = []
    for kind, other in pairs:
        if found(kind) and found(other):
            cells = (cell(difference(found, kind, other, metric), sign="+") for metric in metrics)
            rows.append((label(kind), str(len(found(kind))), *cells))
    return Table(("runs", "seeds", *(f"{metric}, change" for metric in metrics)), tuple(rows))


def difference(found: Results, kind: str, other: str, metric: str) -> Estimate | None:
    """Figure of one kind of runs minus that of another; `None` where one has none."""
    ours, theirs = found.estimate(kind, metric), found.estimate(other, metric)
    return None if ours is None or theirs is None else ours.minus(theirs)
