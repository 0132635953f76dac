"""What the page to play with computes and writes, without its layout."""

import re
import sys

import pytest
import torch
from example_scripts import load_example
from small_backpacks import BITEXT, HOSTILE, small_backpack, small_tokenizer

from modeling_sensia.steering import ScaleSenses, Steering
from sensia.corpora import read_pairs
from sensia.evaluation.senses.inspection import senses_of
from sensia.evaluation.sentence_vectors import sentence_vectors
from sensia.space.page_model import FoundSentence, PageModel, Sliders
from sensia.space.settings import SpaceArguments
from sensia.space.tables import candidate_choices, carriers_table, continuations_text, sentences_table

TEXT = "Save the file"


@pytest.fixture(scope="module")
def sentences():
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(30))
    return list(rows["source"]), list(rows["target"])


@pytest.fixture(scope="module")
def page_model(sentences):
    tokenizer = small_tokenizer()
    return PageModel(small_backpack(tokenizer, 4, 0), tokenizer, ("English", "Indonesian"), sentences)


def plain_text(html):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


class TestSliders:
    def test_a_moved_slider_scales_its_sense_everywhere(self, page_model):
        assert Sliders((1, 0.5, 1, 2)).steering(page_model.tokenizer) == Steering(
            [ScaleSenses([1], 0.5), ScaleSenses([3], 2.0)]
        )

    def test_words_are_scaled_at_all_of_their_tokens(self, page_model):
        (edit,) = Sliders((3.0,), "file, save").steering(page_model.tokenizer).edits
        expected = [
            one["id"]
            for word in ("file", "save")
            for one in senses_of(page_model.model, page_model.tokenizer, word)["tokens"]
        ]
        assert sorted(edit.token_ids) == sorted(set(expected)) and len(set(expected)) > 2

    def test_sliders_at_one_edit_nothing(self, page_model):
        assert not Sliders((1.0, 1.0), "file").steering(page_model.tokenizer).edits


class TestContinuations:
    def test_are_those_of_greedy_search(self, page_model):
        plain, same = page_model.continuations(TEXT, Sliders((1.0,) * 4), new_tokens=6)
        ids = [page_model.tokenizer.eos_token_id, *page_model.tokenizer(TEXT)["input_ids"]]
        prompt = torch.tensor([ids])
        written = page_model.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=6, do_sample=False, no_repeat_ngram_size=3
        )
        assert plain == same == page_model.tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True)

    def test_under_sliders_are_those_of_the_steered_model(self, page_model):
        sliders = Sliders((0.0, 3.0, 0.0, 1.0))
        plain, steered = page_model.continuations(TEXT, sliders)
        with sliders.steering(page_model.tokenizer).applied(page_model.model):
            assert page_model.continuations(TEXT, Sliders())[0] == steered
        assert steered != plain

    def test_of_a_long_text_are_written_after_its_end(self, page_model):
        assert page_model.continuations(" ".join([TEXT] * 40), Sliders())[0]


class TestNames:
    def test_are_the_strongest_tokens_of_each_language(self, page_model):
        ids = page_model.tokenizer(TEXT)["input_ids"][:2]
        names = page_model.name_senses(ids, top=2)
        assert set(names) == {(one, sense) for one in ids for sense in range(4)}
        for side, kind in enumerate(("strongest_source", "strongest_target")):
            word = page_model.tokenizer.decode(ids[:1])
            target_tokens = page_model._target_tokens
            listed = senses_of(page_model.model, page_model.tokenizer, word, 2, target_tokens)["tokens"][0]
            if listed["id"] == ids[0]:
                expected = [one["token"].strip() for one in listed["senses"][1][kind]]
                assert [name.lstrip("…") for name in names[ids[0], 1][side]] == expected

    def test_do_not_change_with_the_sliders(self, page_model):
        ids = page_model.tokenizer(TEXT)["input_ids"]
        before = page_model.name_senses(ids)
        page_model.explain(TEXT, Sliders((0.0, 2.0)))
        assert page_model.name_senses(ids) == before


