"""Serves a model over HTTP, as `transformers serve` does, with /v1/completions and streaming.

    sensia serve runs/sensia-id-mini/final --port 8000

Every option of `transformers serve` is taken. That command looks for a model's class in transformers alone, where no
Backpack is, so it cannot be used itself. Needs `pip install 'sensia[serve]'`.
"""

import sys
from pathlib import Path

import transformers

from modeling_sensia import BackpackForCausalLM
from modeling_sensia.generation_limits import NO_CONTINUOUS_BATCHING
from sensia.trainers.command_ends import exit_on_input_error


def main():
    words = sys.argv[1:]
    if "--continuous-batching" in words:
        raise ValueError(NO_CONTINUOUS_BATCHING)
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available() and not {"-h", "--help"} & set(words):
        raise ValueError("Serving needs more libraries: `pip install 'sensia[serve]'`.")
    from transformers.cli.transformers import app

    # Where the server looks for the class.
    transformers.BackpackForCausalLM = BackpackForCausalLM  # type: ignore[attr-defined]
    app(["serve", *words], prog_name="sensia")


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
