"""Builds one clean bitext from downloads: it repairs and checks pairs, removes copies and held-out text, and divides.

    sensia bitext --config examples/configs/bitext.yaml

The output folder holds train.parquet, dev.parquet and test.parquet, sources.json (which cards of models read), and
NOTICE.md. README.md is a data set card with the counts of every step and examples of what it dropped. A build that was
stopped goes on with the sources that are missing. The same settings and data give the same files.

With `similarity_model`, an adapted Backpack or a sentence-transformers model, every pair gets a score that tells how
well its sides translate each other, and pairs below `min_similarity` are dropped.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from sensia.commands.bitext_files import write_bitext
from sensia.commands.bitext_settings import BitextArguments
from sensia.commands.pair_scorer import good_pairs, score_quality
from sensia.corpora.bitext_build import (
    Pair,
    SeenText,
    best_pairs,
    check_pairs,
    divide,
    read_pairs_of_part,
    score_shares,
    settings_key,
    write_pairs,
)
from sensia.corpora.bitext_reports import SourceReport
from sensia.corpora.locations import files_behind
from sensia.corpora.pair_checks import Limits
from sensia.model_cards.bitext_card import swapped_source
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error
from sensia.trainers.data_sources import BitextSource
from sensia.trainers.output_folder import make_output_folder
from sensia.whole_files import write_json_whole

#: Folder of the output for what is made of each source.
_PARTS = ".sources"


def build(args: BitextArguments):
    output = Path(args.output_dir)
    make_output_folder(output)
    # First, because it is soon done: a name that is wrong should not be found after hours.
    held_out = [pair for name in args.held_out for pair in args.read(BitextSource(name))]
    checked = [check_source(args, source, output / _PARTS) for source in args.bitext_sources]
    seen = SeenText(args.steps, args.most_repeats, held_out, args.near_duplicates)
    scorer = args.scorer
    kept: list[Pair] = []
    parts_read = [read_pairs_of_part(path) for path, _ in checked]
    if args.min_quality is not None and "quality" in args.steps:
        scored = score_quality(parts_read, [path for path, _ in checked], args.min_quality)
        for number, (qualities, (_, report)) in enumerate(zip(scored, checked, strict=True)):
            parts_read[number] = good_pairs(parts_read[number], qualities, args.min_quality, report)
    for source, (path, report), pairs in zip(args.bitext_sources, checked, parts_read, strict=True):
        fresh = []
        if scorer and pairs:
            pairs = scorer.score(pairs, path)
            report.scores = score_shares(pairs)
        for pair in pairs:
            too_different = args.min_similarity is not None and pair["score"] < args.min_similarity
            reason = "similarity" if too_different else seen.reason_to_drop(pair)
            if reason:
                report.drop(reason, pair)
            else:
                fresh.append(pair)
        limit = None if args.max_pairs is None else args.max_pairs // len(checked)
        chosen = fresh[:limit] if scorer is None else best_pairs(fresh, limit)
        report.kept = len(chosen)
        kept += chosen
        say(f"  {source.shown}: kept {report.kept:,} of {report.read:,} pairs{_told(report)}")
        if report.is_swapped:
            say(f"  Warning: {swapped_source(source.shown, report)}")
        if report.scores:
            say(f"  scores: {', '.join(f'{share} below {score:.3f}' for share, score in report.scores.items())}")
    if not kept:
        raise ValueError("no pair is left: the counts above say which step dropped them; `skip` leaves a step out")
    sizes = {name: size for name, size in (("dev", args.dev_pairs), ("test", args.test_pairs)) if size}
    parts = divide(kept, sizes, args.seed)
    for name, size in sizes.items():
        if len(parts[name]) < size:
            say(f"Warning: {name} has only {len(parts[name]):,} of {size:,} pairs: too many resemble each other.")
    parts = {name: pairs for name, pairs in parts.items() if pairs}
    write_bitext(
        output,
        parts,
        {source.shown: report for source, (_, report) in zip(args.bitext_sources, checked, strict=True)},
        args.bitext_sources,
        codes=(args.languages[0].iso1 or args.languages[0].iso3, args.languages[1].iso1 or args.languages[1].iso3),
        name=args.name or output.resolve().name,
        steps=args.steps,
        scored_by=scorer.description if scorer else None,
    )
    told = ", ".join(f"{name} {len(pairs):,}" for name, pairs in parts.items())
    say(f"{output}: {told} pairs; README.md has the counts and examples of every step")
    if args.push_to:
        api = HfApi()
        api.create_repo(args.push_to, repo_type="dataset", exist_ok=True)
        patterns = ["*.parquet", "*.json", "*.md"]
        api.upload_folder(repo_id=args.push_to, folder_path=output, repo_type="dataset", allow_patterns=patterns)
        say(f"Published as {args.push_to}")


def check_source(args: BitextArguments, source: BitextSource, folder: Path) -> tuple[Path, SourceReport]:
    """Pairs of a source that pass the checks of single pairs, and their report; made once and kept in `folder`."""
    limits = Limits(args.min_characters, args.max_characters, args.max_ratio)
    steps = [step for step in args.steps if step not in ("quality", "similarity")]
    settings = {
        "source": asdict(source),
        "limits": asdict(limits),
        "steps": steps,
        "data": _state(args, source),
        "tsv_quoting": args.tsv_quoting,
        "on_bad_rows": args.on_bad_rows,
        "languages": [each.tag for each in args.languages],
    }
    path = folder / f"{settings_key(settings)}.parquet"
    counts = path.with_suffix(".json")
    if not counts.exists():
        say(f"Reading {source.path}")
        report = SourceReport()
        passed = list(check_pairs(args.read(source), steps, args.languages, limits, report))
        write_pairs(path, passed, ("source", "target"))
        write_json_whole(counts, asdict(report))
    return path, SourceReport.from_dict(json.loads(counts.read_text(encoding="utf-8")))


def _state(args: BitextArguments, source: BitextSource) -> list[Any]:
    """Names, sizes and times of the local files of a source: one that has changed is read again."""
    states = ((path, path.stat()) for path in files_behind(args.locate(source.path)))
    return [[path.name, state.st_size, state.st_mtime_ns] for path, state in states]


def _told(report: SourceReport) -> str:
    told = ", ".join(f"{name} {step.pairs:,}" for name, step in report.steps.items())
    swapped = f"; swapped back: {report.swapped.pairs:,}" if report.swapped.pairs else ""
    return f"{swapped}; dropped: {told}" if told else swapped


def say(message: str):
    print(message, flush=True)


def main():
    (args,) = parse_arguments(BitextArguments, description=__doc__)
    build(args)


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
