"""Old names of settings, which go on working, with a warning, for one release."""

import functools

from transformers.utils import logging

logger = logging.get_logger(__name__)

#: New name of each old one. Those of 0.1 are accepted until 0.3.
RENAMED_SETTINGS = {"share_rows": "packing"}


def current_name(name: str) -> str:
    """
    Returns the name that a setting has now, and warns where it was another.

    Args:
        name (`str`): as given by the user.
    """
    new = RENAMED_SETTINGS.get(name)
    if new is None:
        return name
    logger.warning(f"The setting `{name}` is called `{new}` now: the old name will be refused in a later version.")
    return new


def accepts_old_names(settings_class: type) -> type:
    """Class decorator: the constructor of a dataclass of settings takes old names too."""
    original = settings_class.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def __init__(self, *args, **settings):
        original(self, *args, **{current_name(name): value for name, value in settings.items()})

    settings_class.__init__ = __init__  # type: ignore[misc]
    return settings_class