class TestNearestSentences:
    def test_have_the_largest_cosines_of_centred_vectors(self, page_model, sentences):
        vectors = []
        for side in sentences:
            found = sentence_vectors(page_model.model, page_model.tokenizer, side)
            both = torch.cat([found["context"], found["sense"]], 1).double()
            both = both / both.norm(dim=1, keepdim=True)
            centred = both - both.mean(0)
            vectors.append(centred / centred.norm(dim=1, keepdim=True))
        cosines = vectors[1] @ vectors[0][7]
        found = page_model.nearest(sentences[0][7], side=0, top=3)
        best = cosines.topk(3)
        assert [one.text for one in found] == [sentences[1][row] for row in best.indices]
        assert [one.translation for one in found] == [sentences[0][row] for row in best.indices]
        assert [one.cosine for one in found] == pytest.approx(best.values.tolist(), abs=1e-5)

    def test_of_no_text_are_refused(self, page_model):
        with pytest.raises(ValueError, match="There is no text to search with"):
            page_model.nearest("  ", side=1)


class TestTables:
    def test_the_rows_and_the_rest_add_up_to_the_logit(self, page_model):
        found = page_model.explain(TEXT, Sliders())
        ids = [one["id"] for one in found.tokens]
        html = carriers_table(found, page_model.name_senses(ids), page_model.languages, top=5)
        cells = re.findall(r'<td class="number(?: bar)?"[^>]*>([^<]*)</td>', html)
        numbers = [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in cells]
        assert len(numbers) == 5 * 4 + 1
        assert sum(numbers[3:20:4]) + numbers[20] == pytest.approx(found.chosen["logit"], abs=0.05)

    def test_the_token_before_the_text_has_a_name(self, page_model):
        found = page_model.explain("", Sliders())
        names = page_model.name_senses([one["id"] for one in found.tokens])
        assert "(start)" in plain_text(carriers_table(found, names, page_model.languages))

    def test_choices_show_the_probability_and_hold_the_id(self, page_model):
        found = page_model.explain(TEXT, Sliders(), top=3)
        choices = candidate_choices(found)
        assert [token_id for _, token_id in choices] == [one["id"] for one in found.candidates]
        assert all(
            text.endswith(f"{one['probability']:.1%}")
            for (text, _), one in zip(choices, found.candidates, strict=True)
        )

    def test_text_is_never_markup(self, page_model):
        hostile = "".join(HOSTILE)
        found = page_model.explain(hostile, Sliders())
        names = page_model.name_senses([one["id"] for one in found.tokens])
        sentence = FoundSentence(hostile, hostile, 0.5)
        for html in (
            carriers_table(found, names, ("<i>", HOSTILE[1]), top=99),
            sentences_table([sentence], ("<i>", "<b>")),
            continuations_text(hostile, hostile, hostile),
        ):
            assert not re.search(r"<(script|/script|img|i>|!--)", html)
            assert "&lt;img src=x" in html


class TestSettings:
    def test_name_models_with_their_languages(self):
        settings = SpaceArguments(models=["sw=org/one", "id=runs/two/final"], bitext="data/en-{target}.tsv")
        assert settings.named_models == [("sw", "org/one"), ("id", "runs/two/final")]
        assert settings.bitext_of("sw") == "data/en-sw.tsv"

    @pytest.mark.parametrize(
        ("models", "message"),
        [
            ([], "`models` names no model"),
            (["org/one"], "`models` holds 'org/one'; expected LANGUAGE=MODEL"),
            (["id=a", "sw=a", "id=a"], "`models` holds id=a twice"),
            (["nolanguage=a"], "nolanguage"),
        ],
    )
    def test_wrong_models_are_one_line(self, models, message):
        with pytest.raises(ValueError, match=message):
            SpaceArguments(models=models)


def test_a_missing_gradio_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "sensia.space.page", raising=False)
    with pytest.raises(ValueError, match=r"needs Gradio: `pip install 'sensia\[space\]'`"):
        load_example("space").make_page(SpaceArguments())
