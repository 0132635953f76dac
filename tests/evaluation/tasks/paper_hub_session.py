"""Runs in a process of its own: fills a local Hub with small copies of the benchmarks, scores a model, prints JSON."""

import json
import os
import sys
from pathlib import Path

from hubserver import HubServer, User
from hubserver.testing import client_environment

sys.path.insert(0, str(Path(__file__).parent))
from paper_benchmarks import DATA, files_of


def fill():
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    for source, data in DATA.items():
        api.create_repo(source, repo_type="dataset")
        added = [CommitOperationAdd(name, text.encode()) for name, text in files_of(data).items()]
        api.create_commit(source, added, commit_message="Adds the data", repo_type="dataset")


def score(model: str, folder: Path, target: str) -> dict:
    from sensia.commands import score

    output = folder / f"scores-{target}.json"
    sys.argv = ["score.py", "--suite", "paper", "--model", model, "--output", str(output), "--target_language", target]
    code = score.main()
    return {"code": code, "scores": json.loads(output.read_text(encoding="utf-8"))}


def main(folder: Path, model: str):
    people = tuple(sorted({source.partition("/")[0] for source in DATA}))
    hub = HubServer(str(folder / "hub"), users=[User("alice", "hf_alice", orgs=people)]).start()
    os.environ.update(client_environment(hub.endpoint, str(folder / "home"), "hf_alice"))
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    fill()
    results = {target: score(model, folder, target) for target in ("sw", "ko")}
    hub.stop()
    print("\nRESULTS", json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
