import pytest
import torch

from sensia.evaluation import evaluate_bitext
from sensia.evaluation.bitext import measure_bitext
from sensia.evaluation.retrieval import retrieval_metrics
from sensia.evaluation.sentence_vectors import sentence_vectors

TEXTS = ["Simpan dokumen sebelum menutup jendela.", "Yes", "naïve café", "Simpan dokumen"]


def ids_of(tokenizer, text):
    return torch.tensor([[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]])


def test_a_backpack_has_its_own_vectors_and_the_mean_of_its_mixture(backpack, tokenizer):
    vectors = sentence_vectors(backpack, tokenizer, TEXTS, pooling_temperature=0.5, tokens_per_batch=40)
    for row, text in enumerate(TEXTS):
        with torch.no_grad():
            alone = backpack(ids_of(tokenizer, text), pooling_temperature=0.5, output_hidden_states=True)
        torch.testing.assert_close(vectors["context"][row], alone.context_vectors[0])
        torch.testing.assert_close(vectors["sense"][row], alone.sense_vectors[0])
        torch.testing.assert_close(vectors["mean"][row], alone.hidden_states[-1][0].mean(0))


@pytest.mark.parametrize("layer", [-1, 1])
def test_a_dense_model_has_its_hidden_states_at_a_layer(gpt2, tokenizer, layer):
    vectors = sentence_vectors(gpt2, tokenizer, TEXTS, layer=layer, tokens_per_batch=40)
    assert set(vectors) == {"mean", "context"}
    for row, text in enumerate(TEXTS):
        with torch.no_grad():
            states = gpt2(ids_of(tokenizer, text), output_hidden_states=True).hidden_states[layer][0]  # [L, D]
        torch.testing.assert_close(vectors["mean"][row], states.mean(0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(vectors["context"][row], states[-1], rtol=1e-4, atol=1e-5)


def test_a_text_longer_than_the_positions_is_cut_and_still_closed(gpt2, tokenizer):
    ids = tokenizer.encode(" ".join(TEXTS * 5), add_special_tokens=False)
    assert len(ids) > 48
    found = sentence_vectors(gpt2, tokenizer, [" ".join(TEXTS * 5)])["context"]
    with torch.no_grad():
        expected = gpt2(torch.tensor([[*ids[:47], tokenizer.eos_token_id]]), output_hidden_states=True)
    torch.testing.assert_close(found[0], expected.hidden_states[-1][0, -1], rtol=1e-4, atol=1e-5)


def test_no_text_is_refused(gpt2, tokenizer):
    with pytest.raises(ValueError, match="at least one text"):
        sentence_vectors(gpt2, tokenizer, [])


def test_a_bitext_measured_from_text_is_the_bitext_that_training_measures(backpack, tokenizer, pairs):
    sides = [tokenizer.batch_decode([ids[:-1] for ids in pairs[f"{side}_ids"]]) for side in ("source", "target")]
    found = measure_bitext(backpack, tokenizer, *sides, pooling_temperature=0.7)
    expected = evaluate_bitext(backpack, tokenizer, pairs, pooling_temperature=0.7)
    shared = [name for name in expected if not name.startswith("entropy")]
    assert {name: found["metrics"][name] for name in shared} == pytest.approx(
        {n: expected[n] for n in shared}, rel=1e-4
    )


def test_a_dense_model_is_measured_on_a_bitext_by_the_vectors_that_it_has(gpt2, tokenizer, bitext):
    found = measure_bitext(gpt2, tokenizer, bitext["source"], bitext["target"])
    sides = [sentence_vectors(gpt2, tokenizer, bitext[side])["mean"] for side in ("source", "target")]
    expected = retrieval_metrics(*sides)
    assert {name: found["metrics"][f"mean_{name}"] for name in expected} == pytest.approx(expected)
    assert not [name for name in found["metrics"] if name.startswith("sense")]
    low, high = found["intervals"]["mean_recall@1"]
    assert low <= found["metrics"]["mean_recall@1"] <= high
    assert found["chance"]["mean_recall@1"] == 1 / len(bitext)


def test_a_sentence_without_translation_is_refused(gpt2, tokenizer):
    with pytest.raises(ValueError, match="2 and 1 sentences"):
        measure_bitext(gpt2, tokenizer, ["one", "two"], ["satu"])
