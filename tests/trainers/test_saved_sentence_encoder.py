"""A model that a trainer saves gives sentence-transformers the vectors that training aligned."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

TEMPERATURE = 0.3


@pytest.fixture
def trainer(make_trainer):
    trainer = make_trainer(max_steps=1, tau_pool=TEMPERATURE)
    trainer.train()
    trainer.save_model(str(trainer.final_folder))
    return trainer


def test_the_vectors_are_those_of_the_trainers_own_forward(trainer, pairs, tokenizer):
    rows = [pairs[number] for number in range(8)]
    with torch.no_grad():
        outputs = trainer.encode(trainer.model.eval(), trainer.data_collator(rows))
    ids = [row["source_ids"] for row in rows] + [row["target_ids"] for row in rows]
    texts = tokenizer.batch_decode([each[:-1] for each in ids])
    encoder = SentenceTransformer(str(trainer.final_folder), trust_remote_code=True, device="cpu")
    for kind in ("context", "sense"):
        expected = outputs[f"{kind}_vectors"].numpy()
        np.testing.assert_allclose(encoder.encode(texts, vector=kind), expected, rtol=0, atol=1e-5)
