"""The page of senses in a real browser, against what `sensia.evaluation.senses.inspection` says."""

import re

import pytest
from browser import contrast, luminance
from example_scripts import load_example
from senses_pages import buttons_of, number, open_page, point_at, rows_of, type_word
from small_backpacks import BITEXT, HOSTILE, small_backpack, small_tokenizer

from sensia.corpora import read_pairs
from sensia.evaluation.senses.inspection import mixture_of, readable, senses_of, token_text
from sensia.evaluation.senses.senses_page import ShownModel, count_use, page_data

SENTENCES = ["Save it <b>now</b></script>.", "Simpan 世."]
TOP = 3


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.fixture(scope="module")
def models(tokenizer):
    return {"english": small_backpack(tokenizer, 4, 0), "<i>adapted": small_backpack(tokenizer, 2, 1)}


@pytest.fixture(scope="module")
def use(tokenizer):
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(60))
    return count_use(tokenizer, rows["source"], rows["target"], ("en", "id"))


@pytest.fixture(scope="module")
def data(models, tokenizer, use):
    shown = {name: ShownModel(model, tokenizer, use) for name, model in models.items()}
    return page_data(shown, top=TOP, sentences=SENTENCES, word="the")


@pytest.fixture(scope="module")
def url(data, tmp_path_factory):
    script = load_example("inspect_senses")
    path = tmp_path_factory.mktemp("page") / "senses.html"
    script.write_page(path, data, "Senses <of> it")
    return path.as_uri()


@pytest.fixture
def page(driver, url):
    return open_page(driver, url)


def check_list(shown, expected, step):
    """Tokens are the same; scores differ by what packing and one decimal take away."""
    pairs = [entry.rsplit(" ", 1) for entry in shown]
    assert [token for token, _ in pairs] == [readable(entry["token"]) for entry in expected]
    for (_, score), entry in zip(pairs, expected, strict=True):
        assert abs(number(score) - entry["score"]) <= 0.0501 + step / 2


def check_senses(page, word, models, tokenizer, use, data):
    found = {
        name: senses_of(model, tokenizer, word, TOP, use.target_tokens)["tokens"] for name, model in models.items()
    }
    rows = rows_of(page, "#senses tbody tr")
    names = ("strongest_source", "strongest_target", "suppressed")
    assert len(rows) == len(found["english"]) * 4 * 3
    for place, row in enumerate(rows):
        token, sense, kind = place // 12, place % 12 // 3, place % 3
        assert row[-3] == ("en", "id", "suppressed")[kind]
        for index, (name, tokens) in enumerate(found.items()):
            if sense < len(tokens[token]["senses"]):
                step = data["models"][index]["lists"][kind]["step"]
                check_list(row[index - 2], tokens[token]["senses"][sense][names[kind]], step)
            else:
                assert name == "<i>adapted" and row[index - 2] == ""


def test_a_typed_word_shows_its_senses_in_both_models(page, models, tokenizer, use, data):
    assert type_word(page, "to") == "“to” is one token."
    check_senses(page, "to", models, tokenizer, use, data)
    heads = rows_of(page, "#senses thead tr")
    assert heads == [["", "english", "<i>adapted"]]


def test_a_word_of_several_tokens_shows_each(page, models, tokenizer, use, data):
    word = next(word for word, *ids in data["vocabularies"][0]["words"] if len(ids) == 3)
    assert type_word(page, word) == f"“{word}” is 3 tokens."
    check_senses(page, word, models, tokenizer, use, data)


def test_the_page_opens_with_the_word_given(page, models, tokenizer, use, data):
    assert page.find_element("id", "word").get_attribute("value") == "the"
    check_senses(page, "the", models, tokenizer, use, data)


def test_a_word_that_is_not_there_is_said_to_be_missing(page):
    assert "is not on this page" in type_word(page, "xyzzyqqq<b>")
    assert rows_of(page, "#senses tr") == []


def test_words_that_begin_with_what_was_typed_are_suggested(page, tokenizer, data):
    type_word(page, "s")
    options = page.execute_script("return Array.from(document.querySelectorAll('option'), (one) => one.value)")
    texts = [token_text(tokenizer, one) for one in range(len(tokenizer))]
    alone = {text[1:] for text in texts if text.startswith(" ") and text[1:2].isalpha()}
    expected = sorted(
        word for word in alone | {word for word, *_ in data["vocabularies"][0]["words"]} if word.startswith("s")
    )
    assert options == [word for word in expected if word != "s"][:20]


