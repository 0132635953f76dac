"""Results of the reproduction runs, by kind and language."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from reproduction.estimates import Estimate, over_seeds
from reproduction.verdicts import SAME

#: What a claim looks at, by the name that tables give it: task and metric of [`reproduction.plan.summarize_run`].
METRICS = {
    "context recall@1": ("ntrex", "context_recall@1"),
    "sense recall@1": ("ntrex", "sense_recall@1"),
    "bits per byte": ("ntrex", "bits_per_byte"),
    "in-domain bits per byte": ("in-domain", "bits_per_byte"),
    "lexicon precision@1": ("lexicon", "sense_precision@1"),
    "topics, transfer": ("topics", "context_accuracy_transfer"),
}
#: The same of what is only told.
TOLD = {
    "English bits per byte": ("english", "bits_per_byte"),
    "topology": ("topology", "topology"),
    "Procrustes": ("procrustes", "procrustes"),
}
_MEASURES = METRICS | TOLD
RECALLS = ("context recall@1", "sense recall@1")
#: Recall@1 of the best kind of vector and layer, which is what dense alignment is judged by.
BEST_RECALL = "best recall@1"
_VECTORS = ("context_recall@1", "sense_recall@1", "mean_recall@1")

Result = Mapping[str, Any]


class MissingRunsError(LookupError):
    """A claim needs runs that are missing."""


class Results:
    """
    Results of runs, found by kind and language.

    Args:
        results (`Iterable` of `Mapping`): of [`reproduction.plan.read_results`].
    """

    def __init__(self, results: Iterable[Result]):
        self._runs: dict[tuple[str, str], list[Result]] = {}
        for each in results:
            self._runs.setdefault((each["kind"], each["language"]), []).append(each)

    def __call__(self, kind: str, language: str = "id") -> list[Result]:
        return self._runs.get((kind, language), [])

    def mean(self, kind: str, metric: str, language: str = "id") -> float:
        """Mean over seeds of a metric of [`METRICS`]."""
        return fmean(self.values(kind, metric, language))

    def values(self, kind: str, metric: str, language: str = "id") -> list[float]:
        """Values of a metric of [`METRICS`] or [`TOLD`], one per seed; raises [`MissingRunsError`] without a run."""
        task, name = _MEASURES[metric]
        if not self(kind, language):
            raise MissingRunsError(f"{kind} in {language}")
        return [each["scores"][task]["metrics"][name] for each in self(kind, language)]

    def estimate(self, kind: str, metric: str, language: str = "id") -> Estimate | None:
        """
        A figure of a kind of runs: the mean over seeds, and their range; of one seed, the 95 % bootstrap interval.

        Args:
            kind (`str`), language (`str`): of the runs.
            metric (`str`): of [`METRICS`] or [`TOLD`], or `recall`, the mean of [`RECALLS`], or [`BEST_RECALL`]. The
                ends of the bootstrap interval of `recall` are the means of both ends, which is wider than its own
                would be.

        Returns:
            [`Estimate`], *optional*: `None` where no run has the figure.
        """
        if metric == "recall":
            return self._mean_of([self._scored(kind, *METRICS[each], language) for each in RECALLS])
        if metric == BEST_RECALL:
            return self._mean_of([[_best_recall(run) for run in self(kind, language)]])
        return self.score(kind, *_MEASURES[metric], language)

    def score(self, kind: str, task: str, metric: str, language: str = "id") -> Estimate | None:
        """
        The same of any metric of any task.

        Args:
            kind (`str`), language (`str`): of the runs.
            task (`str`), metric (`str`): of [`reproduction.plan.summarize_run`].
        """
        return self._mean_of([self._scored(kind, task, metric, language)])

    def _scored(self, kind: str, task: str, metric: str, language: str) -> list[tuple[float, Sequence[float] | None]]:
        """Value and bootstrap interval of each seed that has the metric."""
        scores = [each["scores"][task] for each in self(kind, language) if task in each["scores"]]
        return [
            (each["metrics"][metric], each.get("intervals", {}).get(metric))
            for each in scores
            if metric in each["metrics"]
        ]

    @staticmethod
    def _mean_of(parts: list[list[tuple[float, Sequence[float] | None]]]) -> Estimate | None:
        if not all(parts):
            return None
        values = [fmean(value for value, _ in seed) for seed in zip(*parts, strict=True)]
        if len(values) > 1:
            return over_seeds(values)
        ends = [part[0][1] for part in parts]
        if any(each is None for each in ends):
            return Estimate(values[0])
        low, high = (fmean(each[side] for each in ends if each is not None) for side in (0, 1))
        return Estimate(values[0], low, high)

    def writes_better(self, kind: str, other: str, language: str = "id") -> bool:
        """
        Tells if runs have fewer bits per byte than others, by more than [`SAME`] and with intervals that do not touch.

        Args:
            kind (`str`), other (`str`): the runs and the others. One seed that kept no interval has its value alone.
            language (`str`, *optional*, defaults to `"id"`): of both.
        """
        ours, theirs = (self.estimate(each, "bits per byte", language) for each in (kind, other))
        if ours is None or theirs is None:
            return False
        fewer = ours.value < (1 - SAME) * theirs.value
        return fewer and max([ours.value, *ours.ends()]) < min([theirs.value, *theirs.ends()])

    def interval(self, kind: str, metric: str, language: str = "id") -> tuple[float, float]:
        """Range over seeds of a metric of [`METRICS`]; for one seed, the 95 % bootstrap over test items."""
        task, name = METRICS[metric]
        values = self.values(kind, metric, language)
        if len(values) > 1:
            return min(values), max(values)
        low, high = self(kind, language)[0]["scores"][task]["intervals"][name]
        return low, high

    def best_recall(self, kind: str, language: str = "id") -> float:
        """Recall@1 of the best kind of vector and layer; mean over seeds."""
        if not self(kind, language):
            raise MissingRunsError(f"{kind} in {language}")
        return fmean(_best_recall(run)[0] for run in self(kind, language))

    def recall(self, kind: str, language: str = "id") -> float:
        """Mean of context and sense recall@1."""
        return fmean(self.mean(kind, metric, language) for metric in RECALLS)

    def tokens_per_byte(self, kind: str, language: str = "id") -> float:
        """Tokens per UTF-8 byte of the NTREX sentences: bits per byte over bits per token, log2 of the perplexity."""
        if not self(kind, language):
            raise MissingRunsError(f"{kind} in {language}")
        metrics = self(kind, language)[0]["scores"]["ntrex"]["metrics"]
        return metrics["bits_per_byte"] / math.log2(metrics["perplexity"])

    def languages(self, kind: str) -> list[str]:
        """Languages that have runs of a kind."""
        return [language for each, language in self._runs if each == kind]

    def lengths(self, kind: str, figure: Callable[[str], float]) -> dict[int, float]:
        """
        A figure by the length of the run, in Indonesian.

        Args:
            kind (`str`): of the runs. Those called `KIND-STEPS` are of the same kind.
            figure (`Callable`): gives the figure of a kind of runs.

        Returns:
            `dict`: steps -> figure.
        """
        kinds = [each for each in self.kinds(kind) if each == kind or each.removeprefix(f"{kind}-").isdigit()]
        runs = {each: self(each) for each in kinds if self(each)}
        return {of[0]["training"]["steps"]: figure(each) for each, of in runs.items()}

    def differences(self, kind: str, other: str, figure: Callable[[str], float]) -> dict[int, float]:
        """
        The difference of a figure between two kinds of runs, at every length that both have; in Indonesian.

        Args:
            kind (`str`), other (`str`): the figure of the first minus that of the second.
            figure (`Callable`): as in [`lengths`].
        """
        ours, theirs = self.lengths(kind, figure), self.lengths(other, figure)
        return {steps: value - theirs[steps] for steps, value in ours.items() if steps in theirs}

    def kinds(self, prefix: str) -> list[str]:
        """Kinds of runs whose name begins with a prefix."""
        return list(dict.fromkeys(kind for kind, _ in self._runs if kind.startswith(prefix)))


def _best_recall(run: Mapping[str, Any]) -> tuple[float, Sequence[float] | None]:
    """Recall@1 of the best kind of vector and layer of a run, and its bootstrap interval."""
    scored = [task for name, task in run["scores"].items() if name.startswith("ntrex")]
    recalls = [(task, metric) for task in scored for metric in _VECTORS if metric in task["metrics"]]
    task, metric = max(recalls, key=lambda each: each[0]["metrics"][each[1]])
    return task["metrics"][metric], task.get("intervals", {}).get(metric)
