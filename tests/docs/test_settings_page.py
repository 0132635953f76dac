"""The page of settings is that of the code."""

import pytest
from transformers import TrainingArguments

from docs.settings_page import PAGE, SECTIONS, own_settings, settings_page


def test_the_page_is_as_the_code_writes_it():
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `python docs/settings_page.py`"


@pytest.mark.parametrize("command", SECTIONS)
def test_every_own_setting_says_what_it_means(command):
    of_transformers = TrainingArguments.__dataclass_fields__
    settings = [each for kind in SECTIONS[command][1] for each in own_settings(kind)]
    silent = [each.name for each in settings if not each.metadata.get("help") and each.name not in of_transformers]
    assert settings and not silent
