"""Makes small instruction sets of a language from free data that need no network.

    pip install chatterbot-corpus
    python examples/build_instructions.py --language id --output runs/instructions-id

Two sets are written, each with a held-out part: the dialogues of the package `chatterbot-corpus`, where it has the
language, and sentences of the embedded bitext to be translated. A question of the held-out dialogues is asked in no
dialogue of the other part. The translations are of the bitext's own training and in-domain files. sources.json beside
the files has their licences, which cards repeat.
"""

import argparse
import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sensia.corpora import find_language, read_pairs
from sensia.corpora.instructions import Conversation
from sensia.trainers.command_ends import exit_on_input_error
from sensia.whole_files import write_json_whole, write_whole

BITEXT = Path(__file__).parent / "assets" / "bitext"
#: Asks for a translation, in the language itself.
ASK = {"id": "Terjemahkan ke bahasa Indonesia: ", "sw": "Tafsiri kwa Kiswahili: "}
#: Of so many questions one is held out.
HELD_OUT = 8
DIALOGUES = {"license": "BSD-3-Clause", "name": "chatterbot-corpus", "domain": "small talk"}


def dialogues(language: str) -> list[Conversation]:
    """
    Conversations of `chatterbot-corpus`, in which user and assistant speak in turn.

    Args:
        language (`str`): its English name.

    Raises:
        ValueError: if the package is not installed.
    """
    try:
        folder = files("chatterbot_corpus") / "data" / language.lower()
    except ModuleNotFoundError:
        raise ValueError("The dialogues need the package chatterbot-corpus: pip install chatterbot-corpus") from None
    found = []
    listed = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    for file in listed:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))["conversations"]
        found += [as_turns([str(line) for line in lines]) for lines in told if len(lines) > 1]
    return found


def as_turns(lines: list[str]) -> Conversation:
    """Lines as turns of user and assistant; a last line that nobody answers is left out."""
    whole = lines[: len(lines) - len(lines) % 2]
    return [{"role": ("user", "assistant")[place % 2], "content": line} for place, line in enumerate(whole)]


def split_by_question(conversations: list[Conversation]) -> tuple[list[Conversation], list[Conversation]]:
    """
    Conversations to learn from, and held-out ones that begin with other questions.

    Args:
        conversations (`list`): of [`dialogues`].

    Returns:
        `tuple`: what begins with most questions, and what begins with every eighth and has no question of the former.
    """
    questions = list(dict.fromkeys(_asked(turns)[0] for turns in conversations))
    chosen = set(questions[HELD_OUT - 1 :: HELD_OUT])
    train = [turns for turns in conversations if _asked(turns)[0] not in chosen]
    learned = {question for turns in train for question in _asked(turns)}
    held_out = [turns for turns in conversations if _asked(turns)[0] in chosen]
    return train, [turns for turns in held_out if not learned & set(_asked(turns))]


def _asked(turns: Conversation) -> list[str]:
    return [turn["content"].strip().lower() for turn in turns if turn["role"] == "user"]


def translations(code: str, part: str, number: int, seed: int) -> list[Conversation]:
    """
    Sentences of the embedded bitext as requests to translate them.

    Args:
        code (`str`): of the language.
        part (`str`): `train` or `dev-indomain`.
        number (`int`): most sentences, drawn at random.
        seed (`int`): of the drawing.
    """
    path = BITEXT / f"en-{code}.{part}.parquet"
    pairs = list(read_pairs(str(path), source_language="en", target_language=code))
    drawn = random.Random(seed).sample(pairs, min(number, len(pairs)))
    return [as_turns([ASK[code] + pair["source"], pair["target"]]) for pair in drawn]


def write_set(output: Path, name: str, parts: dict[str, tuple[list[Conversation], Any]]) -> dict[str, Any]:
    """Writes the parts of a set; returns what `sources.json` says of each file."""
    told = {}
    for part, (conversations, about) in parts.items():
        lines = [json.dumps({"messages": turns}, ensure_ascii=False) for turns in conversations]
        file = f"{name}.{part}.jsonl"
        write_whole(output / file, "".join(f"{line}\n" for line in lines).encode())
        source = {key: value for key, value in about.items() if key in ("name", "license", "domain")}
        told[file] = {"license": about["license"], "sources": [{**source, "rows": len(lines)}]}
        print(f"{file}: {len(lines):,} conversations")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", choices=sorted(ASK), default="id")
    parser.add_argument("--output", required=True, help="Folder that the files are written to.")
    parser.add_argument("--translations", type=int, default=1000, help="Sentences to translate, to learn from.")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    output, language = Path(args.output), find_language(args.language)
    output.mkdir(parents=True, exist_ok=True)
    of_bitext = json.loads((BITEXT / "sources.json").read_text(encoding="utf-8"))
    parts = {"train": ("train", args.translations), "held-out": ("dev-indomain", args.translations // 5)}
    told = write_set(
        output,
        "translations",
        {
            name: (
                translations(args.language, part, number, args.seed),
                {**of_bitext[f"en-{args.language}.{part}.parquet"], "name": "embedded bitext"},
            )
            for name, (part, number) in parts.items()
        },
    )
    if found := dialogues(language.name):
        train, held_out = split_by_question(found)
        told |= write_set(output, "dialogues", {"train": (train, DIALOGUES), "held-out": (held_out, DIALOGUES)})
    write_json_whole(output / "sources.json", told, indent=1)


if __name__ == "__main__":
    with exit_on_input_error(Path(__file__).name):
        main()
