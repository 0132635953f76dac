"""Lower case in which words stay whole."""


def lowered(text: str) -> str:
    """
    A text in lower case. The Turkish capital I with a dot becomes the letter i: Python makes it an i and a combining
    dot, which is no letter and breaks a word apart.

    Args:
        text (`str`): the text.
    """
    return text.replace("\u0130", "i").lower()
