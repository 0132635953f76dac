"""What a run tells of the data it saw."""

import json

from sensia.model_cards import check_results
from sensia.trainers.run_arguments import AdaptArguments
from sensia.trainers.run_record import describe_run
from sensia.trainers.training_data import load_train_pairs


def test_results_describe_each_of_several_data_sets_and_the_texts(make_trainer, tokenizer, tmp_path):
    for name in ("one", "two"):
        rows = [{"en": f"{name} {i}.", "id": f"{name} nomor {i}."} for i in range(12)] + [{"en": "", "id": name}]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "texts.txt").write_text("Satu dua tiga.\n" * 3, encoding="utf-8")
    licences = {"one.jsonl": {"license": "mit"}, "texts.txt": {"license": "cc0-1.0"}}
    (tmp_path / "sources.json").write_text(json.dumps(licences), encoding="utf-8")
    args = AdaptArguments(
        "base", ["one.jsonl", "two.jsonl"], "id", text_data=["texts.txt"], data=str(tmp_path), data_license="cc-by-4.0"
    )
    train = load_train_pairs(args, tokenizer, 64, seed=0)
    trainer = make_trainer(train=train.pairs, texts=train.texts, text_rate=0.25, max_steps=1)
    trainer.train()
    results = describe_run(args, trainer.args, trainer, train, [], {}, {}, [], "command")
    check_results(json.loads(json.dumps(results)))
    told = [
        [entry[name] for name in ("name", "rows_read", "rows_kept", "dropped", "license")]
        for entry in results["datasets"]
    ]
    assert told == [
        ["one.jsonl", 13, 12, {"empty": 1}, "mit"],
        ["two.jsonl", 13, 12, {"empty": 1}, "cc-by-4.0"],
        ["texts.txt", 3, 3, {}, "cc0-1.0"],
    ]
    assert len({entry["sha256"] for entry in results["datasets"]}) == 3
    assert "bitext under mit, cc-by-4.0, cc0-1.0." in results["license_reason"]
