"""Shows the senses of words, and which senses counted for each token of a sentence.

    python examples/inspect_senses.py --model examples/assets/backpack-en-mini --words bank save \\
        --sentences "He saved the file." --html senses.html

Prints tables; `--json` and `--html` write files, the second a page that works offline, where any word can be typed.
`--compare` puts an adapted model beside it, which may have another tokenizer. `--bitext` with `--target_language`
lists the two languages apart.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from transformers import PreTrainedTokenizerBase

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.loading import load_base
from sensia.corpora import find_language, read_pairs
from sensia.evaluation.senses.inspection import mixture_of, senses_of
from sensia.evaluation.senses.senses_page import ShownModel, VocabularyUse, count_use, page_data, render_page
from sensia.evaluation.senses.senses_tables import mixture_table, sense_tables
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.setting_ranges import check_counts, check_languages
from sensia.whole_files import write_whole

PAGE = Path(__file__).parents[1] / "senses_page"


@dataclass
class InspectArguments:
    """Settings of `sensia inspect`: the words and sentences, and the output; see each field's help."""

    model: str = field(metadata={"help": "Backpack to look into: Hub id or folder."})
    compare: str | None = field(default=None, metadata={"help": "Second Backpack. It may have another tokenizer."})
    tokenizer: str | None = field(default=None, metadata={"help": "Tokenizer of `model`, if it is not in its folder."})
    compare_tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer of `compare`, if it is not in its folder."}
    )
    words: list[str] = field(default_factory=list, metadata={"help": "Words whose senses to show."})
    sentences: list[str] = field(default_factory=list, metadata={"help": "Sentences whose mixtures to show."})
    top: int = field(default=8, metadata={"help": "Tokens per list in the terminal and in the JSON file."})
    bitext: str | None = field(
        default=None, metadata={"help": "Sentence pairs. They tell which tokens belong to which language."}
    )
    source_language: str = field(default="en", metadata={"help": "Language of the base model."})
    target_language: str | None = field(default=None, metadata={"help": "Other language of the bitext, any code."})
    bitext_pairs: int = field(default=50_000, metadata={"help": "Pairs of the bitext to count, from its beginning."})
    json: str | None = field(default=None, metadata={"help": "JSON file to write."})
    html: str | None = field(default=None, metadata={"help": "HTML page to write."})
    page_top: int = field(default=5, metadata={"help": "Tokens per list on the page."})
    page_tokens: int = field(default=8192, metadata={"help": "Tokens on the page, the most frequent of the bitext."})

    def __post_init__(self):
        if (self.bitext is None) != (self.target_language is None):
            raise ValueError("`bitext` and `target_language` go together: give both, or neither.")
        if not (self.words or self.sentences or self.html):
            raise ValueError("Nothing to show: give `words`, `sentences` or `html`.")
        if self.compare_tokenizer is not None and self.compare is None:
            raise ValueError("`compare_tokenizer` is the tokenizer of `compare`: give both, or neither.")
        check_counts(self, "top", "bitext_pairs", "page_top", "page_tokens")
        check_languages(self, "source_language", "target_language")


def load(args: InspectArguments) -> dict[str, ShownModel]:
    """The models by name, each with its tokenizer and its counts of the bitext."""
    wanted = {name_of(args.model): (args.model, args.tokenizer)}
    if args.compare is not None:
        name = name_of(args.compare)
        wanted[f"{name} (compared)" if name in wanted else name] = (args.compare, args.compare_tokenizer)
    models = {}
    for name, (path, tokenizer_name) in wanted.items():
        model, tokenizer = load_base(path, tokenizer_name=tokenizer_name)
        models[name] = ShownModel(cast(BackpackForCausalLM, model), tokenizer, read_use(args, tokenizer))
    return models


def name_of(path: str) -> str:
    """The name of the run, not of the folder `final` in it."""
    parts = [part for part in Path(path).parts if part != "final"]
    return parts[-1] if parts else path


def read_use(args: InspectArguments, tokenizer: PreTrainedTokenizerBase) -> VocabularyUse | None:
    if args.bitext is None or args.target_language is None:
        return None
    languages = [find_language(code) for code in (args.source_language, args.target_language)]
    source, target = (language.iso1 or language.iso3 for language in languages)
    pairs = read_pairs(args.bitext, source_language=source, target_language=target)
    pairs = pairs.select(range(min(args.bitext_pairs, len(pairs))))
    return count_use(tokenizer, pairs["source"], pairs["target"], (source, target))


def main():
    (args,) = parse_arguments(InspectArguments, description=__doc__)
    models = load(args)
    console, results = Console(), []
    for name, shown in models.items():
        target_tokens, languages = (shown.use.target_tokens, shown.use.languages) if shown.use else (None, None)
        words = [senses_of(shown.model, shown.tokenizer, word, args.top, target_tokens) for word in args.words]
        mixtures = [mixture_of(shown.model, shown.tokenizer, sentence) for sentence in args.sentences]
        results.append({"model": name, "words": words, "sentences": mixtures})
        for senses in words:
            console.print(*sense_tables(senses, name, languages), sep="\n")
        for mixture in mixtures:
            console.print(mixture_table(mixture, name))
    if args.json is not None:
        write_whole(Path(args.json), (json.dumps(results, ensure_ascii=False, indent=1) + "\n").encode())
    if args.html is not None:
        options: dict[str, Any] = {"top": args.page_top, "max_tokens": args.page_tokens, "sentences": args.sentences}
        data = page_data(models, word=next(iter(args.words), None), progress=True, **options)
        write_page(Path(args.html), data, "Senses of " + " and ".join(models))


def write_page(path: Path, data: dict[str, Any], title: str):
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")]
    page = render_page(*parts, title=title, data=data).encode()
    write_whole(path, page)
    print(f"{path}: {len(page) / 1e6:.1f} MB")


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
