"""The page to play with in a real browser, against what its models say."""

import pytest
from browser import contrast, luminance
from small_backpacks import BITEXT, HOSTILE, small_backpack, small_tokenizer

from sensia.corpora import read_pairs
from sensia.evaluation.senses.inspection import readable
from sensia.space.page_model import PageModel, Sliders

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
FIRST, SECOND = "first (en, id)", "second (en, id)"


@pytest.fixture(scope="module")
def models():
    tokenizer = small_tokenizer()
    rows = read_pairs(BITEXT, source_language="en", target_language="id").select(range(20))
    sentences = list(rows["source"]), list(rows["target"])
    languages = ("English", "Indonesian")
    return {
        FIRST: PageModel(small_backpack(tokenizer, 3, 0), tokenizer, languages, sentences),
        SECOND: PageModel(small_backpack(tokenizer, 2, 1), tokenizer, languages, sentences),
    }


@pytest.fixture(scope="module")
def url(models):
    pytest.importorskip("gradio", reason="the page needs gradio")
    from sensia.space.page import LOOK, Page

    blocks = Page({name: (lambda model=model: model) for name, model in models.items()}, 3).build()
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, **LOOK)
    yield address
    blocks.close()


def wait_for(page, condition, seconds=30):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, seconds, 0.05, [StaleElementReferenceException]).until(condition)


@pytest.fixture
def page(driver, url):
    driver.get(url)
    wait_for(driver, lambda one: len(one.find_elements("css selector", ".senses-table")) == 2)
    return driver


def field(page, name):
    return page.find_element("css selector", f"#{name} input, #{name} textarea")


def text_of(page, name):
    return page.find_element("id", name).get_property("textContent")


def caption(page, side):
    return page.find_element("css selector", f"#carriers-{side} caption").get_property("textContent")


def press(page, *keys):
    page.switch_to.active_element.send_keys(*keys)
    return page.switch_to.active_element


def type_text(page, name, text):
    from selenium.webdriver import Keys

    field(page, name).click()
    press(page, Keys.CONTROL, "a")
    press(page, text)


def expect_prediction(page, model, side, text, sliders=None, token_id=None):
    """Waits until the column shows this explanation, with its strongest sense in the first row."""
    found = model.explain(text, sliders or Sliders(), token_id)
    logit = f"{found.chosen['logit']:.2f}".replace("-", "\N{MINUS SIGN}")
    start = f"“{readable(found.chosen['token'])}” has logit {logit} "
    wait_for(page, lambda one: caption(one, side).startswith(start))
    (best,) = found.strongest(1)
    cells = page.find_elements("css selector", f"#carriers-{side} tbody tr:first-child td")
    sense, weight, _, adds = (cell.text.replace("\N{MINUS SIGN}", "-") for cell in cells[:4])
    assert (sense, weight) == (f"{best['sense']}", f"{best['weight']:.3f}")
    assert adds == f"{best['contribution']:.2f}"
    return found


def test_a_typed_text_is_explained_in_its_column(page, models):
    type_text(page, "text-1", "Simpan berkas")
    expect_prediction(page, models[FIRST], 1, "Simpan berkas")
    type_text(page, "text-0", "Save the file")
    expect_prediction(page, models[FIRST], 0, "Save the file")
    plain, _ = models[FIRST].continuations("Save the file", Sliders())
    assert f"Save the file{plain}" in text_of(page, "continuation-0")


def test_another_next_word_is_explained_when_it_is_chosen(page, models):
    from selenium.webdriver import Keys

    type_text(page, "text-0", "Save it")
    found = expect_prediction(page, models[FIRST], 0, "Save it")
    page.find_elements("css selector", "#next-0 input")[1].send_keys(Keys.SPACE)
    expect_prediction(page, models[FIRST], 0, "Save it", token_id=found.candidates[1]["id"])


def test_a_slider_changes_the_continuation_at_once(page, models):
    from selenium.webdriver import Keys

    type_text(page, "text-0", "Save the file")
    expect_prediction(page, models[FIRST], 0, "Save the file")
    page.find_element("css selector", "#sense-1 input[type=range]").send_keys(Keys.HOME)
    sliders = Sliders((1.0, 0.0, 1.0))
    expect_prediction(page, models[FIRST], 0, "Save the file", sliders)
    plain, steered = models[FIRST].continuations("Save the file", sliders)
    assert plain != steered
    wait_for(page, lambda one: f"With the slidersSave the file{steered}" in text_of(one, "continuation-0"))
    assert f"Without the slidersSave the file{plain}With" in text_of(page, "continuation-0")
    page.find_element("id", "reset").click()
    expect_prediction(page, models[FIRST], 0, "Save the file")


