"""The mixture of senses and the sentence vectors, against loops over rows, positions and senses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_backpack import naive_mixture, naive_pool, unit

from modeling_sensia.modeling_backpack import mix_senses, pool_context, pool_senses

TEMPERATURE = 0.7


def random_case(batch, num_senses, length, width, seed):
    """Contextualization [B, K, L, L] and senses [B, K, L, D] in float64."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, num_senses, length, length, generator=generator, dtype=torch.float64)
    senses = torch.randn(batch, num_senses, length, width, generator=generator, dtype=torch.float64)
    return scores.softmax(-1).requires_grad_(), senses.requires_grad_()


@st.composite
def cases(draw):
    batch, num_senses, length, width = (draw(st.integers(1, high)) for high in (3, 4, 5, 4))
    mask = draw(st.lists(st.lists(st.booleans(), min_size=length, max_size=length), min_size=batch, max_size=batch))
    return *random_case(batch, num_senses, length, width, draw(st.integers(0, 2**31))), torch.tensor(mask)


def naive_pools(contextualization, senses, mask, temperature=TEMPERATURE):
    rows = [naive_pool(*row, temperature) for row in zip(contextualization, senses, mask.tolist(), strict=True)]
    vectors, entropies = zip(*rows, strict=True)
    return torch.stack(vectors), torch.stack(entropies)


def gradients(output, *inputs):
    """Gradients of one fixed random projection of `output`."""
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(output.dtype)
    return torch.autograd.grad((output * direction).sum(), inputs, materialize_grads=True)


@settings(deadline=None, max_examples=30)
@given(cases())
def test_mix_senses_is_the_sum_over_senses_and_positions(case):
    contextualization, senses, _ = case
    expected = torch.stack([naive_mixture(*row) for row in zip(contextualization, senses, strict=True)])
    torch.testing.assert_close(mix_senses(contextualization, senses), expected)


@settings(deadline=None, max_examples=15)
@given(cases())
def test_mix_senses_has_the_gradient_of_the_sum(case):
    contextualization, senses, _ = case
    expected = torch.stack([naive_mixture(*row) for row in zip(contextualization, senses, strict=True)])
    found = gradients(mix_senses(contextualization, senses), contextualization, senses)
    torch.testing.assert_close(found, gradients(expected, contextualization, senses))


def test_mix_senses_takes_fewer_queries_than_keys():
    contextualization, senses = random_case(2, 3, 5, 4, seed=0)
    whole = mix_senses(contextualization, senses)
    torch.testing.assert_close(mix_senses(contextualization[:, :, 3:], senses), whole[:, 3:])


def test_mix_senses_in_bfloat16_is_close():
    contextualization, senses = (tensor.detach() for tensor in random_case(2, 4, 6, 8, seed=0))
    found = mix_senses(contextualization.bfloat16(), senses.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), mix_senses(contextualization, senses), rtol=0.03, atol=0.03)


@settings(deadline=None, max_examples=30)
@given(cases(), st.sampled_from([0.05, 0.7, 3.0]))
def test_pool_senses_gives_the_sense_vectors(case, temperature):
    expected, _ = naive_pools(*case, temperature)
    torch.testing.assert_close(pool_senses(*case, temperature)[0], expected)


@settings(deadline=None, max_examples=30)
@given(cases(), st.sampled_from([0.05, 0.7, 3.0]))
def test_pool_senses_gives_the_mixture_entropies(case, temperature):
    _, expected = naive_pools(*case, temperature)
    torch.testing.assert_close(pool_senses(*case, temperature)[1], expected)


@settings(deadline=None, max_examples=15)
@given(cases())
def test_pool_senses_has_the_gradient_of_the_sense_vectors(case):
    contextualization, senses, _ = case
    found = gradients(pool_senses(*case, TEMPERATURE)[0], contextualization, senses)
    expected = gradients(naive_pools(*case)[0], contextualization, senses)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@settings(deadline=None, max_examples=15)
@given(cases())
def test_pool_senses_has_the_gradient_of_the_entropies(case):
    contextualization, senses, _ = case
    found = gradients(pool_senses(*case, TEMPERATURE)[1], contextualization, senses)
    expected = gradients(naive_pools(*case)[1], contextualization, senses)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_pool_senses_gradient_agrees_with_finite_differences():
    contextualization, senses = random_case(2, 3, 4, 3, seed=5)
    mask = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])
    assert torch.autograd.gradcheck(lambda c, s: pool_senses(c, s, mask, TEMPERATURE), (contextualization, senses))


def test_pool_senses_ignores_what_stands_at_pads():
    contextualization, senses = (tensor.detach() for tensor in random_case(1, 3, 4, 5, seed=0))
    mask = torch.tensor([[0, 1, 1, 0]])
    before = pool_senses(contextualization, senses, mask, TEMPERATURE)
    contextualization[:, :, [0, 3]] = 100.0
    torch.testing.assert_close(pool_senses(contextualization, senses, mask, TEMPERATURE), before)


def test_pool_senses_of_one_sense_is_the_unit_mean_of_the_mixture():
    contextualization, senses = random_case(1, 1, 4, 5, seed=0)
    mask = torch.tensor([[1, 1, 0, 1]])
    vectors, entropies = pool_senses(contextualization, senses, mask, TEMPERATURE)
    mixture = naive_mixture(contextualization[0], senses[0])
    torch.testing.assert_close(vectors[0], unit((mixture[0] + mixture[1] + mixture[3]) / 3))
    torch.testing.assert_close(entropies, torch.zeros(1, dtype=torch.float64))


