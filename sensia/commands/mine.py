"""Mines bitext: finds the sentences of two monolingual texts that translate each other, by an adapted model.

    sensia mine --config examples/configs/mine.yaml

The output is a Parquet file with a column of each language and the column `score`, the best pairs first. `sensia
bitext` and `sensia adapt` read it, and leave out pairs below their `min_score`. Sentence vectors are kept beside the
output: work that was stopped goes on with those that are missing, and other settings of the search need no new ones.
"""

import io
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from sensia.corpora import find_language, read_texts
from sensia.corpora.bitext_build import normalize, settings_key, write_pairs
from sensia.corpora.document_texts import read_documents
from sensia.evaluation.mining import STRATEGIES, centred_vectors, mine_documents, mine_pairs
from sensia.evaluation.similarity import Encoder, load_encoder, model_state
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.output_folder import make_output_folder
from sensia.trainers.setting_ranges import check_counts, check_languages, check_names, check_range, check_two_languages
from sensia.whole_files import write_whole


@dataclass
class MineArguments:
    """Settings of `sensia mine`: two texts, the model and what to take; see each field's help."""

    source_text: list[str] = field(
        metadata={"help": "Sentences of the source language: files with one a line, Parquet, JSON lines, or Hub ids."}
    )
    target_text: list[str] = field(metadata={"help": "Sentences of the target language, in the same forms."})
    model: str = field(
        metadata={"help": "Adapted Backpack, or sentence-transformers model, of both languages: Hub id or folder."}
    )
    target_language: str = field(metadata={"help": "Code of the target language, any."})
    source_language: str = field(default="en", metadata={"help": "Code of the source language."})
    output: str = field(default="mined.parquet", metadata={"help": "Parquet file that is written."})
    text_column: str = field(default="text", metadata={"help": "Column of the text, where a file has columns."})
    by_document: bool = field(
        default=False,
        metadata={
            "help": "Look for pairs within documents of one id alone. An id is the name of a file of a folder, "
            "without its language, or the column `document_column` of JSON lines or Parquet. Sentences are lines."
        },
    )
    document_column: str = field(default="id", metadata={"help": "Column of the ids, where a file has columns."})
    strategy: str = field(
        default="max",
        metadata={
            "help": "max: the best pairs of either direction, each sentence once. intersection: only pairs whose "
            "sentences choose each other; these are fewer, and more of them are right."
        },
    )
    neighbours: int = field(default=4, metadata={"help": "Nearest sentences that a margin score looks at."})
    min_score: float | None = field(default=None, metadata={"help": "Least margin score of a pair."})
    max_pairs: int | None = field(
        default=None, metadata={"help": "Most pairs to keep: those with the highest scores."}
    )
    device: str | None = field(default=None, metadata={"help": "cpu or cuda. If not given, a GPU if there is one."})

    def __post_init__(self):
        for name in ("source_text", "target_text"):
            value = getattr(self, name)
            setattr(self, name, [value] if isinstance(value, str) else value)
            if not getattr(self, name):
                raise ValueError(f"`{name}` names no text.")
        check_names(self, "source_text", "target_text", "model", "output", "text_column", "document_column")
        check_languages(self, "source_language", "target_language")
        check_two_languages(self)
        check_range(self, f"be {' or '.join(STRATEGIES)}", STRATEGIES.__contains__, "strategy")
        check_counts(self, "neighbours", "max_pairs")
        check_range(self, "be cpu, cuda or cuda:NUMBER", re.compile(r"cpu|cuda(:\d+)?").fullmatch, "device")
        if not self.output.endswith(".parquet"):
            raise ValueError(f"`output` must end in .parquet, got {self.output!r}.")
        if Path(self.output).is_dir():
            raise ValueError(f"`output` must be a file, got {self.output!r}, which is a folder.")


