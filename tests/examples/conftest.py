"""The browser that tests of pages share."""

import pytest
from browser import open_browser


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Folder that the browser saves files in."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads):
    """A browser of the size of a desk's screen."""
    started = open_browser("--window-size=1300,1000", downloads=downloads)
    yield started
    started.quit()
