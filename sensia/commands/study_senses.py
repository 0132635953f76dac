"""Studies the senses of a Backpack across two languages: mixture, ablations, meanings and geometry, in one JSON file.

    python examples/study_senses.py --config examples/configs/study_senses_id.yaml --data DIR --plots plots

Ambiguous words are measured in `bitext`, the mixture in `held_out`. `--annotate` writes sentences for a person to
judge, `--annotations` scores what came back. `--plots` draws and tabulates. `--help` explains every setting.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from modeling_sensia.loading import load_base
from sensia.corpora import DataPart, describe_file, find_language, held_out_part, read_pairs
from sensia.evaluation.rounding import rounded
from sensia.evaluation.senses.ambiguous_words import AmbiguousWord
from sensia.evaluation.senses.annotation import (
    COLUMNS,
    compare_judges,
    page_items,
    read_annotations,
    translated_meanings,
    write_annotations,
)
from sensia.evaluation.senses.sense_study import PAIRS, choose_tags, choose_words, study_model
from sensia.evaluation.senses.senses_page import render_page
from sensia.evaluation.senses.senses_tables import meanings_table, mixture_lines
from sensia.evaluation.word_pairs import read_lexicon
from sensia.model_cards.sense_plots import plot_senses
from sensia.model_cards.sense_report import sense_report
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.setting_ranges import check_counts, check_languages, check_names, check_positive, check_seeds
from sensia.whole_files import write_whole

PAGE = Path(__file__).parents[1] / "senses_page"


@dataclass
class StudyArguments:
    """Settings of `sensia study`: the model and the text; see each field's help."""

    model: str = field(metadata={"help": "Adapted Backpack: Hub id or folder."})
    bitext: str = field(metadata={"help": "Sentence pairs to find ambiguous words in and to measure them on."})
    held_out: str = field(metadata={"help": "Sentence pairs to measure the mixture and its ablations on."})
    lexicon: str = field(metadata={"help": "File of English<TAB>target lines."})
    target_language: str = field(metadata={"help": "Language adapted to, any code."})
    output: str = field(metadata={"help": "JSON file to write."})
    base: str | None = field(default=None, metadata={"help": "English Backpack that the model was adapted from."})
    source_language: str = field(default="en", metadata={"help": "Language of the base model."})
    data: str = field(
        default=".", metadata={"help": "Folder that bitext, held-out pairs and lexicon are relative to."}
    )
    ambiguous_words: str | None = field(
        default=None,
        metadata={"help": "File of ambiguous words that people have checked. If not given, rules find some."},
    )
    pairs_from: str = field(
        default="lexicon", metadata={"help": "Where the word pairs of the geometry come from.", "choices": list(PAIRS)}
    )
    source_tags: str | None = field(
        default=None, metadata={"help": "word<TAB>tag file of the source language, or `tagger` for English."}
    )
    target_tags: str | None = field(
        default=None,
        metadata={
            "help": "word<TAB>tag file of the target language, or `lexicon` to take those of the English words."
        },
    )
    suffixes: list[str] = field(default_factory=list, metadata={"help": "Endings of words of the target language."})
    bitext_pairs: int | None = field(default=None, metadata={"help": "Pairs of the bitext to use, if not all."})
    held_out_pairs: int = field(default=300, metadata={"help": "Held-out pairs to use."})
    max_sentences: int = field(default=40, metadata={"help": "Most sentences of each meaning of a word."})
    mapped: list[str] = field(
        default_factory=list, metadata={"help": "English words to map. If not given, the most frequent ones."}
    )
    tau_pool: float = field(default=0.7, metadata={"help": "Temperature of the mixture in the sense vector."})
    shuffles: int = field(
        default=200, metadata={"help": "Number of shuffles that the chance levels are measured with."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the shuffles."})
    digits: int = field(default=4, metadata={"help": "Significant digits of the figures written."})
    annotate: str | None = field(
        default=None,
        metadata={
            "help": "TSV file of sentences to write for an annotator; or a page, .html, with a sentence of 100 words, "
            "which saves such a file."
        },
    )
    annotations: list[str] = field(default_factory=list, metadata={"help": "Files of annotate, filled in, to score."})
    plots: str | None = field(default=None, metadata={"help": "Folder for plots and tables of the figures."})

    def __post_init__(self):
        names = [Path(path).name for path in self.annotations]
        if len(set(names)) < len(names):
            raise ValueError(f"The files of `annotations` need names of their own, got {', '.join(names)}.")
        check_counts(self, "bitext_pairs", "held_out_pairs", "max_sentences", "shuffles", "digits")
        check_positive(self, "tau_pool")
        check_seeds(self, "seed")
        check_names(self, "annotations")
        check_languages(self, "source_language", "target_language")
        if 0 < len(self.mapped) < 3:
            raise ValueError(f"`mapped` must name at least 3 words, or none, got {', '.join(self.mapped)}.")

    def files(self) -> list[Path]:
        """Describes the inputs of the figures that lie on this machine."""
        texts = [Path(self.data) / name for name in (self.bitext, self.held_out, self.lexicon)]
        given = [Path(name) for name in (self.ambiguous_words, self.source_tags, self.target_tags) if name is not None]
        weights = [Path(name) / "model.safetensors" for name in (self.base, self.model) if name is not None]
        return [path for path in (*texts, *given, *weights) if path.is_file()]

    def read(self, name: str, most: int | None, held_out: bool = False) -> dict[str, list[str]]:
        """Both sides of sentence pairs, by language; of a Hub data set, those of a held-out split where wanted."""
        source, target = self.source_language, self.target_language
        path = str(Path(self.data) / name)
        languages = find_language(source), find_language(target)
        part = held_out_part(path, languages=languages) if held_out else DataPart(path)
        pairs = read_pairs(
            part.source, source_language=source, target_language=target, split=part.split, config_name=part.config_name
        )
        pairs = pairs.select(range(min(most or len(pairs), len(pairs))))
        return dict(zip((source, target), (list(pairs["source"]), list(pairs["target"])), strict=True))


def annotate(path: Path, words: Sequence[AmbiguousWord], sources: Sequence[str], seed: int):
    """Writes sentences for an annotator: a file to fill in, or a page that saves one."""
    if path.suffix != ".html":
        write_annotations(path, words, sources, seed=seed)
        return
    data = {"file": f"{path.stem}.tsv", "columns": COLUMNS, "items": page_items(words, sources, seed=seed)}
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in ("annotation.html", "page.css", "annotation.js")]
    write_whole(path, render_page(*parts, title="What does the word mean here?", data=data).encode())


def main():
    (args,) = parse_arguments(StudyArguments, description=__doc__)
    people = {Path(path).name: read_annotations(path) for path in args.annotations}
    bitext = args.read(args.bitext, args.bitext_pairs)
    held_out = args.read(args.held_out, args.held_out_pairs, True)
    lexicon, _ = read_lexicon(Path(args.data) / args.lexicon)
    options = {"suffixes": args.suffixes, "max_sentences": args.max_sentences}
    words = choose_words(bitext, lexicon, args.ambiguous_words, **options)
    if args.annotate is not None:
        annotate(Path(args.annotate), words, bitext[args.source_language], args.seed)
    labels = {"translations": translated_meanings(words)}
    chance = {"pooling_temperature": args.tau_pool, "shuffles": args.shuffles, "seed": args.seed}
    asked: dict[str, Any] = {**chance, "mapped": args.mapped, "pairs_from": args.pairs_from}
    asked["tags"] = choose_tags(bitext, lexicon, args.source_tags, args.target_tags)
    given: dict[str, Any] = {"bitext": bitext, "held_out": held_out, "words": words, "lexicon": lexicon}
    results: dict[str, Any] = {**chance, "pairs_from": args.pairs_from, "models": {}}
    results["files"] = [describe_file(path) for path in args.files()]
    for role, name in {"base": args.base, "adapted": args.model}.items():
        if name is None:
            continue
        model, tokenizer = cast(Any, load_base(name))
        entry = results["models"][role] = study_model(model, tokenizer, **given, **asked)
        Console().print(*mixture_lines(entry["mixture"], role), sep="\n")
        if entry["meanings"] is not None:
            labels[role] = entry["meanings"].pop("choices")
            Console().print(meanings_table(entry["meanings"], role))
    results = rounded({**results, "agreement": compare_judges(people, labels)}, args.digits)
    write_whole(Path(args.output), (json.dumps(results, ensure_ascii=False, indent=1) + "\n").encode())
    if args.plots is not None:
        plot_senses(results, Path(args.plots))
        write_whole(Path(args.plots) / "senses_figures.md", sense_report(results).encode())


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
