"""Proves on a GPU what the tests prove on CPUs, and measures what it costs there: one command, one page.

    python benchmarks/gpu.py --out DIR                           # one GPU, at most 8 minutes
    python benchmarks/gpu.py --out DIR --only right fast --seconds 150
    python benchmarks/gpu.py --out DIR --dry-run                 # tiny sizes on the CPU, to see that it runs

Sections, most valuable first: `right` (values and gradients against the equations written out in float64), `fast`
(steps and decoding beside stock GPT-2), `sharded` (FSDP2 and DeepSpeed), `trained` (the quickstart in bf16 against its
results on a CPU). Each result is written to DIR/gpu.json and DIR/gpu.md as soon as it is there, so a run that is cut
off keeps what it has. What would start after `--seconds` is recorded as not run, and so is what needs a package that
is missing. Weights are random; sentences are the embedded bitext's, in the tokens of the embedded model.
"""

import argparse
import gc
import shlex
import sys
import time
from importlib import import_module
from pathlib import Path

import torch
from gpu_report import Report, run_check
from gpu_setup import TINY, Setup, Sizes
from transformers.utils import logging as transformers_logging

SECTIONS = ("right", "fast", "sharded", "trained")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json and gpu.md")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to run")
    parser.add_argument("--seconds", type=float, default=480, help="start nothing later (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU")
    args = parser.parse_args()
    if not args.dry_run and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; `--dry-run` runs tiny sizes on the CPU")
    return args


def run_section(report: Report, section: str, setup: Setup):
    """Runs the checks of a section, or records what it cannot do without."""
    try:
        checks = import_module(f"gpu_{section}").CHECKS
    except ModuleNotFoundError as error:
        report.add(section, "all", "not run", 0, f"{error.name} is not installed")
        return
    for name, check in checks.items():
        run_check(report, section, name, check, setup)
        gc.collect()
        if setup.device.type == "cuda":
            torch.cuda.empty_cache()


def main() -> int:
    start = time.monotonic()
    args = parse_arguments()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    setup = Setup(args.dry_run, start + args.seconds, TINY if args.dry_run else Sizes())
    command = shlex.join("DIR" if word == str(args.out) else word for word in sys.argv)  # the page is published
    report = Report(args.out, f"python {command}", setup.device)
    for section in (name for name in SECTIONS if name in args.only):
        run_section(report, section, setup)
    print(f"{report.summary()} See {report.page}.")
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