def test_sliders_scale_the_named_words_alone(page, models):
    from selenium.webdriver import Keys

    type_text(page, "text-0", "Save the file")
    type_text(page, "words", "file")
    page.find_element("css selector", "#sense-0 input[type=range]").send_keys(Keys.END)
    expect_prediction(page, models[FIRST], 0, "Save the file", Sliders((3.0, 1.0, 1.0), "file"))


def test_the_nearest_sentences_are_of_the_other_language(page, models):
    text = models[FIRST].sentences[1][3]
    type_text(page, "text-1", text)
    page.find_element("id", "search-1").click()
    wait_for(page, lambda one: one.find_elements("css selector", "#sentences-1 tbody tr"))
    rows = page.find_elements("css selector", "#sentences-1 tbody tr")
    expected = models[FIRST].nearest(text, side=1)
    assert [row.find_elements("tag name", "td")[1].get_property("textContent") for row in rows] == [
        one.text for one in expected
    ]


def test_wrong_input_is_told_on_the_page(page):
    from selenium.webdriver import Keys

    type_text(page, "text-0", Keys.BACKSPACE)
    page.find_element("id", "search-0").click()
    wait_for(page, lambda one: "There is no text to search with" in one.find_element("tag name", "body").text)


def test_another_model_is_chosen_from_the_list(page, models):
    type_text(page, "text-0", "Save it")
    field(page, "model").click()
    options = wait_for(page, lambda one: one.find_elements("css selector", "[role=option]"))
    next(one for one in options if SECOND in one.text).click()
    expect_prediction(page, models[SECOND], 0, "Save it")
    wait_for(page, lambda one: not one.find_elements("css selector", "#sense-2 input"))


def test_text_is_shown_and_never_run(page, models):
    hostile = "".join(HOSTILE)
    type_text(page, "text-0", hostile)
    expect_prediction(page, models[FIRST], 0, hostile)
    assert f"Without the sliders{hostile}" in text_of(page, "continuation-0")
    assert page.find_elements("css selector", "#continuation-0 img, #carriers-0 img, #continuation-0 script") == []


def test_the_keyboard_alone_reaches_everything(page):
    from selenium.webdriver import Keys

    field(page, "model").click()
    press(page, Keys.ESCAPE)
    wanted = ["text-0", "text-1", "words", "sense-0", "sense-2", "reset", "next-0", "carriers-0", "search-0"]
    wanted += ["next-1", "carriers-1", "search-1"]
    script = "return arguments[0].find((id) => document.getElementById(id).contains(document.activeElement))"
    reached = []
    for _ in range(40):
        press(page, Keys.TAB)
        reached.append(page.execute_script(script, wanted))
    assert [one for one in dict.fromkeys(reached) if one] == wanted


def test_the_page_fits_a_phone(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        page.refresh()
        wait_for(page, lambda one: len(one.find_elements("css selector", ".senses-table")) == 2)
        assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
        for name in ("text-0", "sense-0", "next-1", "search-1"):
            right = page.execute_script(
                "return document.getElementById(arguments[0]).getBoundingClientRect().right", name
            )
            assert right <= PHONE["width"], name
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(driver, url, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get(url)
    wait_for(driver, lambda one: len(one.find_elements("css selector", ".senses-table")) == 2)
    background = "return getComputedStyle(document.querySelector('gradio-app, body')).backgroundColor"
    paper = luminance(driver.execute_script(background))
    assert (paper > 0.5) == (scheme == "light")
    for selector in ("h1", "#carriers-0 caption", "#carriers-0 td", "#continuation-0 p", "#next-0 label span"):
        style = "return getComputedStyle(document.querySelector(arguments[0])).color"
        assert contrast(luminance(driver.execute_script(style, selector)), paper) >= 4.5, selector


def test_nothing_is_asked_of_another_server(page, url):
    names = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert names and [one for one in names if not one.startswith((url, "data:", "blob:"))] == []
