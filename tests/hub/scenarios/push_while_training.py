"""Trains with a push at every save, the first of which the Hub refuses, and publishes the result.

python push_while_training.py BASE BITEXT OUTPUT REPO
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

from huggingface_hub import HfApi

from modeling_sensia.loading import load_base
from sensia.corpora import clean_pairs, read_pairs
from sensia.trainers import SensiaConfig, SensiaTrainer


def main(base: str, bitext: str, output: str, repo: str):
    model, tokenizer = load_base(base)
    pairs = read_pairs(str(Path(bitext, "train.parquet")), source_language="en", target_language="id")
    train, _ = clean_pairs(pairs, tokenizer, max_length=128)
    config = SensiaConfig(
        output_dir=output,
        max_steps=4,
        save_steps=2,
        per_device_train_batch_size=4,
        push_to_hub=True,
        hub_model_id=repo,
        hub_strategy="every_save",
        hub_always_push=True,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SensiaTrainer(model, config, train_dataset=train, processing_class=tokenizer)
    refuse_the_next_commit()
    trainer.train()
    while_training = titles(repo)
    commit = trainer.push_to_hub("Done")
    print(json.dumps({"while training": while_training, "titles": titles(repo), "commit": commit.oid}))


def titles(repo: str) -> list[str]:
    return [commit.title for commit in reversed(HfApi().list_repo_commits(repo))]


def refuse_the_next_commit():
    fault = {"action": "status", "path": "/api/models/.*/commit/", "status": 500}
    url = f"{os.environ['HF_ENDPOINT']}/_hubserver/faults"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(fault).encode(), method="POST")).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