def mine(args: MineArguments):
    """
    Mines, and writes the pairs.

    Args:
        args ([`MineArguments`]): the settings.

    Raises:
        ValueError: if a text has no sentence, or no pair is left.
    """
    make_output_folder(Path(args.output).parent, "the folder of `output`")
    documents: list[tuple[torch.Tensor, torch.Tensor]] = []
    if args.by_document:
        sides, documents = _documents(args)
    else:
        sides = [_sentences(sources, args.text_column) for sources in (args.source_text, args.target_text)]
    vectors = Vectors(args.model, Path(args.output).with_suffix(".vectors"), args.device)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    source, target = (centred_vectors(vectors.compute(texts)).to(device) for texts in sides)
    within = f", within {len(documents):,} pairs of documents" if args.by_document else ""
    _say(f"Comparing {len(source):,} with {len(target):,} sentences{within}")
    if args.by_document:
        rows, columns, scores = mine_documents(
            source, target, documents, strategy=args.strategy, neighbours=args.neighbours
        )
    else:
        rows, columns, scores = mine_pairs(source, target, strategy=args.strategy, neighbours=args.neighbours)
    pairs = [
        {"source": sides[0][row], "target": sides[1][column], "score": round(score, 4)}
        for row, column, score in zip(rows.tolist(), columns.tolist(), scores.tolist(), strict=True)
        if args.min_score is None or score >= args.min_score
    ][: args.max_pairs]
    if not pairs:
        raise ValueError(f"No pair has a score of `min_score`, {args.min_score}; the best has {scores.max():.3f}.")
    source_code, target_code = (
        language.iso1 or language.iso3 for language in map(find_language, (args.source_language, args.target_language))
    )
    write_pairs(Path(args.output), pairs, (source_code, target_code))
    _say(f"{args.output}: {len(pairs):,} pairs, scores {pairs[0]['score']:.3f} to {pairs[-1]['score']:.3f}")


def _sentences(sources: Sequence[str], column: str) -> list[str]:
    """Distinct sentences: a copy would be the nearest neighbour of what it copies, and spoil the margins."""
    found: dict[str, None] = {}
    for source in sources:
        for row in read_texts(source, column=column, streaming=True):
            found[normalize(row["text"])] = None
    found.pop("", None)
    if not found:
        raise ValueError(f"There is no sentence in {', '.join(sources)}.")
    return list(found)


def _documents(args: MineArguments) -> tuple[list[list[str]], list[tuple[torch.Tensor, torch.Tensor]]]:
    """
    Sentences of both sides that stand in documents of one id, and the rows of each pair of documents. A sentence has a
    row for each of its documents, and one for all its copies within a document.
    """
    languages = find_language(args.source_language), find_language(args.target_language)
    found: list[dict[str, list[str]]] = []
    for sources, language in zip((args.source_text, args.target_text), languages, strict=True):
        found.append({})
        for source in sources:
            for name, lines in read_documents(source, language, args.text_column, args.document_column).items():
                found[-1].setdefault(name, []).extend(lines)
    shared = [name for name in found[0] if name in found[1]]
    if not shared:
        raise ValueError(f"No id is in both sides; the first ids are {_first(found[0])}, and {_first(found[1])}.")
    _say(f"{len(shared):,} ids are in both sides, {len(found[0]) + len(found[1]) - 2 * len(shared):,} in one of them")
    sides: list[list[str]] = [[], []]
    documents = []
    for name in shared:
        rows = []
        for side, texts in zip(sides, found, strict=True):
            sentences = dict.fromkeys(filter(None, map(normalize, texts[name])))
            rows.append(torch.arange(len(side), len(side) + len(sentences)))
            side += sentences
        documents.append((rows[0], rows[1]))
    return sides, documents


def _first(documents: Iterable[str]) -> str:
    return ", ".join(list(documents)[:3])


class Vectors:
    """
    Sentence vectors, which are made once and kept in half precision. The model is loaded when it is needed.

    Args:
        model (`str`): as in [`load_encoder`].
        folder (`Path`): where vectors are kept.
        device (`str`, *optional*): device of the model.
        part (`int`, *optional*, defaults to 8192): sentences whose vectors are in one file.
    """

    def __init__(self, model: str, folder: Path, device: str | None, part: int = 8192):
        self.model, self.folder, self.device, self.part = model, folder, device, part
        self._encode: Encoder | None = None

    def compute(self, texts: Sequence[str]) -> torch.Tensor:
        """
        Args:
            texts (`Sequence[str]`): N sentences.

        Returns:
            `torch.Tensor` of `float32` [N, D]
        """
        parts = [texts[start : start + self.part] for start in range(0, len(texts), self.part)]
        shown = tqdm(parts, desc="Sentence vectors", unit="part", disable=not sys.stderr.isatty())
        return torch.cat([torch.from_numpy(self._part(part)).float() for part in shown])

    def _part(self, texts: Sequence[str]) -> np.ndarray:
        path = self.folder / f"{settings_key({'model': model_state(self.model), 'texts': list(texts)})}.npy"
        if not path.exists():
            if self._encode is None:
                self._encode = load_encoder(self.model, self.device)
            buffer = io.BytesIO()
            np.save(buffer, self._encode(texts).numpy().astype(np.float16), allow_pickle=False)
            write_whole(path, buffer.getvalue())
        return np.load(path, allow_pickle=False)


def _say(message: str):
    print(message, flush=True)


def main():
    (args,) = parse_arguments(MineArguments, description=__doc__)
    mine(args)


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
