"""From downloads to one clean bitext: repairing, checking, excluding held-out text, dividing; counted by step."""

import hashlib
import json
import random
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.grouping import group_near_duplicates, word_runs
from sensia.corpora.languages import Language
from sensia.corpora.letter_case import lowered
from sensia.corpora.near_duplicates import NearDuplicates
from sensia.corpora.pair_checks import CHECKS, Limits, PairContext
from sensia.corpora.repair import repair
from sensia.corpora.text_language import are_swapped
from sensia.whole_files import whole_file

#: `source`, `target`, and what else is known: `origin`, and `score`, a number.
Pair = dict[str, Any]
#: Steps of a build, in their order. `checks` are those of [`pair_checks.CHECKS`].
STEPS = (
    "normalize",
    "swapped",
    *CHECKS,
    "quality",
    "similarity",
    "duplicates",
    "held_out",
    "repeated",
    "near_duplicates",
)
#: Columns beside the two sides.
_BESIDE = {"origin": pa.string(), "score": pa.float64()}
#: Shares of the pairs whose scores a report has.
_SHARES = (0.01, 0.03, 0.1, 0.25, 0.5)
#: Pairs from which the usual ratio of lengths is taken.
_RATIO_SAMPLE = 2000


def normalize(text: str) -> str:
    """
    Repairs and normalises a text: mojibake, HTML, invisible characters, Unicode composition, white space.

    Args:
        text (`str`): any text.
    """
    import ftfy

    clean, _ = repair(ftfy.fix_text(text, normalization="NFC", uncurl_quotes=False, fix_latin_ligatures=False))
    return " ".join(unicodedata.normalize("NFC", clean).split())


def score_shares(pairs: Sequence[Pair]) -> dict[str, float]:
    """
    The scores below which a share of the pairs lies, to choose a threshold by.

    Args:
        pairs (`Sequence[dict]`): pairs with a `score`; at least one.

    Returns:
        `dict` of `float`: by share, as in `1 %`.
    """
    scores = sorted(pair["score"] for pair in pairs)
    return {f"{share:.0%}".replace("%", " %"): scores[int(share * (len(scores) - 1))] for share in _SHARES}


def best_pairs(pairs: Sequence[Pair], number: int | None) -> list[Pair]:
    """
    The pairs with the highest scores, in the order given.

    Args:
        pairs (`Sequence[dict]`): pairs with a `score`.
        number (`int`, *optional*): how many; all if not given.
    """
    ranked = sorted(range(len(pairs)), key=lambda place: -pairs[place]["score"])
    return [pairs[place] for place in sorted(ranked[:number])]


def check_pairs(
    pairs: Iterable[Pair],
    steps: Sequence[str],
    languages: tuple[Language, Language],
    limits: Limits,
    report: SourceReport,
) -> Iterator[Pair]:
    """
    Normalises the pairs of one source, swaps back those whose sides are swapped, and checks them.

    Args:
        pairs (`Iterable[dict]`): `source` and `target`.
        steps (`Sequence[str]`): names of steps; those that look at one pair alone count here.
        languages (`tuple` of two `Language`): language of the source and of the target side.
        limits (`Limits`): limits of the checks.
        report ([`SourceReport`]): is filled.

    Returns:
        `Iterator[dict]`: the pairs that pass.
    """
    repaired = _repaired(pairs, steps, languages, limits, report)
    # The usual ratio is that of pairs which are swapped back: in a file of swapped pairs it would be the inverse.
    first = list(islice(repaired, _RATIO_SAMPLE))
    context = PairContext(*languages, limits, _usual_ratio(first))
    checks = [(name, CHECKS[name]) for name in steps if name in CHECKS]
    for pair in chain(first, repaired):
        if not pair["source"] or not pair["target"]:
            report.drop("empty", pair)
            continue
        failed = next((name for name, fails in checks if fails(pair["source"], pair["target"], context)), None)
        if failed:
            report.drop(failed, pair)
        else:
            yield pair


def _repaired(
    pairs: Iterable[Pair],
    steps: Sequence[str],
    languages: tuple[Language, Language],
    limits: Limits,
    report: SourceReport,
) -> Iterator[Pair]:
    for pair in pairs:
        report.read += 1
        if "normalize" in steps:
            clean = {**pair, "source": normalize(pair["source"]), "target": normalize(pair["target"])}
            report.changed += clean != pair
            pair = clean
        if "swapped" in steps:
            swapped = are_swapped(pair["source"], pair["target"], languages, limits.min_swapped_probability)
            report.told += swapped is not None
            if swapped:
                report.swapped.note(pair)
                pair = {**pair, "source": pair["target"], "target": pair["source"]}
        yield pair


def _usual_ratio(pairs: Iterable[Pair]) -> float:
    """The usual length of a target side in characters, divided by that of its source."""
    ratios = [len(pair["target"]) / len(pair["source"]) for pair in pairs if pair["source"] and pair["target"]]
    return statistics.median(ratios) if ratios else 1.0


