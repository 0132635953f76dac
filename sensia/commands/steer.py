"""Steers a Backpack by its senses and prints what that does as JSON: a topic, a swap of knowledge, a bias.

    python examples/steer.py --case topic --model runs/sensia-id-mini/final --prompt Dan --lexicon en-id.tsv
    python examples/steer.py --case knowledge --words king doctor

A list of three is a mean and its 95 % bootstrap interval, over texts or, for `bias`, over words.
"""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeling_sensia.loading import load_base
from modeling_sensia.steering import find_words
from sensia.evaluation.rounding import rounded
from sensia.evaluation.senses.steering_effects import measure_bias, measure_swap, measure_topic, topic_settings
from sensia.evaluation.word_pairs import read_lexicon
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.setting_ranges import check_counts, check_range, check_seeds

WORDS = {
    "topic": "God church Lord prayer holy heaven priest soul faith angel Christ sin worship spirit religion divine",
    "other topic": "health disease doctor patient hospital treatment blood medical brain pain sick heart fever nurse",
    "knowledge": "king doctor",
    "bias": "doctor nurse teacher lawyer captain officer servant cook writer farmer soldier priest clerk judge poet",
}
CASES = ["topic", "knowledge", "bias"]
PAIRS = ["he she", "his her", "himself herself", "man woman", "father mother", "brother sister", "son daughter"]


@dataclass
class SteerArguments:
    """Settings of `sensia steer`: the edits and the measurement; see each field's help."""

    case: str = field(metadata={"help": "What to measure.", "choices": CASES})
    model: str = field(default="examples/assets/backpack-en-mini", metadata={"help": "Hub id or folder."})
    words: list[str] = field(
        default_factory=list,
        metadata={
            "help": "topic: its words, of which every second one steers. knowledge: the word to edit and another. "
            "bias: names of jobs."
        },
    )
    strengths: list[float] = field(
        default_factory=lambda: [0.5, 1.0, 2.0], metadata={"help": "Strengths of the topic."}
    )
    lexicon: str | None = field(
        default=None,
        metadata={"help": "File of word<TAB>translation lines. The translations of the topic's words are counted."},
    )
    prompt: str = field(default="The", metadata={"help": "Beginning of the texts of `topic`."})
    texts: int = field(default=128, metadata={"help": "Texts of each setting of `topic`."})
    seed: int = field(default=0, metadata={"help": "Seed of sampling and bootstrap."})
    digits: int = field(default=5, metadata={"help": "Significant digits of the figures."})

    def __post_init__(self):
        if self.case not in CASES:
            raise ValueError(f"`case` must be one of {', '.join(CASES)}, got {self.case!r}.")
        check_counts(self, "texts", "digits")
        check_range(self, "be finite numbers", math.isfinite, "strengths")
        check_seeds(self, "seed")
        if not self.strengths:
            raise ValueError("`strengths` must hold at least one strength, got an empty list.")
        self.words = self.words or WORDS[self.case].split()
        if self.case == "knowledge" and len(self.words) != 2:
            raise ValueError(f"`words` of `knowledge` must be the word to edit and another, got {self.words}.")


def topic(model, tokenizer, args: SteerArguments) -> dict[str, Any]:
    """Every other word of the topic steers; the rest shows whether more than those words is said."""
    bags = args.words[::2], args.words[1::2], WORDS["other topic"].split()
    steered, others, other_topic = (find_words(tokenizer, bag) for bag in bags)
    measured: dict[str, Any] = {"steered": steered, "others": others, "counted": counted_words(args)}
    measured |= {"prompt": args.prompt, "texts": args.texts, "seed": args.seed}
    settings = topic_settings(steered, other_topic, args.strengths)
    return {name: measure_topic(model, tokenizer, setting, **measured) for name, setting in settings.items()}


def counted_words(args: SteerArguments) -> set[str]:
    """The words that do not steer; or, with a lexicon, the translations of all words of the topic."""
    if args.lexicon is None:
        return {word.lower() for word in args.words[1::2]}
    topic_words = {word.lower() for word in args.words}
    pairs, _ = read_lexicon(Path(args.lexicon))
    return {pair.target.lower() for pair in pairs if pair.source.lower() in topic_words}


def knowledge(model, tokenizer, args: SteerArguments) -> dict[str, Any]:
    return measure_swap(model, tokenizer, *args.words)


def bias(model, tokenizer, args: SteerArguments) -> dict[str, Any]:
    pairs = [(first, second) for first, second in map(str.split, PAIRS)]
    return measure_bias(model, tokenizer, args.words, pairs, seed=args.seed)


def main():
    (args,) = parse_arguments(SteerArguments, description=__doc__)
    measure = {"topic": topic, "knowledge": knowledge, "bias": bias}[args.case]
    print(json.dumps(rounded(measure(*load_base(args.model), args), args.digits), indent=1))


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
