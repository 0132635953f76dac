"""Names of runs as a reader of the paper would call them."""

LABELS = {
    "sensia": "SENSIA, the paper's curriculum",
    "others": "SENSIA, the paper's curriculum",
    "lm-only": "language model loss alone",
    "others-lm-only": "language model loss alone",
    "lm-only-compute": "language model loss alone, compute of SENSIA",
    "k8": "SENSIA, equal pretraining, 8 senses",
    "k8-no-freezing": "SENSIA, equal pretraining, 8 senses, nothing frozen",
    "dense-last": "dense alignment, last token",
    "dense-mean": "dense alignment, mean of tokens",
    "dense-second-layer": "dense alignment, mean of tokens, second layer",
    "scratch": "from scratch",
    "scratch-2x": "from scratch, twice the data",
    "scratch-4x": "from scratch, four times the data",
    "no-joint": "without joint",
    "no-align": "without align",
    "no-polish": "without polish",
    "no-context-loss": "without the context loss",
    "no-sense-loss": "without the sense loss",
    "one-way": "InfoNCE one way, as the authors' script",
    "no-freezing": "nothing frozen in polish",
    "tau-low": "low temperatures",
    "tau-high": "high temperatures",
    "k1": "1 sense instead of 8, from equal pretraining",
    "k4": "4 senses instead of 8, from equal pretraining",
    "k16": "16 senses instead of 8, from equal pretraining",
    "data-2": "1/2 of the pairs",
    "data-5": "1/5 of the pairs",
    "data-20": "1/20 of the pairs",
    "data-100": "1/100 of the pairs",
    "cosine": "one cosine",
    "adaptive": "adaptive phases",
    "fade": "`fade`",
    "balanced": "`constant`, a light contrast that keeps English",
    "monolingual": "Chinese alone, English tokenizer",
    "monolingual-own-tokens": "Chinese alone, tokenizer of its own",
}


def label(kind: str) -> str:
    """
    Name of a kind of runs in tables and plots.

    Args:
        kind (`str`): name in the plan. `KIND-STEPS` is the same for so many steps.
    """
    start, _, steps = kind.rpartition("-")
    if steps.isdigit() and kind not in LABELS:
        return f"{LABELS.get(start, start)}, {int(steps):,} steps"
    return LABELS.get(kind, kind.removeprefix("curriculum-"))


def plain(kind: str) -> str:
    """The same for plots, which do not show code."""
    return label(kind).replace("`", "")