class SeenText:
    """
    Memory of earlier pairs, in a few bytes of each.

    Args:
        steps (`Sequence[str]`): names of steps; `duplicates`, `repeated` and `held_out` count here.
        most_repeats (`int`): how often a sentence may stand on one side.
        held_out (`Iterable[dict]`): pairs that no pair may resemble.
        similarity (`float`, *optional*): that of pairs of which `near_duplicates` keeps the first; see
            [`NearDuplicates`]. Without it they are all kept.
    """

    def __init__(
        self, steps: Sequence[str], most_repeats: int, held_out: Iterable[Pair], similarity: float | None = None
    ):
        self.steps, self.most_repeats = steps, most_repeats
        looked_for = similarity is not None and "near_duplicates" in steps
        self._near = NearDuplicates(float(similarity or 0)) if looked_for else None
        self._pairs: set[bytes] = set()
        self._sides: Counter[bytes] = Counter()
        self._held_out = {run for pair in held_out for side in ("source", "target") for run in _runs(pair[side])}

    def reason_to_drop(self, pair: Pair) -> str | None:
        """
        Tells why a pair adds nothing, or may not be in the result; a pair that stays is remembered.

        Args:
            pair (`dict`): `source` and `target`.

        Returns:
            `str`, *optional*: the step that drops it.
        """
        sides = [_fingerprint(side, pair[side]) for side in ("source", "target")]
        both = b"".join(sides)
        if "duplicates" in self.steps and both in self._pairs:
            return "duplicates"
        if "held_out" in self.steps and self._resembles(pair):
            return "held_out"
        if "repeated" in self.steps and any(self._sides[side] >= self.most_repeats for side in sides):
            return "repeated"
        if self._near and self._near.resembles(pair):
            return "near_duplicates"
        self._pairs.add(both)
        self._sides.update(sides)
        return None

    def _resembles(self, pair: Pair) -> bool:
        return bool(self._held_out) and any(
            run in self._held_out for side in ("source", "target") for run in _runs(pair[side])
        )


def divide(pairs: Sequence[Pair], sizes: dict[str, int], seed: int) -> dict[str, list[Pair]]:
    """
    Divides pairs into parts that share no near-duplicate: pairs that share eight words in a row go together.

    Args:
        pairs (`Sequence[dict]`): the pairs.
        sizes (`dict` of `int`): size of each held-out part by its name; the rest is `train`.
        seed (`int`): of the order in which groups are drawn.

    Returns:
        `dict` of `list`: pairs by part, each in the order given.

    Raises:
        `ValueError`: if the parts would leave less than half for training.
    """
    if 2 * sum(sizes.values()) > len(pairs):
        told = " and ".join(f"{size:,} ({name})" for name, size in sizes.items())
        raise ValueError(f"held-out parts of {told} pairs leave less than half of {len(pairs):,} pairs for training")
    groups = group_near_duplicates([(pair["source"], pair["target"]) for pair in pairs]) if sum(sizes.values()) else []
    random.Random(seed).shuffle(groups)
    taken: dict[int, str] = {}
    for name, size in sizes.items():
        room = size
        for group in groups:
            if group[0] not in taken and len(group) <= room:
                taken |= dict.fromkeys(group, name)
                room -= len(group)
    parts: dict[str, list[Pair]] = {name: [] for name in ("train", *sizes)}
    for number, pair in enumerate(pairs):
        parts[taken.get(number, "train")].append(pair)
    return parts


def write_pairs(path: Path, pairs: Sequence[Pair], languages: tuple[str, str]):
    """
    Writes pairs as Parquet, whole or not at all; the same pairs give the same bytes.

    Args:
        path (`Path`): the file.
        pairs (`Sequence[dict]`): `source` and `target`, and `origin` and `score` where the first of them has these.
        languages (`tuple` of two `str`): names of the columns.
    """
    columns = {languages[0]: ("source", pa.string()), languages[1]: ("target", pa.string())}
    columns |= {key: (key, kind) for key, kind in _BESIDE.items() if pairs and key in pairs[0]}
    table = pa.table({name: pa.array([pair[key] for pair in pairs], kind) for name, (key, kind) in columns.items()})
    with whole_file(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd", compression_level=12)


def read_pairs_of_part(path: Path) -> list[Pair]:
    """
    Reads what [`write_pairs`] wrote.

    Args:
        path (`Path`): the file.
    """
    table = pq.read_table(path)
    return table.rename_columns(["source", "target", *table.column_names[2:]]).to_pylist()


def settings_key(settings: dict[str, Any]) -> str:
    """
    A short hash of settings, by which a build knows what it has made already.

    Args:
        settings (`dict`): JSON values.
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _fingerprint(side: str, text: str) -> bytes:
    plain = " ".join(re.findall(r"\w+", lowered(text))) or text
    return hashlib.blake2b(f"{side}:{plain}".encode(), digest_size=12).digest()


def _runs(text: str) -> Iterator[bytes]:
    """Hashes of the runs of words that no other text may share."""
    for run in word_runs(text):
        yield hashlib.blake2b(" ".join(run).encode(), digest_size=8).digest()
