"""Gradients of the language model and of the sentence vectors that conflict, against the projection written out."""

import pytest
import torch
from torch.nn import functional as F

from modeling_sensia.positions_and_masks import Sentences
from modeling_sensia.sense_mixing import SensesByToken, mix_and_pool

ROWS, SENSES, LENGTH, SIZE, TOKENS, TEMPERATURE = 3, 4, 7, 5, 6, 0.7
PACKED = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [2, 2, 2, 2, 2, -1, -1], [3, 3, 4, 4, 4, 4, -1]])
ENDS = torch.tensor([2, 6, 11, 15, 19])
ALONE = torch.tensor([[0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, -1, -1], [2, 2, 2, 2, 2, 2, -1]])


def drawn(ids, seed=0):
    """Weights C and senses of distinct tokens with the token of each position, and the directions of two losses."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    same = (ids[:, :, None] == ids[:, None]) & (ids >= 0)[:, None] | torch.eye(LENGTH, dtype=torch.bool)
    allowed = same & torch.ones(LENGTH, LENGTH).tril().bool()
    weights = draw(ROWS, SENSES, LENGTH, LENGTH).masked_fill(~allowed[:, None], -torch.inf).softmax(-1)
    rows, index = draw(TOKENS, SENSES, SIZE), torch.randint(TOKENS, (ROWS, LENGTH), generator=generator)
    count = int(ids.max()) + 1
    directions = draw(ROWS, LENGTH, SIZE), draw(count, SIZE), draw(count, SIZE)
    return weights.requires_grad_(), rows.requires_grad_(), index, directions


def language_loss(mixture, direction, ids):
    return (direction * mixture.tanh())[ids >= 0].sum()


def contrastive_loss(context, sense, directions):
    return (directions[0] * context).sum() + (directions[1] * sense).square().sum()


def naive_vectors(contributions, ids):
    """Context and sense vectors of the sentences, from the contributions [B, K, L, D]."""
    context, sense = [], []
    for number in range(int(ids.max()) + 1):
        of_sentence = contributions.transpose(1, 2)[ids == number]  # [T, K, D]
        shares = (of_sentence.norm(dim=-1) / TEMPERATURE).softmax(-1)  # [T, K]
        sense.append(F.normalize((shares[..., None] * of_sentence).sum(1).mean(0), dim=-1))
        context.append(F.normalize(of_sentence[-1].sum(0), dim=-1))
    return torch.stack(context), torch.stack(sense)


def naive_gradients(weights, rows, index, directions, ids):
    """At the contributions [B, K, L, D]: the gradient of the language model, and the contrastive one, projected."""
    contributions = weights.detach() @ rows.detach()[index].transpose(1, 2)
    contributions.requires_grad_()
    (language,) = torch.autograd.grad(language_loss(contributions.sum(1), directions[0], ids), contributions)
    loss = contrastive_loss(*naive_vectors(contributions, ids), directions[1:])
    (contrast,) = torch.autograd.grad(loss, contributions)
    projected, conflicts = contrast.clone(), 0
    for row in range(ROWS):
        for token in range(LENGTH):
            ours, other = contrast[row, :, token].flatten(), language[row, :, token].flatten()  # [K D] each
            if ours @ other < 0:
                conflicts += 1
                ours = ours - (ours @ other) / (other @ other) * other
            projected[row, :, token] = ours.view(SENSES, SIZE)
    return language, projected, conflicts


def losses(weights, senses, directions, ids, ends, **settings):
    sentences = None if ends is None else Sentences(ids, ends)
    mixture, vectors = mix_and_pool(weights, senses, (ids >= 0).long(), TEMPERATURE, sentences, **settings)
    contrast = contrastive_loss(vectors["context_vectors"], vectors["sense_vectors"], directions[1:])
    return language_loss(mixture, directions[0], ids), contrast


LAYOUTS = pytest.mark.parametrize(("ids", "ends"), [(PACKED, ENDS), (ALONE, None)], ids=["packed", "alone"])


@LAYOUTS
@pytest.mark.parametrize("by_token", [True, False])
def test_the_gradient_is_that_of_the_projection_at_every_token(ids, ends, by_token):
    weights, rows, index, directions = drawn(ids)
    language, contrast, conflicts = naive_gradients(weights, rows, index, directions, ids)
    assert 3 < conflicts < (ids >= 0).sum() - 3
    contributions = weights @ rows[index].transpose(1, 2)
    expected = torch.autograd.grad(contributions, [weights, rows], language + contrast)
    senses = SensesByToken(rows, index) if by_token else rows[index].transpose(1, 2)
    given = torch.autograd.grad(
        sum(losses(weights, senses, directions, ids, ends, project_conflicts=True)), [weights, rows]
    )
    is_free = weights > 0  # all others are 0 whatever happens, and their gradients go nowhere
    for ours, theirs in ((given[0][is_free], expected[0][is_free]), (given[1], expected[1])):
        torch.testing.assert_close(ours, theirs)


@LAYOUTS
def test_the_losses_are_those_without_projection(ids, ends):
    weights, rows, index, directions = drawn(ids)
    senses = SensesByToken(rows, index)
    projected = losses(weights, senses, directions, ids, ends, project_conflicts=True)
    torch.testing.assert_close(projected, losses(weights, senses, directions, ids, ends), rtol=0, atol=0)


@pytest.mark.parametrize("only", [0, 1])
def test_a_loss_alone_keeps_its_gradient(only):
    weights, rows, index, directions = drawn(PACKED)
    senses = SensesByToken(rows, index)
    both = (losses(weights, senses, directions, PACKED, ENDS, project_conflicts=each)[only] for each in (True, False))
    given, expected = (torch.autograd.grad(each, [weights, rows]) for each in both)
    torch.testing.assert_close(given, expected)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_contrast_adds_never_works_against_the_language_model(seed):
    weights, rows, index, directions = drawn(PACKED, seed)
    contributions = (weights @ rows[index].transpose(1, 2)).detach()
    # Where each position has the weight 1 at itself, the contributions are the senses, and so are the gradients.
    senses, own = contributions.requires_grad_(), torch.eye(LENGTH, dtype=torch.float64).expand_as(weights)

    def gradient(parts, **settings):
        found = losses(own, senses, directions, PACKED, ENDS, **settings)
        return torch.autograd.grad(sum(found[part] for part in parts), senses)[0]

    language = gradient([0])
    plain, projected = (gradient([0, 1], project_conflicts=each) - language for each in (False, True))
    inner = [(language * each).sum((1, 3))[PACKED >= 0] for each in (plain, projected)]  # of each token
    assert inner[0].min() < -1e-3 and inner[1].min() > -1e-12
    torch.testing.assert_close(inner[1], inner[0].clamp(min=0))


def test_scaling_a_loss_changes_no_decision():
    weights, rows, index, directions = drawn(PACKED)

    def contrast(scale):
        parts = losses(weights, SensesByToken(rows, index), directions, PACKED, ENDS, project_conflicts=True)
        (whole,) = torch.autograd.grad(scale * parts[0] + parts[1], rows, retain_graph=True)
        return whole - scale * torch.autograd.grad(parts[0], rows)[0]

    torch.testing.assert_close(contrast(1e-6), contrast(1e3))
