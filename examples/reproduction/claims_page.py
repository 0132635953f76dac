"""The page on the paper's claims: for each a sentence of verdict by scale, a plot, a table, why, and the command."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from reproduction.claim_plots import PLOTS
from reproduction.claim_sentences import SENTENCES
from reproduction.claim_tables import TABLES
from reproduction.claims import NOT_IN_PAPER, Claim
from reproduction.family import family_p_values
from reproduction.run_results import Results
from reproduction.scales import ABOUT
from reproduction.verdicts import MISSING
from sensia.model_cards.drawing import STYLE, save_figure
from sensia.whole_files import write_whole

_INTRODUCTION = """\
The SENSIA paper ([arXiv 2601.10310](https://arxiv.org/abs/2601.10310)) adapts an English Backpack to another
language by aligning the sentence vectors of translations, in three phases: align, joint and polish. This page tests
the paper's claims, and two of our own, with runs of this code. The runs are small: a verdict is valid for its scale
only. Languages are named by their codes: `id` is Indonesian, `et` Estonian, `sw` Swahili, `tr` Turkish, `zh` Chinese.
The page is made by `python examples/reproduce.py --report` from the files of all runs; do not edit it.

- The **context vector** of a sentence is the output at its last token; the **sense vector** is the weighted mean of
  its senses. Each has an InfoNCE loss, and the target side has the language model loss too.
- **LM-only** is the language model loss on the target language alone, from the same English model. Nothing in it
  aligns the two languages.
- **Dense alignment** is the same training of a model without senses.
- **recall@1** is the share of sentences whose nearest neighbour in the other language is their translation.
  **Best recall@1** is the highest of three kinds of sentence vectors: context, sense, and the mean of the outputs at
  all tokens. With dense alignment, it is the highest of all measured layers too.
- The **mixture** is how strongly each token uses its senses; its entropy is at most ln K with K senses.
- **Lexicon precision@1** is the share of words whose nearest word in the other language, by their senses, is a
  translation in a dictionary of 1,000 words. **Topics, transfer** is the accuracy of a topic classifier that is
  trained on English sentences and tested on their translations (SIB-200, seven topics; always the most frequent one
  gives 0.25). **English bits per byte** is of English text, after adapting."""

_HOW_TO_READ = """\
**How to read it.** A figure has its interval in brackets: the range over seeds, or, where there is one seed, the 95 %
bootstrap interval over test items. The range of two or three seeds is often narrower than an interval over items,
because it says nothing about the items. The difference of two figures has the half-width √(a² + b²) if theirs are a
and b. `recall` is the mean of context and sense recall@1, in both directions, on all NTREX pairs. Bits per byte are of
the target side of these pairs; some of the first runs kept no interval of them. Tests over seeds are Welch's,
one-sided; the geometry of senses is tested against shuffled pairs. All tests of a scale are one family: Holm's
correction keeps the chance of a single false finding at 5 %. Runs of several lengths each have the whole schedule. The
line through them is over the logarithm of the steps, and is followed to 1,000 times the longest run. A line through
two lengths has no error, so it is a hint only. Recall is at most 1 and rises ever more slowly, so that it needs more
steps than the line says.

**Verdicts.** "Holds in direction, not in size": the effect is there, but a figure is outside the paper's range, below
or above it. "Holds weakly": one part of the claim holds and another does not; the figures say which. "Can't be told
at this scale": the runs differ by no more than seeds or test items do, or have one seed where a test needs two. The
reason stands under each table. The rules are in `examples/reproduction`. Those for `mini_long` were written before
its runs, except for three parts. One is the last part of claim 4. The second is that bits per byte count as equal
where intervals touch (claims 2, 8 and 9) or where a test over seeds does not tell them apart (claim 8). Claim 12 had
both from the beginning. The third is that claim 2 has dense alignment at the second layer too; this can only lower a
verdict."""


#: The paper's third open question has a plan of its own, with another base and other lengths.
_TOKENIZERS_LINE = (
    "| | [A language that the tokenizer breaks to pieces gains by tokens of its own](comparison-tokenizers.md) | "
    "open question 3; see there |"
)


@dataclass(frozen=True)
class Measured:
    """
    What is known at a scale.

    Args:
        claims (`Sequence` of [`Claim`]): judged.
        found ([`Results`]): of all its runs.
        made (`int`), planned (`int`): numbers of runs.
    """

    claims: Sequence[Claim]
    found: Results
    made: int
    planned: int


def write_claims_page(scales: Mapping[str, Measured], folder: Path) -> None:
    """
    Writes `claims.md` and a plot for each claim that is measured.

    Args:
        scales (`Mapping` of [`Measured`]): by the name of the scale, the smallest first.
        folder (`Path`): the documentation; plots go to `images` in it.
    """
    with matplotlib.rc_context(STYLE):
        for number, claim in enumerate(_first(scales).claims):
            shown = shown_scale(scales, number)
            if shown is not None:
                _, draw = PLOTS[claim.name]
                scale = scales[shown]
                save_figure(draw(scale.found), folder / f"images/claims_{claim.name}.png")
    write_whole(folder / "claims.md", claims_page(scales).encode())


def claims_page(scales: Mapping[str, Measured]) -> str:
    """
    The page, in Markdown.

    Args:
        scales (`Mapping`): as in [`write_claims_page`].
    """
    lines = ["# The paper's claims, measured", "", _INTRODUCTION, "", *_scale_lines(scales), ""]
    lines += [*_verdict_lines(scales), "", _HOW_TO_READ, ""]
    for number, claim in enumerate(_first(scales).claims):
        lines += _claim_lines(scales, number, claim)
    return "\n".join([*lines, *_test_lines(scales)])


def shown_scale(scales: Mapping[str, Measured], number: int) -> str | None:
    """
    The largest scale at which a claim is measured, whose plot and table are shown.

    Args:
        scales (`Mapping`): as in [`write_claims_page`].
        number (`int`): place of the claim, from 0.
    """
    measured = [name for name, scale in scales.items() if scale.claims[number].verdict != MISSING]
    return measured[-1] if measured else None


def _first(scales: Mapping[str, Measured]) -> Measured:
    return next(iter(scales.values()))


def _scale_lines(scales: Mapping[str, Measured]) -> list[str]:
    lines = ["| scale | model | pairs that a run sees | runs made | all runs |", "|---|---|---:|---:|---|"]
    for name, scale in scales.items():
        page = f"[claims-{name}.md](claims-{name}.md)" if scale.made else ""
        made = f"{scale.made} of {scale.planned}"
        lines.append(f"| `{name}` | {ABOUT[name].model} | {ABOUT[name].pairs} | {made} | {page} |")
    return [*lines, "| the paper | 170M parameters, 16 senses | 9.6 million | | |"]


def _verdict_lines(scales: Mapping[str, Measured]) -> list[str]:
    lines = [f"| | claim | the paper | {' | '.join(scales)} |", f"|---:|---|---|{'---|' * len(scales)}"]
    for number, claim in enumerate(_first(scales).claims):
        heading = _heading(claim)
        verdicts = " | ".join(scale.claims[number].verdict for scale in scales.values())
        lines.append(f"| {claim.number} | [{claim.statement}](#{_anchor(heading)}) | {claim.paper} | {verdicts} |")
    return [*lines, _TOKENIZERS_LINE + " |" * len(scales)]


def _heading(claim: Claim) -> str:
    return f"{claim.number}. {claim.statement}"


def _anchor(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def _claim_lines(scales: Mapping[str, Measured], number: int, claim: Claim) -> list[str]:
    lines = [f"## {_heading(claim)}", ""]
    lines += [] if claim.paper == NOT_IN_PAPER else [f"The paper: {claim.paper}.", ""]
    for name, scale in scales.items():
        verdict = scale.claims[number].verdict
        said = scale.claims[number].why if scale.made else "No run was made."
        said = said if verdict == MISSING else SENTENCES[claim.name](scale.found)
        lines.append(f"- `{name}`: **{verdict}**. {said}")
    shown = shown_scale(scales, number)
    if shown is not None:
        lines += ["", f"![{PLOTS[claim.name][0]}](images/claims_{claim.name}.png)", ""]
        lines += [f"At `{shown}`:", "", *TABLES[claim.name](scales[shown].found).lines()]
        lines += ["", f"**Why.** {scales[shown].claims[number].why}"]
    return [*lines, "", f"    {_command(scales, number, shown)}", ""]


def _command(scales: Mapping[str, Measured], number: int, shown: str | None) -> str:
    """The command that makes the runs of a claim, at the scale that is shown or the next one to measure."""
    name = shown or list(scales)[min(1, len(scales) - 1)]
    runs = " ".join(scales[name].claims[number].runs)
    return f"python examples/reproduce.py --scale {name} --data DIR --only {runs}"


def _test_lines(scales: Mapping[str, Measured]) -> list[str]:
    lines = ["## All tests", "", "One-sided p-values, by claim, before and after Holm's correction.", ""]
    lines += ["| scale | test | p | p, Holm |", "|---|---|---:|---:|"]
    for name, scale in scales.items():
        rows = family_p_values(scale.found).items()
        lines += [f"| `{name}` | {test} | {p:.2g} | {corrected:.2g} |" for test, (p, corrected) in rows]
    return [*lines, ""]
