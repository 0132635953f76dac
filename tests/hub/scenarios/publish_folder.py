"""Publishes a folder through every failure that a Hub can answer with, and tells what each left behind.

python publish_folder.py FOLDER REPO READ_TOKEN
"""

import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path

from huggingface_hub import HfApi

from sensia.trainers.publishing import publish

COMMIT = "/api/models/.*/commit/"
UPLOAD = "^/object/|/v1/xorbs/"
# The weights come first: what has once arrived is not sent again.
FAULTS = {
    "weights refused": {"action": "status", "path": UPLOAD, "status": 403},
    "commit refused": {"action": "status", "path": COMMIT, "status": 500},
    "commit cut off": {"action": "drop", "path": COMMIT},
}


def main(folder: Path, repo: str, read_token: str):
    api = HfApi()
    api.create_repo(repo)
    results = {
        "repo": repo,
        "before": state(api, repo),
        "folder before": digests(folder),
        "missing": attempt(folder, f"{repo}-missing"),
        "read-only": attempt(folder, repo, token=read_token),
        "wrong token": attempt(folder, repo, token="hf_NobodyHasThis0001"),
        "no model": attempt(Path(__file__).parent, repo),
    }
    for name, fault in FAULTS.items():
        inject(fault)
        results[name] = attempt(folder, repo) | {"state": state(api, repo)}
    results["published"] = attempt(folder, repo) | {"state": state(api, repo)}
    results["again"] = attempt(folder, repo) | {"state": state(api, repo)}
    results["folder after"] = digests(folder)
    lost = api.create_repo(f"{repo}-lost").repo_id
    inject({"action": "drop-response", "path": COMMIT})
    results["answer lost"] = attempt(folder, lost) | {"state": state(api, lost)}
    results["after the lost answer"] = attempt(folder, lost) | {"state": state(api, lost)}
    print(json.dumps(results))


def attempt(folder: Path, repo: str, token: str | None = None) -> dict:
    try:
        return {"commit": publish(folder, repo, commit_message="The model", token=token).oid}
    except Exception as error:
        return {"error": str(error), "is OSError": isinstance(error, OSError), "kind": type(error).__name__}


def state(api: HfApi, repo: str) -> dict:
    commits = api.list_repo_commits(repo)
    return {"commits": [commit.commit_id for commit in commits], "files": sorted(api.list_repo_files(repo))}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def inject(fault: dict):
    url = f"{os.environ['HF_ENDPOINT']}/_hubserver/faults"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(fault).encode(), method="POST")).close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