def check_mixture(page, models, tokenizer, number_of_sentence, prediction, quantity="contributions"):
    for index, model in enumerate(models.values()):
        mixture = mixture_of(model, tokenizer, SENTENCES[number_of_sentence])
        expected = mixture["predictions"][prediction]
        table = f"#sentences > div:nth-child({number_of_sentence + 1}) .scroll:nth-child({index + 1})"
        caption = page.find_element("css selector", f"{table} caption").text
        token, logit = re.search(r": “(.*)” has logit (\S+),", caption).groups()
        assert token == readable(expected["token"]) and number(logit) == pytest.approx(expected["logit"], abs=0.0061)
        rows = rows_of(page, f"{table} tbody tr")
        assert [row[0] for row in rows] == [readable(one["token"]) for one in mixture["tokens"][: prediction + 1]]
        for place, row in enumerate(rows):
            values = [expected[quantity][sense][place] for sense in range(model.config.num_senses)]
            assert [number(cell) for cell in row[1:]] == pytest.approx([*values, sum(values)], abs=0.0061)
        ((_, *totals),) = rows_of(page, f"{table} tfoot tr")
        if quantity == "contributions":
            assert number(totals[-1]) == pytest.approx(expected["logit"], abs=0.0061)
        else:
            assert [number(total) for total in totals[:-1]] == pytest.approx([1.0] * model.config.num_senses)


@pytest.mark.parametrize(("sentence", "prediction"), [(0, 0), (0, 5), (1, 3)])
def test_pointing_at_a_token_shows_its_mixture(page, models, tokenizer, sentence, prediction):
    point_at(page, buttons_of(page, sentence)[prediction])
    check_mixture(page, models, tokenizer, sentence, prediction)


def test_the_weights_can_be_shown_instead(page, models, tokenizer):
    point_at(page, buttons_of(page, 0)[4])
    page.find_element("css selector", "input[value=weights]").click()
    check_mixture(page, models, tokenizer, 0, 4, quantity="weights")


def test_tokens_are_shown_as_text_and_nothing_runs(page, tokenizer):
    assert tokenizer.convert_tokens_to_ids(HOSTILE[0]) in tokenizer.encode(SENTENCES[0])
    texts = [button.get_property("textContent") for button in buttons_of(page, 0)]
    assert "".join(texts) == SENTENCES[0]
    type_word(page, HOSTILE[1])
    assert page.find_element("css selector", "#senses caption").text == f"Token “{readable(HOSTILE[1])}”"
    assert page.find_elements("css selector", "img, b, i") == []
    assert page.title == page.find_element("tag name", "h1").text == "Senses <of> it"
    assert page.get_log("browser") == []


def test_the_keyboard_alone_reaches_everything(page, models, tokenizer):
    from selenium.webdriver import Keys

    def press(*keys):
        page.switch_to.active_element.send_keys(*keys)
        return page.switch_to.active_element

    page.find_element("id", "word").click()
    press(Keys.TAB)
    assert press(Keys.TAB) == buttons_of(page, 0)[0]
    check_mixture(page, models, tokenizer, 0, 0)
    press(Keys.ARROW_RIGHT)
    assert press(Keys.ARROW_RIGHT) == buttons_of(page, 0)[2]
    check_mixture(page, models, tokenizer, 0, 2)
    press(Keys.ENTER)
    assert buttons_of(page, 0)[2].get_attribute("aria-pressed") == "true"
    press(Keys.ARROW_LEFT)
    check_mixture(page, models, tokenizer, 0, 2)
    press(Keys.ESCAPE)
    press(Keys.END)
    check_mixture(page, models, tokenizer, 0, len(buttons_of(page, 0)) - 1)
    assert press(Keys.TAB) == buttons_of(page, 1)[0]
    check_mixture(page, models, tokenizer, 1, 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    paper = luminance(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    for selector in ("body", "#found", ".entry small", "th.kind", "#word"):
        style = "return getComputedStyle(document.querySelector(arguments[0])).color"
        ink = luminance(page.execute_script(style, selector))
        assert contrast(ink, paper) >= 4.5, selector