def test_pool_senses_of_alike_senses_has_the_entropy_of_a_uniform_mixture():
    contextualization, senses = random_case(1, 1, 4, 5, seed=0)
    alike = contextualization.expand(-1, 6, -1, -1), senses.expand(-1, 6, -1, -1)
    _, entropies = pool_senses(*alike, torch.ones(1, 4), TEMPERATURE)
    torch.testing.assert_close(entropies, torch.log(torch.tensor([6.0], dtype=torch.float64)))


def test_pool_senses_of_a_padded_row_is_zero():
    contextualization, senses = random_case(2, 3, 4, 5, seed=0)
    vectors, entropies = pool_senses(contextualization, senses, torch.tensor([[0] * 4, [1] * 4]), TEMPERATURE)
    assert vectors[0].tolist() == [0.0] * 5
    assert entropies[0].item() == 0.0
    assert torch.isfinite(vectors).all()


def test_pool_senses_of_a_padded_row_gets_no_gradient():
    contextualization, senses = random_case(2, 3, 4, 5, seed=0)
    vectors, entropies = pool_senses(contextualization, senses, torch.tensor([[0] * 4, [1] * 4]), TEMPERATURE)
    for gradient in gradients(torch.cat([vectors, entropies[:, None]], 1), contextualization, senses):
        assert not gradient[0].any()
        assert torch.isfinite(gradient).all()
        assert gradient[1].any()


def test_pool_senses_of_silent_senses_has_a_finite_gradient():
    contextualization, senses = random_case(1, 3, 4, 5, seed=0)
    silent = torch.zeros_like(senses, requires_grad=True)
    vectors, entropies = pool_senses(contextualization, silent, torch.ones(1, 4), TEMPERATURE)
    for gradient in gradients(torch.cat([vectors, entropies[:, None]], 1), contextualization, silent):
        assert torch.isfinite(gradient).all()


def test_pool_senses_takes_bfloat16_and_computes_in_float32():
    rounded = [tensor.detach().bfloat16() for tensor in random_case(2, 4, 6, 8, seed=0)]
    mask = torch.tensor([[1] * 6, [0, 0, 1, 1, 1, 1]])
    found = pool_senses(*rounded, mask, TEMPERATURE)
    assert {tensor.dtype for tensor in found} == {torch.float32}
    torch.testing.assert_close(found, pool_senses(*(tensor.float() for tensor in rounded), mask, TEMPERATURE))


def test_pool_senses_in_bfloat16_is_close_to_the_exact_vectors():
    exact = [tensor.detach() for tensor in random_case(2, 4, 6, 8, seed=0)]
    mask = torch.ones(2, 6)
    vectors, entropies = pool_senses(*(tensor.bfloat16() for tensor in exact), mask, TEMPERATURE)
    expected_vectors, expected_entropies = pool_senses(*exact, mask, TEMPERATURE)
    torch.testing.assert_close(vectors.double(), expected_vectors, rtol=0.03, atol=0.01)
    torch.testing.assert_close(entropies.double(), expected_entropies, rtol=0.03, atol=0.01)


def test_pool_senses_leaves_autocast():
    case = [tensor.detach().float() for tensor in random_case(2, 4, 6, 8, seed=0)]
    expected = pool_senses(*case, torch.ones(2, 6), TEMPERATURE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(pool_senses(*case, torch.ones(2, 6), TEMPERATURE), expected, rtol=0, atol=0)


@pytest.mark.parametrize("temperature", [0.0, -0.7])
def test_pool_senses_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match=f"temperature must be positive, got {temperature}"):
        pool_senses(*random_case(1, 2, 3, 4, seed=0), torch.ones(1, 3), temperature)


@pytest.mark.parametrize(
    ("mask", "last"),
    [([1, 1, 1, 1], 3), ([1, 1, 0, 0], 1), ([0, 0, 1, 1], 3), ([0, 1, 1, 0], 2), ([1, 0, 0, 0], 0)],
    ids=["no pads", "right pads", "left pads", "both sides", "one token"],
)
def test_pool_context_takes_the_last_real_token(mask, last):
    mixture = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(pool_context(mixture, torch.tensor([mask]))[0], unit(mixture[0, last]))


def test_pool_context_takes_each_row_at_its_own_end():
    mixture = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = pool_context(mixture, torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]]))
    torch.testing.assert_close(found, torch.stack([unit(mixture[0, 1]), unit(mixture[1, 2])]))


def test_pool_context_has_the_gradient_of_the_unit_vector():
    mixture = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    found = gradients(pool_context(mixture, torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]])), mixture)
    expected = gradients(torch.stack([unit(mixture[0, 1]), unit(mixture[1, 3])]), mixture)
    torch.testing.assert_close(found, expected)


def test_pool_context_takes_a_boolean_mask():
    mixture = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(pool_context(mixture, torch.tensor([[True, True, False]]))[0], unit(mixture[0, 1]))


def test_pool_context_of_a_padded_row_is_finite():
    mixture = torch.zeros(1, 3, 5, requires_grad=True)
    vectors = pool_context(mixture, torch.zeros(1, 3, dtype=torch.long))
    assert torch.isfinite(vectors).all()
    assert torch.isfinite(gradients(vectors, mixture)[0]).all()


def test_pool_context_of_bfloat16_is_normalised_in_float32():
    mixture = torch.randn(2, 4, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    vectors = pool_context(mixture, torch.ones(2, 4, dtype=torch.long))
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
