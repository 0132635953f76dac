"""Results of the reproduction runs, by kind and language."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

#: What a claim looks at, by the name that tables give it: task and metric of [`reproduction.plan.summarize_run`].
METRICS = {
    "context recall@1": ("ntrex", "context_recall@1"),
    "sense recall@1": ("ntrex", "sense_recall@1"),
    "bits per byte": ("ntrex", "bits_per_byte"),
    "in-domain bits per byte": ("in-domain", "bits_per_byte"),
    "lexicon precision@1": ("lexicon", "sense_precision@1"),
    "topics, transfer": ("topics", "context_accuracy_transfer"),
}
RECALLS = ("context recall@1", "sense recall@1")
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
        """Values of a metric of [`METRICS`], one per seed; raises [`MissingRunsError`] if there is none."""
        task, name = METRICS[metric]
        if not self(kind, language):
            raise MissingRunsError(f"{kind} in {language}")
        return [each["scores"][task]["metrics"][name] for each in self(kind, language)]

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
        return fmean(
            max(
                value
                for name, task in run["scores"].items()
                if name.startswith("ntrex")
                for metric, value in task["metrics"].items()
                if metric in _VECTORS
            )
            for run in self(kind, language)
        )

    def recall(self, kind: str, language: str = "id") -> float:
        """Mean of context and sense recall@1."""
        return fmean(self.mean(kind, metric, language) for metric in RECALLS)

    def languages(self, kind: str) -> list[str]:
        """Languages that have runs of a kind."""
        return [language for each, language in self._runs if each == kind]

    def lengths(self, kind: str, metric: str, language: str = "id") -> dict[int, float]:
        """Mean over seeds of a metric of [`METRICS`] by steps: of a kind, and of those called `KIND-STEPS`."""
        kinds = [each for each in self.kinds(kind) if each == kind or each.removeprefix(f"{kind}-").isdigit()]
        runs = {each: self(each, language) for each in kinds if self(each, language)}
        return {of[0]["training"]["steps"]: self.mean(each, metric, language) for each, of in runs.items()}

    def kinds(self, prefix: str) -> list[str]:
        """Kinds of runs whose name begins with a prefix."""
        return list(dict.fromkeys(kind for kind, _ in self._runs if kind.startswith(prefix)))
