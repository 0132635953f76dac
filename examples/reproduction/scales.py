"""The scales that claims are measured at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """
    One scale.

    Args:
        model (`str`), pairs (`str`): the model that runs begin from, and the pairs that a run sees.
        said (`str`): the same, for the scale's own page.
    """

    model: str
    pairs: str
    said: str


ABOUT = {
    "mini": Scale(
        "5M parameters, 8 senses",
        "9,600",
        "The embedded model is that of version 0.1 (5.1M parameters, 8 senses): nothing has been measured again with "
        "the one of today. The runs adapt a model of 5M parameters with 9,600 pairs, the paper one of 170M with 9.6 "
        "million: verdicts are about this scale.",
    ),
    "mini_long": Scale(
        "8M parameters, 16 senses",
        "48,000",
        "The runs adapt a model of 8M parameters with 48,000 pairs, five times as many as on "
        "[the page of short runs](claims-mini.md); the paper one of 170M with 9.6 million: verdicts are about this "
        "scale.",
    ),
    "full": Scale("170M parameters, 16 senses", "9.6 million", "The runs have the paper's size."),
}
