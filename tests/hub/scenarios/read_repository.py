"""Lists the commits of a repository with their files, and downloads the last one.

python read_repository.py REPO FOLDER
"""

import json
import sys

from huggingface_hub import HfApi


def main(repo: str, folder: str):
    api = HfApi()
    commits = [
        {"title": commit.title, "files": sorted(api.list_repo_files(repo, revision=commit.commit_id))}
        for commit in reversed(api.list_repo_commits(repo))
    ]
    api.snapshot_download(repo, local_dir=folder)
    print(json.dumps({"commits": commits}))


if __name__ == "__main__":
    main(*sys.argv[1:])
