"""Scores of sentence pairs, by the similarity of their sides or by their quality, made once and kept on the disk."""

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from sensia.corpora.bitext_build import Pair, settings_key
from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.pair_quality import RULES_VERSION, QualityScorer
from sensia.evaluation.mining import centred_vectors, score_pairs
from sensia.evaluation.similarity import Encoder, load_encoder, model_state
from sensia.whole_files import write_json_whole

#: Most pairs that are scored together: the time grows with the number of pairs, not with its square.
_POOL = 65536
_NAMES = {
    "margin": "the cosine of the sentence vectors of both sides, divided by the mean of the cosines to their nearest "
    "partners",
    "cosine": "the cosine of the sentence vectors of both sides",
}


class PairScorer:
    """
    Scores pairs by a model, which is loaded when it is first needed.

    Args:
        model (`str`): Hub id or folder of an adapted Backpack or a sentence-transformers model.
        kind (`str`): `margin` or `cosine`.
        neighbours (`int`): nearest partners of the margin score.
    """

    def __init__(self, model: str, kind: str, neighbours: int):
        self.model, self.kind, self.neighbours = model, kind, neighbours
        self._encode: Encoder | None = None

    def score(self, pairs: list[Pair], path: Path) -> list[Pair]:
        """
        Adds a `score` to each pair. Scores are made for up to 65,536 pairs at a time; work that was stopped goes on
        with those that are missing.

        Args:
            pairs (`list` of `dict`): `source` and `target`; at least one pair.
            path (`Path`): file that the pairs were read from. The scores are kept beside it.
        """
        settings = {"model": model_state(self.model), "kind": self.kind, "neighbours": self.neighbours}
        pools = -(-len(pairs) // _POOL)
        bounds = [len(pairs) * number // pools for number in range(pools + 1)]
        scores: list[float] = []
        for number, (start, end) in enumerate(pairwise(bounds)):
            # Another `min_quality` leaves other pairs of the same file.
            pool = [(pair["source"], pair["target"]) for pair in pairs[start:end]]
            kept = path.with_name(f"{path.stem}-{settings_key({**settings, 'pairs': pool})}-{number}.json")
            if not kept.exists():
                print(f"Scoring pairs {start + 1:,} to {end:,}", flush=True)
                write_json_whole(kept, {"scores": self._compute(pairs[start:end])})
            scores += json.loads(kept.read_text(encoding="utf-8"))["scores"]
        return [{**pair, "score": score} for pair, score in zip(pairs, scores, strict=True)]

    @property
    def description(self) -> str:
        """`str`: a sentence that says what the scores are. A folder is named without its place."""
        path = Path(self.model).expanduser()
        name = next(part for part in reversed(path.resolve().parts) if part != "final") if path.exists() else path
        return f"The column `score` is {_NAMES[self.kind]}, by the model {name}."

    def _compute(self, pairs: list[Pair]) -> list[float]:
        if self._encode is None:
            self._encode = load_encoder(self.model)
        source, target = (
            centred_vectors(self._encode([pair[side] for pair in pairs])) for side in ("source", "target")
        )
        scores = score_pairs(source, target, score=self.kind, neighbours=self.neighbours)
        return [round(score, 4) for score in scores.tolist()]


def score_quality(sources: Sequence[Sequence[Pair]], paths: Sequence[Path], least: float) -> list[list[float]]:
    """
    The quality of the pairs of all sources, by a classifier that learns from them together.

    Args:
        sources (`Sequence` of `Sequence` of `dict`): pairs of each source, in its order.
        paths (`Sequence[Path]`): file that each was read from. The scores are kept beside the first.
        least (`float`): a quality; what share of planted damage has less is printed.

    Returns:
        `list` of `list` of `float`: by source, for each pair.

    Raises:
        ValueError: if there are too few pairs.
    """
    # Names of the files say what was read, and with which settings.
    key = settings_key({"files": [path.name for path in paths], "version": RULES_VERSION})
    kept = paths[0].with_name(f"quality-{key}.json")
    if not kept.exists():
        pairs = [(pair["source"], pair["target"]) for source in sources for pair in source]
        print(f"Learning what damaged pairs look like from {len(pairs):,} pairs", flush=True)
        scorer = QualityScorer(pairs)
        found = ", ".join(f"{kind} {share:.1%}" for kind, share in scorer.found(least).items())
        print(f"  of pairs damaged on purpose, below {least}: {found}", flush=True)
        write_json_whole(kept, {"quality": scorer.score()})
    scores = json.loads(kept.read_text(encoding="utf-8"))["quality"]
    ends = [0, *accumulate(map(len, sources))]
    return [scores[start:end] for start, end in pairwise(ends)]


def good_pairs(pairs: Sequence[Pair], qualities: Sequence[float], least: float, report: SourceReport) -> list[Pair]:
    """
    Pairs of a least quality.

    Args:
        pairs (`Sequence[dict]`): pairs of a source.
        qualities (`Sequence[float]`): the quality of each.
        least (`float`): the least one.
        report ([`SourceReport`]): counts what is dropped.
    """
    good = []
    for pair, quality in zip(pairs, qualities, strict=True):
        if quality >= least:
            good.append(pair)
        else:
            report.drop("quality", pair)
    return good
