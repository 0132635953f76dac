"""What tests of the page of senses do in a browser."""


def open_page(driver, url):
    """The page when it has unpacked its data."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    state = "return document.body.dataset.ready || document.getElementById('error').textContent"
    assert WebDriverWait(driver, 30).until(lambda one: one.execute_script(state)) == "yes"
    return driver


def type_word(page, word):
    """Types a word; what the page says of it."""
    field = page.find_element("id", "word")
    field.clear()
    field.send_keys(word)
    return page.find_element("id", "found").text


def rows_of(page, selector):
    """Cells of a table's rows as the page shows them."""
    script = """return Array.from(document.querySelectorAll(arguments[0]), (row) =>
        Array.from(row.children, (cell) => cell.querySelector(".entry")
            ? Array.from(cell.children, (entry) => entry.textContent.trim()) : cell.textContent));"""
    return page.execute_script(script, selector)


def number(text):
    """The value of a number as the page writes it."""
    return float(text.replace("\N{MINUS SIGN}", "-"))


def buttons_of(page, sentence):
    """The tokens of a sentence, those of all lines."""
    return page.find_elements("css selector", f"#sentences > div:nth-child({sentence + 1}) button")


def point_at(page, button):
    """Moves the pointer over a token."""
    from selenium.webdriver import ActionChains

    ActionChains(page).move_to_element(button).perform()
