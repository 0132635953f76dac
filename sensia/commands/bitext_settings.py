"""Settings of `sensia bitext`, and how its sources are read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from sensia.commands.pair_scorer import PairScorer
from sensia.corpora import find_language, read_pairs
from sensia.corpora.bitext_build import STEPS, Pair
from sensia.corpora.data_folder import locate
from sensia.corpora.file_rows import ON_BAD_ROWS
from sensia.corpora.languages import Language
from sensia.corpora.licences import demands_of, find_licence
from sensia.evaluation.mining import SCORES
from sensia.trainers.data_sources import TSV_QUOTING, BitextSource, read_bitext_source
from sensia.trainers.setting_ranges import (
    check_counts,
    check_languages,
    check_line_names,
    check_names,
    check_range,
    check_two_languages,
)
from sensia.trainers.suggestions import did_you_mean


@dataclass
class BitextArguments:
    """Settings of `sensia bitext`: sources, steps and output; see each field's help."""

    sources: list[Any] = field(
        metadata={
            "help": "Bitext, in any form that docs/bitext.md lists: names, or mappings with path, license and "
            "attribution, and name, config, split, columns, languages, domain, origin or min_score where needed."
        }
    )
    target_language: str = field(metadata={"help": "Code of the target language, any."})
    source_language: str = field(default="en", metadata={"help": "Code of the source language."})
    output_dir: str = field(default="bitext", metadata={"help": "Folder of the files that are written."})
    data: str = field(default=".", metadata={"help": "Folder that the sources are relative to."})
    skip: list[str] = field(
        default_factory=list, metadata={"help": f"Steps to leave out. The steps are {', '.join(STEPS)}."}
    )
    tsv_quoting: str = field(default="auto", metadata=TSV_QUOTING)
    on_bad_rows: str | None = field(
        default=None,
        metadata={
            "help": "What to do about rows that cannot be used: stop ends the build at the first one, with file, line "
            "and field; drop leaves them out and counts them as empty. If not given, rows that cannot be read end the "
            "build, and rows with a side that is empty or not text are dropped. See docs/bitext.md.",
            "choices": ON_BAD_ROWS,
        },
    )
    held_out: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Bitext to keep out. Its sentences are left out, and sentences that share eight words in a row "
            "with them."
        },
    )
    dev_pairs: int = field(default=1000, metadata={"help": "Pairs of dev.parquet; 0 for none."})
    test_pairs: int = field(default=0, metadata={"help": "Pairs of test.parquet; 0 for none."})
    max_pairs: int | None = field(
        default=None,
        metadata={
            "help": "Most pairs to keep, divided equally over the sources. With a similarity_model, the best pairs "
            "of each."
        },
    )
    most_repeats: int = field(default=2, metadata={"help": "How often one sentence may occur on a side (repeated)."})
    near_duplicates: float | None = field(
        default=None,
        metadata={
            "help": "Keep only the first of pairs that are this similar (near_duplicates). The number is the share "
            "of five-letter sequences that two pairs have in common, for example 0.8. Needs datasketch (pip install "
            "'sensia[bitext]')."
        },
    )
    min_characters: int = field(default=2, metadata={"help": "Fewest characters of a side (too_short)."})
    max_characters: int = field(default=1000, metadata={"help": "Most characters of a side (too_long)."})
    max_ratio: float = field(
        default=2.5,
        metadata={
            "help": "Largest ratio of the longer side to the shorter, relative to the usual ratio of the languages "
            "(length_ratio)."
        },
    )
    min_quality: float | None = field(
        default=None,
        metadata={
            "help": "Least probability that a pair is whole (quality), as a classifier sees it that learns from these "
            "pairs and from damaged copies of them; 0.15 loses few whole pairs. If not given, the step is not made. "
            "Needs systran-align (pip install 'sensia[align]')."
        },
    )
    similarity_model: str | None = field(
        default=None,
        metadata={"help": "Adapted Backpack or sentence-transformers model that scores every pair: Hub id or folder."},
    )
    similarity_score: str = field(
        default="margin",
        metadata={"help": "margin (the cosine of the sides, relative to their nearest other sentences) or cosine."},
    )
    similarity_neighbours: int = field(
        default=4, metadata={"help": "Nearest sentences that the margin score looks at."}
    )
    min_similarity: float | None = field(
        default=None,
        metadata={"help": "Least score of a pair (similarity). If not given, pairs are scored, but none is dropped."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of the division into parts."})
    name: str | None = field(default=None, metadata={"help": "Name of the data set in its card."})
    push_to: str | None = field(default=None, metadata={"help": "Hub id to publish to, org/name."})

    def __post_init__(self):
        for name in ("sources", "skip", "held_out"):
            value = getattr(self, name)
            setattr(self, name, [value] if isinstance(value, str | dict) else value)
        check_languages(self, "source_language", "target_language")
        check_counts(self, "most_repeats", "min_characters", "max_characters", "max_pairs")
        for name in ("dev_pairs", "test_pairs"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must be 0 or more pairs, got {getattr(self, name)}.")
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            raise ValueError(f"`near_duplicates` must lie in (0, 1], got {self.near_duplicates}.")
        if self.min_quality is not None and not 0 < self.min_quality < 1:
            raise ValueError(f"`min_quality` must lie between 0 and 1, got {self.min_quality}.")
        if self.max_ratio <= 1:
            raise ValueError(f"`max_ratio` must be above 1, got {self.max_ratio}.")
        check_names(self, "similarity_model")
        check_line_names(self, "name")
        check_range(self, f"be {' or '.join(SCORES)}", SCORES.__contains__, "similarity_score")
        check_counts(self, "similarity_neighbours")
        if self.min_similarity is not None and not self.scorer:
            raise ValueError("`min_similarity` needs a `similarity_model`, which scores the pairs.")
        if not self.sources:
            raise ValueError("`sources` names no bitext.")
        for step in self.skip:
            if step not in STEPS:
                raise ValueError(f"`skip`: there is no step `{step}`.{did_you_mean(step, STEPS)}")
        names = [each.shown for each in self.bitext_sources]
        if len(set(names)) < len(names):
            raise ValueError(f"The names of `sources` must differ, got {', '.join(names)}: give each a `name`.")
        for each in self.bitext_sources:
            if each.license is not None and demands_of(each.license) is None:
                find_licence(each.license, "license", "say which one in `attribution`")
        self._check_together()

    def _check_together(self):
        """Checks what settings say together."""
        check_two_languages(self)
        if self.min_characters > self.max_characters:
            raise ValueError(
                f"`min_characters` must be at most `max_characters`, got {self.min_characters} and "
                f"{self.max_characters}."
            )
        if self.max_pairs is not None and self.max_pairs < len(self.sources):
            raise ValueError(
                f"`max_pairs` is divided over the sources, so it must be at least {len(self.sources)}, their number; "
                f"got {self.max_pairs}."
            )
        if not Path(self.data).expanduser().is_dir():
            raise ValueError(f"`data` must be a folder that is there, got {self.data!r}.")
        if self.push_to is not None:
            try:
                validate_repo_id(self.push_to)
            except HFValidationError as error:
                raise ValueError(f"`push_to` must be a name as org/name, got {self.push_to!r}: {error}") from error

    @property
    def languages(self) -> tuple[Language, Language]:
        """`tuple` of two [`Language`]: those of the source and of the target side."""
        return find_language(self.source_language), find_language(self.target_language)

    @property
    def bitext_sources(self) -> list[BitextSource]:
        """`list` of [`BitextSource`]: entries of `sources`."""
        return [read_bitext_source(entry) for entry in self.sources]

    @property
    def steps(self) -> list[str]:
        """`list` of `str`: the steps that are made."""
        wanted = {"similarity": self.scorer is not None, "quality": self.min_quality is not None}
        return [step for step in STEPS if step not in self.skip and wanted.get(step, True)]

    @property
    def scorer(self) -> PairScorer | None:
        """[`PairScorer`], *optional*: what scores the pairs, with `similarity_model`."""
        if self.similarity_model is None or "similarity" in self.skip:
            return None
        return PairScorer(self.similarity_model, self.similarity_score, self.similarity_neighbours)

    def locate(self, path: str) -> str:
        """Path of a source below `data`, or the name itself."""
        return locate(self.data, path)

    def read(self, source: BitextSource) -> Iterator[Pair]:
        """Pairs of a source; what is no text is read as empty."""
        columns, languages = source.columns or (None, None), source.languages
        rows = read_pairs(
            self.locate(source.path),
            source_language=languages[0] if languages else self.source_language,
            target_language=languages[1] if languages else self.target_language,
            source_column=columns[0],
            target_column=columns[1],
            split=source.split,
            config_name=source.config,
            streaming=True,
            tsv_quoting=self.tsv_quoting,
            on_bad_rows=self.on_bad_rows,
        )
        for row in rows:
            if source.origin is not None and _column(row, "origin", "origin", source) != source.origin:
                continue
            if source.min_score is None or _score(_column(row, "score", "min_score", source)) >= source.min_score:
                yield {"source": row["source"] or "", "target": row["target"] or "", "origin": source.shown}


def _column(row: dict[str, Any], name: str, setting: str, source: BitextSource) -> Any:
    if name not in row:
        raise ValueError(f"`sources`, entry {source.path!r}: `{setting}` needs a column `{name}`, and there is none")
    return row[name]


def _score(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return float("nan")
