"""Hook of mkdocs: fits the links of pages and docstrings, which are written for the repository, to the site."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:]+)\)")
_NAME = re.compile(r"\[<code>([\w.]+)</code>\]")
_TYPE = re.compile(r"<td>\s*<code>([^<]*)</code>")
_HEADING = re.compile(r'<h\d id="([\w.]+)"')


def on_page_markdown(markdown: str, page: Any, config: Any, **_) -> str:
    """
    Writes a link to a folder, or to a file that is not part of the site, as text.

    The target must exist. A link to nothing stays, so that the strict build reports it.

    Args:
        markdown (`str`): the page.
        page (`mkdocs.structure.pages.Page`): where it comes from.
        config (`mkdocs.config.Config`): names the folder of the pages.
    """
    pages = Path(config.docs_dir)

    def fit(match: re.Match) -> str:
        target = Path(page.file.abs_src_path).parent.joinpath(match[2]).resolve()
        leaves_the_site = target.is_dir() or (target.exists() and not target.is_relative_to(pages))
        return match[1] if leaves_the_site else match[0]

    return _LINK.sub(fit, markdown)


def on_page_content(html: str, **_) -> str:
    """
    Links the names that docstrings write as [`Name`] to their heading on the page; the others become code.

    The types of arguments are code already: their own marks are removed.

    Args:
        html (`str`): the page.
    """
    headings = {heading.rsplit(".", 1)[-1]: heading for heading in _HEADING.findall(html)}

    def link(match: re.Match) -> str:
        heading = headings.get(match[1].rsplit(".", 1)[-1])
        code = f"<code>{match[1]}</code>"
        return f'<a href="#{heading}">{code}</a>' if heading else code

    html = _TYPE.sub(lambda match: re.sub(r"[`*\[\]]", "", match[0]), html)
    return _NAME.sub(link, html)
