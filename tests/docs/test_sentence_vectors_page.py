"""The programs on the page docs/sentence_vectors.md run as they stand there, and find what is to be found."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from modeling_sensia.loading import load_base
from sensia.evaluation.retrieval import retrieval_recall
from sensia.evaluation.sentence_vectors import sentence_vectors

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "sentence_vectors.md"


@pytest.fixture(scope="module")
def base():
    return load_base(str(ROOT / "examples" / "assets" / "backpack-en-mini"))


@pytest.fixture(scope="module")
def program(base, tmp_path_factory):
    """The names that the programs leave, run one after the other; the embedded model stands for an adapted one."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    for part in base:
        part.save_pretrained(folder / "runs" / "sensia-id-mini" / "final")
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), names)
    return names | {"folder": folder}


@pytest.fixture(scope="module")
def own(base, program):
    """The project's own context vectors of the pairs' two sides, [N, D] each."""
    return [sentence_vectors(*base, program[side])["context"] for side in ("sources", "targets")]


@pytest.mark.parametrize("kind", ["context", "sense"])
def test_encode_gives_the_projects_own_vectors(program, base, kind):
    expected = sentence_vectors(*base, program["english"])[kind]
    np.testing.assert_allclose(program[f"{kind}_vectors"], expected, rtol=0, atol=1e-5)


def test_the_similarity_is_the_cosine_of_the_projects_own_vectors(program, base):
    english, indonesian = (sentence_vectors(*base, program[name])["context"] for name in ("english", "indonesian"))
    torch.testing.assert_close(program["similarities"], english @ indonesian.T, rtol=0, atol=1e-5)


def test_the_translation_evaluator_finds_as_many_as_the_projects_own_recall(program, own):
    assert len(set(program["sources"])) == len(set(program["targets"])) == len(program["sources"])
    expected = retrieval_recall(*own)
    found = program["accuracies"]
    assert found["src2trg_accuracy"] == pytest.approx(expected["source_to_target"])
    assert found["trg2src_accuracy"] == pytest.approx(expected["target_to_source"])


def test_the_search_finds_the_nearest_sentence_of_the_other_language(program, own):
    nearest = (own[0] @ own[1].T).argmax(1)
    assert [hits[0]["corpus_id"] for hits in program["found"]] == nearest.tolist()


def test_paraphrase_mining_ranks_by_the_cosine_of_the_projects_own_vectors(program, own):
    cosines = (own[0] @ own[0].T).triu(1)
    score, *pair = program["paraphrases"][0]
    assert score == pytest.approx(cosines.max().item(), abs=1e-5)
    assert cosines[min(pair), max(pair)].item() == pytest.approx(score, abs=1e-5)


def test_a_hard_negative_is_the_nearest_sentence_that_is_no_translation(program, own):
    triplets = program["triplets"]
    assert len(triplets) == len(program["sources"])
    wrong = (own[0] @ own[1].T).fill_diagonal_(-1).argmax(1)
    by_source = dict(zip(triplets["en"], triplets["negative"], strict=True))
    expected = dict(zip(program["sources"], [program["targets"][place] for place in wrong], strict=True))
    assert by_source == expected


def test_a_model_that_is_saved_again_closes_its_sentences(program):
    again = SentenceTransformer(str(program["folder"] / "runs/saved-again"), trust_remote_code=True, device="cpu")
    assert again.preprocess(["a"])["input_ids"][0, -1] == again.tokenizer.eos_token_id
