"""A headless Chromium for the tests of pages. Where there is none, a test is skipped; on CI it fails."""

import os
import shutil
from pathlib import Path

import pytest


def open_browser(*arguments: str, downloads: Path):
    """
    Starts Chromium with a driver that Selenium speaks to.

    Args:
        arguments (`str`): further arguments of Chromium.
        downloads (`Path`): folder that it saves files in.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="the browser test needs selenium")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    program = shutil.which("chromedriver")
    if browser is None or program is None:
        missing = "no Chromium with chromedriver: `make browser` installs them (Debian: chromium and chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # In containers the tests run as root and /dev/shm is small.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *arguments):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(program))


def luminance(colour: str) -> float:
    """
    Relative luminance of a colour (WCAG 2.2).

    Args:
        colour (`str`): as a browser computes it, `rgb(R, G, B)`.
    """
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: float, second: float) -> float:
    """
    Contrast of two luminances (WCAG 2.2), from 1 to 21.

    Args:
        first (`float`), second (`float`): from [`luminance`].
    """
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)
