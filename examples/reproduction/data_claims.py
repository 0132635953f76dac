"""Claims about the amount of data: against training from scratch, and with less bitext."""

from functools import partial

from reproduction.run_results import MissingRunsError, Results
from reproduction.trends import steps_to_no_difference
from reproduction.verdicts import FAILS, HOLDS, WEAKLY, Judgement


def needs_less_data(found: Results) -> Judgement:
    """
    Judges SENSIA against a model from scratch with the same data, twice and four times as much, by bits per byte.

    Args:
        found ([`Results`]): of all runs.

    Raises:
        MissingRunsError: if from scratch is behind with the same data, and nothing was run with twice as much.
    """
    goal, (low, high) = found.mean("sensia", "bits per byte"), found.interval("sensia", "bits per byte")
    kinds = {1: "scratch", 2: "scratch-2x", 4: "scratch-4x"}
    reached = {times: found.mean(kind, "bits per byte") for times, kind in kinds.items() if found(kind)}
    if reached[1] > goal and 2 not in reached:  # a model that is ahead with the same data needs no run with more
        raise MissingRunsError(kinds[2])
    told = f"{goal:.3f} bits per byte ({low:.2f} to {high:.2f}); from scratch " + ", ".join(
        f"{v:.3f} ({t}x)" for t, v in reached.items()
    )
    if found("lm-only"):
        alone = found.mean("lm-only", "bits per byte")
        told += f"; the language model loss alone, from the English model, {alone:.3f} (1x)"
    ahead = [times for times, value in reached.items() if value > goal]
    verdict = HOLDS if 2 in ahead else WEAKLY if ahead else FAILS
    if ahead:
        why = f"A model from scratch is behind SENSIA with up to {max(ahead)} times the data."
    else:
        why = "A model from scratch is ahead of SENSIA already with the same data."
    if found("lm-only") and found.mean("lm-only", "bits per byte") < reached[1]:
        why += (
            " English helps: with the language model loss alone, a model that begins from English is ahead of one "
            "from scratch. SENSIA, which trains the alignment too, does not keep that lead."
        )
    why += " Models are compared by bits per byte, and twice the data is twice the steps."
    trend = steps_to_no_difference(found.differences("scratch", "sensia", partial(found.mean, metric="bits per byte")))
    if trend is not None:
        why += f" At equal steps, bits per byte of from scratch minus SENSIA's: {trend}."
    return told, verdict, why


def little_data(found: Results) -> Judgement:
    """
    Judges by how much recall falls with a twentieth of the pairs.

    Args:
        found ([`Results`]): of all runs.
    """
    shares = {2: "data-2", 5: "data-5", 20: "data-20", 100: "data-100"}
    shares = {share: kind for share, kind in shares.items() if found(kind)}
    whole = found.recall("sensia")
    told = f"all: {whole:.3f}; " + "; ".join(
        f"1/{share}: {found.recall(kind):.3f}, {found.mean(kind, 'bits per byte'):.3f} bits per byte"
        for share, kind in shares.items()
    )
    low, high = found.interval("data-20", "context recall@1")
    told += f"; context recall@1 at 1/20: {found.mean('data-20', 'context recall@1'):.3f} ({low:.3f} to {high:.3f})"
    lost = whole - found.recall("data-20")
    verdict = HOLDS if lost <= 0.033 else WEAKLY if lost <= 0.1 else FAILS
    return (
        told,
        verdict,
        f"With 1/20 of the pairs, each is seen 20 times as often. Recall falls by {100 * lost:.1f} points.",
    )
