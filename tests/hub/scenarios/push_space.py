"""Pushes the page to play with to a Space, three times, and tells what is there after each.

python push_space.py MODEL_FOLDER SPACE BITEXT FOLDER
"""

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi

from sensia.space.publishing import push_space
from sensia.space.settings import SpaceArguments


def main(model: str, space: str, bitext: str, folder: str):
    api = HfApi()
    settings = {"models": [f"id={model}", "id=acme/on-the-hub"], "bitext": bitext, "max_sentences": 8}
    push_space(SpaceArguments(**settings, push=space))
    first = state(api, space)
    push_space(SpaceArguments(**settings | {"models": ["id=acme/on-the-hub"]}, push=space))
    second = state(api, space)
    push_space(SpaceArguments(**settings, push=space))
    api.snapshot_download(space, repo_type="space", local_dir=folder)
    info = api.space_info(space)
    refused = attempt(SpaceArguments(**settings, push="nobody/page"))
    empty = attempt(SpaceArguments(**settings | {"models": [f"id={Path(__file__).parent}"]}, push=space))
    results = {"first": first, "second": second, "card": info.card_data.to_dict(), "refused": refused, "empty": empty}
    print(json.dumps(results))


def state(api: HfApi, space: str) -> dict:
    commits = api.list_repo_commits(space, repo_type="space")
    return {"commits": len(commits), "files": sorted(api.list_repo_files(space, repo_type="space"))}


def attempt(settings: SpaceArguments) -> dict:
    try:
        return {"url": push_space(settings).commit_url}
    except Exception as error:
        return {"error": str(error), "kind": type(error).__name__}


if __name__ == "__main__":
    main(*sys.argv[1:])
