import pytest
import torch

from sensia.evaluation import evaluate_bitext, perplexity, retrieval_recall


@pytest.fixture(scope="module")
def metrics(backpack, tokenizer, pairs):
    return evaluate_bitext(backpack, tokenizer, pairs, pooling_temperature=0.7, batch_size=7)


def test_perplexity_and_bits_per_byte_are_those_of_the_target_texts(metrics, backpack, tokenizer, pairs):
    texts = tokenizer.batch_decode([ids[:-1] for ids in pairs["target_ids"]])
    expected = perplexity(backpack, tokenizer, texts)
    assert metrics["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-5)
    assert metrics["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], rel=1e-5)


def test_source_bits_per_byte_are_those_of_the_source_texts(metrics, backpack, tokenizer, pairs):
    texts = tokenizer.batch_decode([ids[:-1] for ids in pairs["source_ids"]])
    expected = perplexity(backpack, tokenizer, texts)
    assert metrics["source_bits_per_byte"] == pytest.approx(expected["bits_per_byte"], rel=1e-5)


def test_recall_and_entropy_are_those_of_rows_encoded_alone(metrics, backpack, pairs):
    vectors = {"context_vectors": {}, "sense_vectors": {}, "mixture_entropy": {}}
    for side in ("source", "target"):
        with torch.no_grad():
            outputs = [
                backpack(torch.tensor([ids]), pooling_temperature=0.7, use_cache=False) for ids in pairs[f"{side}_ids"]
            ]
        for name, sides in vectors.items():
            sides[side] = torch.cat([output[name] for output in outputs])
    for name in ("context", "sense"):
        expected = retrieval_recall(*vectors[f"{name}_vectors"].values())
        assert metrics[f"{name}_recall@1"] == pytest.approx(expected["mean"], abs=1e-9)
        assert metrics[f"{name}_recall@1_source_to_target"] == pytest.approx(expected["source_to_target"], abs=1e-9)
    for side, entropy in vectors["mixture_entropy"].items():
        assert metrics[f"entropy_{side}"] == pytest.approx(entropy.mean().item(), rel=1e-5)


def test_batch_size_does_not_change_the_result(metrics, backpack, tokenizer, pairs):
    other = evaluate_bitext(backpack, tokenizer, pairs, pooling_temperature=0.7, batch_size=64)
    assert other == pytest.approx(metrics, rel=1e-5)


def test_no_pair_is_refused(backpack, tokenizer, pairs):
    with pytest.raises(ValueError, match="no pair"):
        evaluate_bitext(backpack, tokenizer, pairs.select([]), pooling_temperature=0.7)
