"""Which words find their translation: by how often they stand in the training text, and by how they are cut.

    python benchmarks/word_translation.py --model runs/sensia-id-mini/final --lexicon DIR/eval/lexicon/en-id.train.tsv

Precision@1 among all translations of the lexicon, of pairs that share no token. Of a word, the translation counts that
stands most often in the training text; a word is seen as often as the rarer of the two. Its tokens are those of the
shortest of its frequent translations. Vectors have the mean of their language taken off. A second table has the
frequent words with other vectors and scores.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_sensia.loading import load_base
from sensia.corpora import read_pairs
from sensia.corpora.letter_case import lowered
from sensia.evaluation.sentence_vectors import sentence_vectors
from sensia.evaluation.tasks.word_translation import _draw, _share_a_token, translation_ranks
from sensia.evaluation.tasks.word_vectors import word_vectors
from sensia.evaluation.word_pairs import in_running_text, read_lexicon, word_senses, words_of
from sensia.whole_files import write_json_whole

BITEXT = Path(__file__).parents[1] / "examples/assets/bitext/en-id.train.parquet"
FREQUENT = 20
COLUMNS = {
    "embedding": "embedding",
    "sense_sum": "sum of senses",
    "sense": "senses side by side",
    "sentence": "sense vector of the word as a sentence",
}


class Words:
    """
    English words of a lexicon with their translations, and how often they are seen.

    Args:
        translations (`dict`): translations by English word.
        counts (`tuple` of two `Counter`): how often each word stands in the training text of each side.
        tokens (`Callable`): number of tokens of a word in running text.
    """

    def __init__(self, translations: dict[str, list[str]], counts: tuple[Counter, Counter], tokens: Callable):
        self.sources, self.targets = list(translations), sorted({w for each in translations.values() for w in each})
        place = {word: column for column, word in enumerate(self.targets)}
        self.gold = [[place[word] for word in words] for words in translations.values()]
        best = [max(words, key=lambda word: counts[1][lowered(word)]) for words in translations.values()]
        self.seen = [
            min(counts[0][lowered(word)], counts[1][lowered(other)])
            for word, other in zip(self.sources, best, strict=True)
        ]
        common = ([word for word in words if counts[1][lowered(word)] >= FREQUENT] for words in translations.values())
        self.pieces = [min(map(tokens, each or [one])) for each, one in zip(common, best, strict=True)]

    def groups(self) -> dict[str, list[int]]:
        """Places of the words of each row of the table."""
        rows = {
            "all": lambda seen, _: True,
            "never seen": lambda seen, _: seen == 0,
            f"seen 1 to {FREQUENT - 1} times": lambda seen, _: 0 < seen < FREQUENT,
            f"seen at least {FREQUENT} times": lambda seen, _: seen >= FREQUENT,
            "... translation of 1 token": lambda seen, pieces: seen >= FREQUENT and pieces == 1,
            "... of 2 tokens": lambda seen, pieces: seen >= FREQUENT and pieces == 2,
            "... of 3 and more tokens": lambda seen, pieces: seen >= FREQUENT and pieces > 2,
        }
        told = list(zip(self.seen, self.pieces, strict=True))
        return {name: [place for place, each in enumerate(told) if fits(*each)] for name, fits in rows.items()}


def counts_of(bitext: str, source: str, target: str) -> tuple[Counter, Counter]:
    """Occurrences of each word of both sides in the training text, in lower case."""
    pairs = read_pairs(bitext, source_language=source, target_language=target)
    sides = [Counter(), Counter()]
    for counts, side in zip(sides, ("source", "target"), strict=True):
        for text in pairs[side]:
            counts.update(words_of(lowered(text)))
    return sides[0], sides[1]


def centred(vectors: torch.Tensor) -> torch.Tensor:
    return F.normalize(vectors - vectors.mean(0), dim=-1)


def hits(left: torch.Tensor, right: torch.Tensor, words: Words, *, csls: bool = False) -> torch.Tensor:
    """Marks the English words that find a translation first: `torch.Tensor` of `bool` [Q]."""
    return translation_ranks(left, right, words.gold, csls=csls) == 1


def vectors_by_kind(model, tokenizer, words: list[str], sentences: bool = True) -> dict[str, torch.Tensor]:
    if not sentences:
        return word_vectors(model, tokenizer, words)
    as_sentences = sentence_vectors(model, tokenizer, [in_running_text(word) for word in words])
    return {**word_vectors(model, tokenizer, words), "sentence": as_sentences["sense"]}


def by_frequency(model, tokenizer, words: Words, sentences: bool = True) -> dict[str, dict[str, float]]:
    """Precision@1 of each group and kind of vector, centred, with the `number` of words."""
    left, right = (vectors_by_kind(model, tokenizer, side, sentences) for side in (words.sources, words.targets))
    found = {kind: hits(centred(left[kind]), centred(right[kind]), words).double() for kind in left}
    return {
        name: {"number": len(places)} | {kind: of_all[places].mean().item() for kind, of_all in found.items()}
        for name, places in words.groups().items()
        if places
    }


def of_frequent(model, tokenizer, words: Words) -> dict[str, float]:
    """Precision@1 of the frequent words by the sum of senses, with one thing changed in each row."""
    places = words.groups()[f"seen at least {FREQUENT} times"]
    senses = [word_senses(model, tokenizer, side) for side in (words.sources, words.targets)]  # [N, K, D] each
    summed = [F.normalize(each.sum(1), dim=-1) for each in senses]
    moved = [centred(each) for each in summed]
    alone = [[centred(F.normalize(each[:, k], dim=-1)) for each in senses] for k in range(senses[0].shape[1])]
    of_one = [hits(*sides, words)[places].double().mean().item() for sides in alone]
    found = {
        "sum of senses, not centred": hits(*summed, words),
        "centred": hits(*moved, words),
        "centred, CSLS": hits(*moved, words, csls=True),
    }
    rows = {name: each[places].double().mean().item() for name, each in found.items()}
    rows |= {"the worst sense alone, centred": min(of_one), "the best sense alone, centred": max(of_one)}
    for name, place in (("first", 0), ("last", -1)):
        cut = [_one_token(model, tokenizer, side, place) for side in (words.sources, words.targets)]
        rows[f"{name} token of each word, centred"] = hits(*map(centred, cut), words)[places].double().mean().item()
    return rows | {
        "among the translations of frequent words alone, centred, CSLS": _among_frequent(moved, words, places)
    }


def _among_frequent(moved: list[torch.Tensor], words: Words, places: list[int]) -> float:
    kept = sorted({column for place in places for column in words.gold[place]})
    gold = [[kept.index(column) for column in words.gold[place]] for place in places]
    return (translation_ranks(moved[0][places], moved[1][kept], gold, csls=True) == 1).double().mean().item()


@torch.no_grad()
def _one_token(model, tokenizer, words: list[str], place: int) -> torch.Tensor:
    """Sum of the senses of one token of each word, of length 1."""
    rows = tokenizer([in_running_text(word) for word in words], add_special_tokens=False)["input_ids"]
    senses = model.get_senses(torch.tensor([[row[place] for row in rows]]))[0]  # [K, N, D]
    return F.normalize(senses.sum(0), dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--lexicon", required=True)
    parser.add_argument("--bitext", default=str(BITEXT), help="what the model was trained on")
    parser.add_argument("--languages", nargs=2, default=["en", "id"])
    parser.add_argument("--max_words", type=int, default=3000)
    parser.add_argument("--output", help="JSON file of the figures")
    args = parser.parse_args()
    model, tokenizer = load_base(args.model)
    model.eval()
    pairs = [pair for pair in read_lexicon(args.lexicon)[0] if not _share_a_token(pair, tokenizer)]
    counts = counts_of(args.bitext, *args.languages)
    words = Words(_draw(pairs, args.max_words, 0), counts, lambda word: len(tokenizer.tokenize(in_running_text(word))))
    groups, frequent = by_frequency(model, tokenizer, words), of_frequent(model, tokenizer, words)
    print(f"{len(words.sources):,} English words, {len(words.targets):,} translations")
    print(f"\n| words | number | {' | '.join(COLUMNS.values())} |\n|:--|--:|{'--:|' * len(COLUMNS)}")
    for name, row in groups.items():
        print(f"| {name} | {row['number']:,} | {' | '.join(f'{row[kind]:.3f}' for kind in COLUMNS)} |")
    print(f"\n| words seen at least {FREQUENT} times | precision@1 |\n|:--|--:|")
    for name, value in frequent.items():
        print(f"| {name} | {value:.3f} |")
    if args.output:
        write_json_whole(Path(args.output), {"groups": groups, "frequent": frequent})


if __name__ == "__main__":
    main()
