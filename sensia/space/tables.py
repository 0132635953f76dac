"""HTML of the page to play with: tables whose text is escaped, and whose colours are those of the page's theme."""

from collections.abc import Sequence
from html import escape

from sensia.evaluation.senses.inspection import readable
from sensia.evaluation.senses.next_token import NextToken
from sensia.space.page_model import FoundSentence, SenseNames

#: Name of the end-of-text token, which stands before every text.
START = "(start)"

CSS = """
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 2px; }
.senses-table { border-collapse: collapse; width: 100%; min-width: 26rem; font-size: 0.85rem;
  color: var(--body-text-color); }
.senses-table caption { text-align: left; padding: 0.3rem 0; }
.senses-table th, .senses-table td { padding: 0.25rem 0.4rem; text-align: left; vertical-align: top;
  border: solid var(--border-color-primary) !important; border-width: 0 0 1px !important; overflow-wrap: break-word; }
.senses-table th.number, .senses-table td.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.senses-table td.bar { background: linear-gradient(to left, color-mix(in srgb, var(--color-accent) 28%, transparent)
  var(--share), transparent var(--share)); }
.continuation { color: var(--body-text-color); overflow-wrap: anywhere; margin: 0.3rem 0; }
.continuation b { display: block; font-weight: 600; }
.continuation mark { color: inherit; background: var(--color-accent-soft); }
#sliders .block { overflow: hidden; }
"""


def shown_token(text: str, is_start: bool = False) -> str:
    """
    A token as the page shows it.

    Args:
        text (`str`): from [`token_text`].
        is_start (`bool`, *optional*, defaults to `False`): whether it is the end-of-text token before the text.
    """
    return START if is_start else readable(text)


def candidate_choices(found: NextToken) -> list[tuple[str, int]]:
    """
    The likeliest next tokens, for a list of choices.

    Args:
        found ([`NextToken`]): the prediction.

    Returns:
        `list[tuple[str, int]]`: token with its probability, and its id.
    """
    return [(f"{readable(one['token'])}  {one['probability']:.1%}", one["id"]) for one in found.candidates]


def carriers_table(found: NextToken, names: SenseNames, languages: tuple[str, str], top: int = 8) -> str:
    """
    The senses that carry a prediction, the strongest first, and the sum of the rest.

    Args:
        found ([`NextToken`]): the prediction.
        names (`dict`): what each sense predicts, from [`PageModel.name_senses`].
        languages (`tuple`): names of the two languages.
        top (`int`, *optional*, defaults to 8): number of senses.

    Returns:
        `str`: HTML.
    """
    strongest = found.strongest(top)
    largest = max((abs(one["contribution"]) for one in strongest), default=0) or 1
    rows = []
    for one in strongest:
        token = found.tokens[one["place"]]
        sides = names[token["id"], one["sense"]]
        share = max(one["contribution"], 0) / largest
        rows.append(
            f'<tr><th scope="row">{escape(shown_token(token["token"], one["place"] == 0))}</th>'
            f'<td class="number">{one["sense"]}</td>'
            f"{_number(one['weight'], 3)}{_number(one['sense_logit'], 1)}"
            f'<td class="number bar" style="--share:{share:.0%}">{_signed(one["contribution"], 2)}</td>'
            + "".join(f"<td>{escape(', '.join(side))}</td>" for side in sides)
            + "</tr>"
        )
    rest = found.contributions.sum().item() - sum(one["contribution"] for one in strongest)
    rows.append(f'<tr><th scope="row" colspan="4">all other senses</th>{_number(rest, 2)}<td colspan="2"></td></tr>')
    heads = ["Word", "Sense", "Weight", "\N{MULTIPLICATION SIGN} logit", "= adds", *languages]
    caption = (
        f"“{escape(readable(found.chosen['token']))}” has logit {_signed(found.chosen['logit'], 2)} and probability "
        f"{found.chosen['probability']:.1%}. Each row is one sense of one word."
    )
    return _table(caption, heads, rows, numbers=range(1, 5))


def sentences_table(found: Sequence[FoundSentence], languages: tuple[str, str]) -> str:
    """
    Sentences of another language.

    Args:
        found (`Sequence` of [`FoundSentence`]): the nearest first.
        languages (`tuple`): names of the language of the sentences and of that of their translations.

    Returns:
        `str`: HTML.
    """
    rows = [
        f"<tr>{_number(one.cosine, 2)}<td>{escape(one.text)}</td><td>{escape(one.translation)}</td></tr>"
        for one in found
    ]
    heads = ["Cosine", languages[0], f"{languages[1]}, by its translator"]
    return _table(f"Nearest sentences in {escape(languages[0])}", heads, rows, numbers=range(1))


def continuations_text(text: str, plain: str, steered: str) -> str:
    """
    The two continuations of a text, one below the other.

    Args:
        text (`str`): the text.
        plain (`str`), steered (`str`): the new text without and with the sliders.

    Returns:
        `str`: HTML.
    """
    parts = [("Without the sliders", plain), ("With the sliders", steered)]
    return "".join(
        f'<p class="continuation"><b>{head}</b>{escape(text)}<mark>{escape(new)}</mark></p>' for head, new in parts
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[str], numbers: range) -> str:
    cells = "".join(
        f'<th scope="col"{" class=number" if place in numbers else ""}>{escape(head)}</th>'
        for place, head in enumerate(heads)
    )
    # A part that scrolls sideways must be reached by the keyboard.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<table class="senses-table"><caption>{caption}</caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number(value: float, digits: int) -> str:
    return f'<td class="number">{_signed(value, digits)}</td>'


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
