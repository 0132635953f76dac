"""The page for annotators in a real browser: what they choose comes back in the file that is scored."""

import time

import pytest
from example_scripts import load_example

from sensia.evaluation.senses.ambiguous_words import AmbiguousWord
from sensia.evaluation.senses.annotation import read_annotations, score_agreement, translated_meanings

SOURCES = [f"Save the <b>file</b> {place}." for place in range(12)]
WORDS = [AmbiguousWord("file", "berkas", "kikir", (tuple(range(6)), tuple(range(6, 12))))]
WORDS += [AmbiguousWord("save", "simpan", "selamat", (tuple(range(6)), tuple(range(6, 12))))]


@pytest.mark.slow
def test_what_is_chosen_comes_back_and_is_scored(driver, downloads, tmp_path):
    path = tmp_path / "anna.html"
    load_example("study_senses").annotate(path, WORDS, SOURCES, 0)
    driver.get(path.as_uri())
    groups = driver.find_elements("tag name", "fieldset")
    assert len(groups) == 2 and all(group.find_element("tag name", "strong").text for group in groups)
    for group in groups:
        group.find_element("css selector", "input[value='1']").click()
    groups[1].find_element("css selector", "input[value='1']").send_keys("0")
    assert driver.find_element("id", "done").text == "2 of 2 answered."
    driver.find_element("id", "save").click()
    saved = downloads / "anna.tsv"
    for _ in range(100):
        if saved.exists() and saved.read_text(encoding="utf-8"):
            break
        time.sleep(0.1)
    assert sorted(read_annotations(saved).values()) == ["1", "?"]
    assert score_agreement(read_annotations(saved), translated_meanings(WORDS))["items"] == 2
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
