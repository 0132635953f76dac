"""Gives a Backpack a tokenizer for another language, without training the model, and writes both to a folder.

    sensia tokenizer --target_tokenizer extend --model examples/assets/backpack-en-mini --target_language sw \
        --train_data examples/assets/bitext/en-sw.train.parquet --new_tokens 1000 --output_dir runs/mini-sw
    sensia tokenizer --target_tokenizer prune --model runs/sensia-id-mini/final --target_language id \
        --train_data examples/assets/bitext/en-id.train.parquet --output_dir runs/small-id

`sensia adapt --target_tokenizer extend` does the first by itself before it trains. `prune` leaves out tokens that the
data never uses: the model gets smaller, and says the same of the tokens that stay. See docs/tokenizers.md.
"""

import sys
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from modeling_sensia.loading import load_base
from sensia.corpora.tokenizer_pruning import prune_tokenizer
from sensia.trainers import parse_arguments
from sensia.trainers.base_model import read_target_texts
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.output_folder import check_new_folder
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.setting_ranges import check_seeds
from sensia.trainers.target_tokenizer import (
    Retokenized,
    TokenizerSettings,
    retokenize,
    with_embeddings,
)

_KINDS = ("extend", "replace", "prune")
_PRUNE_TO = ("both", "target")


@dataclass(kw_only=True)
class TokenizerArguments(TokenizerSettings):
    """Settings of `sensia tokenizer`: the model, the text and the folder; see each field's help."""

    target_tokenizer: str = field(
        default="extend",
        metadata={
            "help": "extend adds new_tokens that are learned on the target side; replace takes new_tokenizer or "
            "trains one on both sides; prune leaves out the tokens that the data never uses.",
            "choices": _KINDS,
        },
    )
    model: str = field(metadata={"help": "Backpack: Hub id or folder."})
    output_dir: str = field(metadata={"help": "New folder for model and tokenizer."})
    train_data: list[Any] = field(metadata={"help": "Bitext, as `sensia adapt` takes it."})
    target_language: str = field(metadata={"help": "Language of the target side: ISO 639-1, ISO 639-3 or FLORES."})
    source_language: str = field(default="en", metadata={"help": "Language of the base model."})
    data: str = field(default=".", metadata={"help": "Folder that the files are relative to."})
    prune_to: str = field(
        default="both",
        metadata={"help": "With prune: keep the tokens of both sides, or of the target alone.", "choices": _PRUNE_TO},
    )
    seed: int = field(default=0, metadata={"help": "Seed of random numbers."})

    def __post_init__(self):
        if self.target_tokenizer not in _KINDS:
            raise ValueError(f"`target_tokenizer` must be one of {', '.join(_KINDS)}, got {self.target_tokenizer!r}.")
        if self.prune_to not in _PRUNE_TO:
            raise ValueError(f"`prune_to` must be one of {', '.join(_PRUNE_TO)}, got {self.prune_to!r}.")
        if self.prune_to != "both" and self.target_tokenizer != "prune":
            raise ValueError(
                f"`prune_to` has no effect with `target_tokenizer` {self.target_tokenizer}: leave it out, got "
                f"{self.prune_to}."
            )
        self.check_tokenizer_settings()
        check_seeds(self, "seed")
        check_new_folder(self.output_dir)
        # Data and languages are checked as those of a run, before the model is loaded.
        self.reading = AdaptArguments(
            model=self.model,
            train_data=self.train_data,
            target_language=[self.target_language],
            source_language=self.source_language,
            data=self.data,
        )


def change(args: TokenizerArguments) -> Retokenized:
    """
    The model with the tokenizer that is asked for.

    Args:
        args ([`TokenizerArguments`]): the settings.

    Raises:
        ValueError: if model, tokenizer or data do not fit.
    """
    model, tokenizer = load_base(args.model)
    (text,) = read_target_texts(args.reading)
    if args.target_tokenizer != "prune":
        return retokenize(model, tokenizer, args, [text], seed=args.seed)
    kept = text.targets if args.prune_to == "target" else chain(text.sources, text.targets)
    smaller, old_ids = prune_tokenizer(tokenizer, kept)
    embeddings: Any = model.get_input_embeddings()
    rows = embeddings.weight.detach()[old_ids].clone()  # [V', D]
    return Retokenized(with_embeddings(model, rows, smaller, dict(enumerate(old_ids))), smaller, new_ids=[])


def main():
    (args,) = parse_arguments(TokenizerArguments, description=__doc__)
    before, _ = load_base(args.model)
    changed = change(args)
    changed.save(Path(args.output_dir), {})
    print(
        f"{args.output_dir}: {len(changed.tokenizer):,} tokens, {changed.model.num_parameters():,} parameters "
        f"(before: {before.config.vocab_size:,} and {before.num_parameters():,})"
    )
    for side, name in (("source", args.source_language), ("target", args.target_language)):
        if changed.change:
            was, now = (changed.change[when][side]["tokens_per_sentence"] for when in ("before", "after"))
            print(f"  {name}: {now:.1f} tokens a sentence (before: {was:.1f})")


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
