"""Runs in a process of its own: fills a local Hub with data sets, reads them, prints what came of it as JSON."""

import json
import os
import sys
from pathlib import Path

from hubserver import HubServer, User
from hubserver.testing import client_environment

FILES = {
    "acme/nested": {
        "train.jsonl": '{"translation": {"en": "Yes", "id": "Ya"}, "source": "tico19"}\n',
        "test.jsonl": "",
    },
    "acme/flat": {"data.csv": "eng_Latn,ind_Latn\nYes,Ya\n,Tidak\n"},
    "acme/script": {"script.py": "print('never run')\n"},
    "acme/damaged": {"train.jsonl": '{"translation": {"en"\n'},
    "acme/gated": {"train.jsonl": '{"en": "Yes", "id": "Ya"}\n'},
    "acme/instructions": {
        "train.jsonl": '{"translation": {"en": "Yes", "id": "Ya"}, "prompt": {"en": "Sure?", "id": "Yakin?"}}\n'
    },
    "acme/text": {"train.jsonl": '{"text": "Satu."}\n{"text": null}\n'},
}
PAIR = FILES["acme/gated"]["train.jsonl"]
# Data sets by their splits; with a folder in front, by their configurations too.
SPLITS = {
    "acme/train-alone": ["train"],
    "acme/all": ["train", "validation", "test"],
    "acme/two-devs": ["train", "dev_news", "dev_chat"],
    "acme/one-dev": ["train", "dev_news"],
    "acme/story": ["train", "eval"],
    "acme/pairs": ["en-id/train", "en-id/devtest", "en-sw/train"],
}
CONFIGURATIONS = """---
configs:
- config_name: en-id
  data_files: [{split: train, path: en-id/train.jsonl}, {split: devtest, path: en-id/devtest.jsonl}]
- config_name: en-sw
  data_files: [{split: train, path: en-sw/train.jsonl}]
---
"""
for name, splits in SPLITS.items():
    FILES[name] = {f"{split}.jsonl": PAIR for split in splits}
    if not any("/" in split for split in splits):
        entries = ", ".join(f"{{split: {split}, path: {split}.jsonl}}" for split in splits)
        FILES[name]["README.md"] = f"---\nconfigs: [{{config_name: default, data_files: [{entries}]}}]\n---\n"
FILES["acme/pairs"]["README.md"] = CONFIGURATIONS
FILES["acme/nested"]["test.jsonl"] = FILES["acme/nested"]["train.jsonl"].replace("Yes", "No")


def main(folder: Path) -> None:
    hub = HubServer(str(folder / "hub"), users=[User("alice", "hf_alice", orgs=("acme",))]).start()
    os.environ.update(client_environment(hub.endpoint, str(folder / "home"), "hf_alice"))
    fill()
    hub.faults.add("status", path="acme/gated", status=403, message="gated", code="GatedRepo", times=100)
    results = {name: outcome(**request) for name, request in REQUESTS.items()}
    results["held out"] = {name: held_out(name, **options) for name, options in HELD_OUT}
    results["texts"] = [row["text"] for row in texts()]
    hub.stop()
    print("RESULTS", json.dumps(results))


HELD_OUT: list[tuple[str, dict[str, str]]] = [
    ("acme/nested", {}),
    ("acme/train-alone", {}),
    ("acme/train-alone:train", {}),
    ("acme/all", {"preferred": "validation"}),
    ("acme/all:validation[:1]", {}),
    ("acme/all:tset", {}),
    ("acme/two-devs", {}),
    ("acme/one-dev", {}),
    ("acme/story", {"preferred": "train"}),
    ("acme/pairs", {}),
    ("acme/pairs:en-id", {}),
    ("acme/pairs:en-id:train", {}),
    ("acme/pairs:en-sw", {}),
    ("acme/pairs:devtest", {"config_name": "en-id"}),
    ("acme/pairs:en-di:devtest", {}),
    ("acme/none:test", {}),
]
REQUESTS = {
    "nested": {"source": "acme/nested"},
    "streamed": {"source": "acme/nested", "streaming": True},
    "instructions": {"source": "acme/instructions"},
    "streamed instructions": {"source": "acme/instructions", "streaming": True},
    "test split": {"source": "acme/nested", "split": "test"},
    "flat": {"source": "acme/flat"},
    "no split": {"source": "acme/nested", "split": "dev"},
    "no configuration": {"source": "acme/nested", "config_name": "none"},
    "no revision": {"source": "acme/nested", "revision": "none"},
    "script": {"source": "acme/script"},
    "damaged": {"source": "acme/damaged"},
    "gated": {"source": "acme/gated"},
    "missing": {"source": "acme/none"},
}


def fill() -> None:
    from huggingface_hub import HfApi

    api = HfApi()
    for repository, files in FILES.items():
        api.create_repo(repository, repo_type="dataset")
        for name, text in files.items():
            api.upload_file(path_or_fileobj=text.encode(), path_in_repo=name, repo_id=repository, repo_type="dataset")


def outcome(**request: object) -> object:
    from sensia.corpora import read_pairs

    try:
        return list(read_pairs(source_language="en", target_language="id", **request))
    except (ValueError, OSError) as error:
        return [type(error).__name__, str(error)]


def held_out(source: str, **options: str) -> object:
    from sensia.corpora import held_out_part

    try:
        part = held_out_part(source, **options)
    except (ValueError, OSError) as error:
        return [type(error).__name__, str(error)]
    return [part.config_name, part.split, part.by_name]


def texts() -> object:
    from sensia.corpora import read_texts

    return read_texts("acme/text")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
