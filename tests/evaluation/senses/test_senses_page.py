import base64
import html.parser
import json
import zlib

import pytest
import torch

from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.evaluation.senses.inspection import mixture_of, rank_tokens
from sensia.evaluation.senses.senses_page import (
    ShownModel,
    count_use,
    pack_integers,
    pack_ranking,
    page_data,
    render_page,
)
from tests.examples.small_backpacks import small_backpack

SENTENCE = "Simpan dokumen."
TEMPLATE = "<title>{{ title }}</title><style>{{ style }}</style><pre>{{ data }}</pre><script>{{ script }}</script>"


def unpack_bytes(packed):
    return zlib.decompress(base64.b64decode(packed))


def unpack_integers(packed):
    data = unpack_bytes(packed)
    count = len(data) // 3
    return [data[i] + 256 * data[count + i] + 65536 * data[2 * count + i] for i in range(count)]


def unpack_ranking(packed, size, senses):
    """Lists of (token, score) by [N][K], undone step by step."""
    palette, ranks = unpack_integers(packed["palette"]), unpack_integers(packed["ranks"])
    differences, top = unpack_bytes(packed["scores"]), packed["top"]
    lists = [[[] for _ in range(senses)] for _ in range(size)]
    for place in range(size):
        for sense in range(senses):
            steps = 0
            for rank in range(top):
                index = (rank * senses + sense) * size + place
                steps = (steps + differences[index]) % 256
                lists[place][sense].append((palette[ranks[index]], packed["lowest"] + steps * packed["step"]))
    return lists


@pytest.fixture(scope="module")
def extended(tokenizer, bitext):
    return extend_tokenizer(tokenizer, bitext["source"], bitext["target"], 30).tokenizer


@pytest.fixture(scope="module")
def use(tokenizer, bitext):
    return count_use(tokenizer, bitext["source"], bitext["target"], ("en", "id"))


@pytest.fixture(scope="module")
def data(backpack, tokenizer, use):
    return page_data({"one": ShownModel(backpack, tokenizer, use)}, top=3, sentences=[SENTENCE], word="the")


def test_integers_of_three_bytes_are_packed():
    values = torch.tensor([0, 255, 256, 65536, 2**24 - 1]).numpy()
    assert unpack_integers(pack_integers(values)) == values.tolist()


@pytest.mark.parametrize("name", ["strongest", "suppressed"])
def test_packed_lists_keep_tokens_and_scores_to_half_a_step(backpack, tokenizer, name):
    ids, scores = rank_tokens(backpack, tokenizer, range(30), 5)[name]
    packed = pack_ranking(ids, scores)
    assert packed["step"] == pytest.approx((scores.max() - scores.min()).item() / 255)
    for place, senses in enumerate(unpack_ranking(packed, 30, 4)):
        for sense, entries in enumerate(senses):
            assert [token for token, _ in entries] == ids[place, sense].tolist()
            for (_, score), expected in zip(entries, scores[place, sense].tolist(), strict=True):
                assert abs(score - expected) <= packed["step"] * 0.501


def test_a_list_with_one_score_is_packed():
    packed = pack_ranking(torch.tensor([[[7]]]), torch.tensor([[[-2.5]]]))
    assert unpack_ranking(packed, 1, 1) == [[[(7, -2.5)]]]


def test_the_page_holds_the_lists_of_the_whole_vocabulary(data, backpack, tokenizer, use):
    assert data["labels"] == ["en", "id", "suppressed"]
    (vocabulary,) = data["vocabularies"]
    assert unpack_integers(vocabulary["shown"]) == list(range(400))
    expected = rank_tokens(backpack, tokenizer, range(400), 3, use.target_tokens)
    names = ("strongest_source", "strongest_target", "suppressed")
    for name, packed in zip(names, data["models"][0]["lists"], strict=True):
        unpacked = unpack_ranking(packed, 400, 4)
        assert [[[token for token, _ in sense] for sense in senses] for senses in unpacked] == expected[name][
            0
        ].tolist()


def test_without_a_bitext_the_page_has_no_languages(backpack, tokenizer):
    data = page_data({"one": ShownModel(backpack, tokenizer)}, top=2)
    assert data["labels"] == ["strongest", "suppressed"] and len(data["models"][0]["lists"]) == 2
    assert data["vocabularies"][0]["words"] == []


def test_a_page_for_fewer_tokens_keeps_the_most_frequent(backpack, tokenizer, use, bitext):
    data = page_data({"one": ShownModel(backpack, tokenizer, use)}, top=1, max_tokens=25)
    (vocabulary,) = data["vocabularies"]
    shown = unpack_integers(vocabulary["shown"])
    every = [token for side in ("source", "target") for text in bitext[side] for token in tokenizer.encode(text)]
    counts = [every.count(token) for token in range(400)]
    assert len(shown) == 25
    assert min(counts[one] for one in shown) >= max(counts[one] for one in range(400) if one not in shown)
    assert all(set(ids) <= set(shown) for _, *ids in vocabulary["words"])


