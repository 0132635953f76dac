"""MTEB scores a saved model on a bitext-mining task of local sentence pairs."""

from pathlib import Path

import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from modeling_sensia.loading import load_base
from sensia.evaluation.retrieval import retrieval_recall
from sensia.evaluation.sentence_vectors import sentence_vectors

ASSETS = Path(__file__).parents[2] / "examples" / "assets"
PAIRS = ASSETS / "bitext" / "en-id.dev-indomain.parquet"


def local_task(pairs: Dataset):
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    class LocalPairs(AbsTaskBitextMining):
        metadata = TaskMetadata(
            name="LocalPairs",
            description="English sentences and their Indonesian translations.",
            reference=None,
            type="BitextMining",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs={"default": ["eng-Latn", "ind-Latn"]},
            main_score="f1",
            dataset={"path": PAIRS.name, "revision": "1"},
        )

        def load_data(self, **_):
            renamed = pairs.rename_columns({"en": "sentence1", "id": "sentence2"})
            self.dataset = {"default": {"test": renamed}}
            self.data_loaded = True

    return LocalPairs()


@pytest.mark.slow
def test_its_accuracy_is_the_projects_own_recall(tmp_path):
    import mteb

    base = load_base(str(ASSETS / "backpack-en-mini"))
    for part in base:
        part.save_pretrained(tmp_path / "model")
    pairs = Dataset.from_parquet(str(PAIRS)).select(range(100))
    encoder = SentenceTransformer(str(tmp_path / "model"), trust_remote_code=True, device="cpu")
    (result,) = mteb.evaluate(encoder, [local_task(pairs)], cache=None).task_results
    own = [sentence_vectors(*base, list(pairs[side]))["context"] for side in ("en", "id")]
    assert result.scores["test"][0]["accuracy"] == pytest.approx(retrieval_recall(*own)["source_to_target"])
