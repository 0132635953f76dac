"""Encodes texts as somebody does who has sentence-transformers and none of our packages.

python encode_without_packages.py REPO TEXT ...
"""

import json
import sys

for package in ("modeling_sensia", "corpora", "trainers", "evaluation", "model_cards"):
    sys.modules[package] = None

from sentence_transformers import SentenceTransformer  # noqa: E402


def main(repo: str, *texts: str):
    encoder = SentenceTransformer(repo, trust_remote_code=True, device="cpu")
    again = SentenceTransformer(repo, trust_remote_code=True, device="cpu", local_files_only=True)
    results = {
        "class": f"{type(encoder[0].model).__module__}.{type(encoder[0].model).__name__}",
        "context": encoder.encode(list(texts)).tolist(),
        "sense": again.encode(list(texts), vector="sense").tolist(),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