def test_words_of_several_tokens_are_spelled_as_after_a_space(data, tokenizer):
    spellings = {word: ids for word, *ids in data["vocabularies"][0]["words"]}
    assert len(spellings) > 50
    assert all(tokenizer.encode(f" {word}") == ids and len(ids) > 1 for word, ids in spellings.items())


def test_mixtures_keep_weights_and_contributions(data, backpack, tokenizer):
    ((packed,),) = data["sentences"]
    mixture = mixture_of(backpack, tokenizer, SENTENCE)
    assert packed["tokens"] == [token["token"] for token in mixture["tokens"]]
    weights, contributions = (unpack_integers(packed[name]) for name in ("weights", "contributions"))
    place = 0
    for t, prediction in enumerate(mixture["predictions"]):
        assert packed["logits"][t] == pytest.approx(prediction["logit"], abs=6e-4)
        assert packed["probabilities"][t] == pytest.approx(prediction["probability"], rel=6e-3)
        for k in range(4):
            for j in range(t + 1):
                assert weights[place] / 65535 == pytest.approx(prediction["weights"][k][j], abs=1e-5)
                shown = (contributions[place] - 32768) * packed["step"]
                assert shown == pytest.approx(prediction["contributions"][k][j], abs=packed["step"])
                place += 1
    assert place == len(weights) == len(contributions)


def test_a_page_of_nothing_is_refused(backpack, tokenizer):
    with pytest.raises(ValueError, match="0 models"):
        page_data({})
    with pytest.raises(ValueError, match="0 tokens"):
        page_data({"one": ShownModel(backpack, tokenizer)}, max_tokens=0)


def both_pages(backpack, tokenizer, extended, **options):
    """Data of a base model beside one whose tokenizer extends the base's."""
    models = {"base": ShownModel(backpack, tokenizer), "adapted": ShownModel(small_backpack(extended, 2, 0), extended)}
    return page_data(models, top=2, **options)


def test_models_with_one_vocabulary_share_it(backpack, tokenizer):
    data = page_data({name: ShownModel(backpack, tokenizer) for name in ("one", "other")}, top=1)
    assert [model["vocabulary"] for model in data["models"]] == [0, 0] and len(data["vocabularies"]) == 1


def test_a_model_with_an_extended_tokenizer_has_its_own_tokens(backpack, tokenizer, extended):
    data = both_pages(backpack, tokenizer, extended)
    assert [model["vocabulary"] for model in data["models"]] == [0, 1]
    base, adapted = (vocabulary["tokens"] for vocabulary in data["vocabularies"])
    assert (len(base), len(adapted)) == (400, 430) and adapted[:400] == base


def new_word(extended):
    """A word that is one of the new tokens."""
    texts = [extended.decode([one]) for one in range(400, 430)]
    return next(text[1:] for text in texts if text.startswith(" ") and text[1:].isalpha())


def test_a_word_that_is_one_new_token_is_cut_by_the_base_too(backpack, tokenizer, extended):
    data, word = both_pages(backpack, tokenizer, extended), new_word(extended)
    base, adapted = ({word: ids for word, *ids in vocabulary["words"]} for vocabulary in data["vocabularies"])
    assert base[word] == tokenizer.encode(f" {word}") and word not in adapted


def test_a_sentence_is_cut_by_each_models_tokenizer(backpack, tokenizer, extended):
    sentence = f"Ada {new_word(extended)}."
    data = both_pages(backpack, tokenizer, extended, sentences=[sentence])
    base, adapted = (len(mixture["tokens"]) for mixture in data["sentences"][0])
    assert adapted - 1 == len(extended.encode(sentence)) < base - 1 == len(tokenizer.encode(sentence))


def test_models_with_and_without_languages_are_refused_together(backpack, tokenizer, use):
    models = {"one": ShownModel(backpack, tokenizer, use), "other": ShownModel(backpack, tokenizer)}
    with pytest.raises(ValueError, match="same two languages"):
        page_data(models)


class Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], {}

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text[self.tags[-1]] = self.text.get(self.tags[-1], "") + data


def test_nothing_in_title_or_data_becomes_an_element():
    data = {"tokens": ["</script><script>alert(1)</script>", "<!--", "]]>", "&lt;", "\u2028", "{{ title }}", "</pre>"]}
    page = render_page(TEMPLATE, "p > a {}", "1 < 2", title="<b>&</b>", data=data)
    parsed = Elements()
    parsed.feed(page)
    assert parsed.tags == ["title", "style", "pre", "script"]
    assert parsed.text["title"] == "<b>&</b>" and parsed.text["style"] == "p > a {}"
    assert json.loads(parsed.text["pre"]) == data and parsed.text["script"] == "1 < 2"
    assert "\u2028" not in page
