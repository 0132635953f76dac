"""The page of senses for a base model and a model whose tokenizer extends the base's."""

import pytest
from browser import contrast, luminance
from example_scripts import load_example
from senses_pages import buttons_of, number, open_page, point_at, rows_of, type_word
from small_backpacks import BITEXT, small_backpack

from sensia.corpora import read_pairs
from sensia.corpora.tokenizer_extension import extend_tokenizer
from sensia.evaluation.senses.inspection import mixture_of, readable, senses_of, token_text
from sensia.evaluation.senses.senses_page import ShownModel, count_use, page_data
from sensia.trainers.pretraining import train_tokenizer

TOP = 3
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def shown():
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(60))
    sides = rows["source"], rows["target"]
    base = train_tokenizer(rows["source"], 400)
    tokenizers = {"base": base, "adapted": extend_tokenizer(base, *sides, 40).tokenizer}
    return {
        name: ShownModel(small_backpack(tokenizer, 4, 0), tokenizer, count_use(tokenizer, *sides, ("en", "id")))
        for name, tokenizer in tokenizers.items()
    }


@pytest.fixture(scope="module")
def new_word(shown):
    """A word that is one new token of the extended tokenizer."""
    tokenizer = shown["adapted"].tokenizer
    texts = [token_text(tokenizer, one) for one in range(400, 440)]
    return next(text[1:] for text in texts if text.startswith(" ") and text[1:].isalpha() and len(text) > 3)


@pytest.fixture(scope="module")
def sentences(new_word):
    """The tokenizers cut the first one differently, and the second one alike."""
    return [f"the {new_word}", "the to"]


@pytest.fixture(scope="module")
def url(shown, sentences, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "senses.html"
    data = page_data(shown, top=TOP, sentences=sentences, word="the")
    load_example("inspect_senses").write_page(path, data, "Senses")
    return path.as_uri()


@pytest.fixture
def page(driver, url):
    return open_page(driver, url)


def tokens_of(one, word):
    return senses_of(one.model, one.tokenizer, word, TOP, one.use.target_tokens)["tokens"]


def check_column(rows, column, token):
    """The tokens in a column of a table are those of the senses of a token."""
    names = ("strongest_source", "strongest_target", "suppressed")
    for place, row in enumerate(rows):
        expected = token["senses"][place // 3][names[place % 3]]
        entries = [entry.rsplit(" ", 1)[0] for entry in row[column]]
        assert entries == [readable(entry["token"]) for entry in expected]


def test_a_word_that_is_cut_alike_has_one_table_for_both(page, shown):
    assert type_word(page, "to") == "“to” is one token."
    assert rows_of(page, "#senses thead tr") == [["", "base", "adapted"]]
    rows = rows_of(page, "#senses tbody tr")
    for column, one in ((-2, shown["base"]), (-1, shown["adapted"])):
        check_column(rows, column, tokens_of(one, "to")[0])


def test_a_word_that_is_cut_differently_has_tables_for_each_model(page, shown, new_word):
    found = {name: tokens_of(one, new_word) for name, one in shown.items()}
    assert len(found["base"]) > len(found["adapted"]) == 1
    expected = f"“{new_word}” is {len(found['base'])} tokens in base and one token in adapted."
    assert type_word(page, new_word) == expected
    for group, (name, tokens) in enumerate(found.items(), 1):
        view = f"#senses > div:nth-child({group})"
        assert rows_of(page, f"{view} thead tr") == [["", name]] * len(tokens)
        for place, token in enumerate(tokens, 1):
            check_column(rows_of(page, f"{view} .scroll:nth-child({place}) tbody tr"), -1, token)


def test_a_sentence_that_is_cut_differently_has_a_line_for_each_model(page, shown, sentences):
    names = page.find_elements("css selector", "#sentences > div:nth-child(1) .cut")
    assert [name.text for name in names] == ["base", "adapted"]
    lines = page.find_elements("css selector", "#sentences > div:nth-child(1) .sentence")
    for line, one in zip(lines, shown.values(), strict=True):
        mixture = mixture_of(one.model, one.tokenizer, sentences[0])
        texts = [button.get_property("textContent") for button in line.find_elements("css selector", "button")]
        assert texts == [token["token"] for token in mixture["tokens"][1:]]


def test_a_sentence_that_is_cut_alike_has_one_line_for_both(page):
    point_at(page, buttons_of(page, 1)[0])
    captions = page.find_elements("css selector", "#sentences > div:nth-child(2) caption")
    assert [caption.text.split(":")[0] for caption in captions] == ["base", "adapted"]
    assert len(page.find_elements("css selector", "#sentences > div:nth-child(2) .sentence")) == 1


def test_a_line_shows_the_mixture_of_its_model_alone(page, shown, sentences):
    one = shown["adapted"]
    mixture = mixture_of(one.model, one.tokenizer, sentences[0])
    point_at(page, buttons_of(page, 0)[-1])
    rows = rows_of(page, "#sentences > div:nth-child(1) > div:last-child tbody tr")
    expected = mixture["predictions"][-1]["contributions"]
    assert [row[0] for row in rows] == [readable(token["token"]) for token in mixture["tokens"][:-1]]
    for place, row in enumerate(rows):
        assert [number(cell) for cell in row[1:-1]] == pytest.approx([sense[place] for sense in expected], abs=0.0061)


def test_tab_goes_from_the_line_of_one_model_to_that_of_the_other(page):
    from selenium.webdriver import Keys

    page.find_elements("css selector", "input[name=quantity]")[0].click()
    for line in page.find_elements("css selector", "#sentences > div:nth-child(1) .sentence"):
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == line.find_elements("css selector", "button")[0]


def test_the_page_fits_a_phone(page, new_word):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        type_word(page, new_word)
        buttons_of(page, 0)[0].click()
        assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_names_of_the_models_stand_out_in_light_and_dark(page, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    paper = luminance(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    ink = page.execute_script("return getComputedStyle(document.querySelector('.cut')).color")
    assert contrast(luminance(ink), paper) >= 4.5
