"""Serves the page to play with, on which the senses of a model are seen and turned; or pushes it as a Space.

    sensia space
    sensia space --models id=runs/sensia-id-mini/final sw=org/sensia-sw
    sensia space --push org/name

Needs `pip install 'sensia[space]'`. The page opens at the address that is printed.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modeling_sensia import BackpackConfig
from modeling_sensia.model_sources import model_source
from sensia.space.page_model import PageModel
from sensia.space.publishing import local_name, push_space
from sensia.space.settings import SpaceArguments
from sensia.trainers import parse_arguments
from sensia.trainers.command_ends import exit_on_input_error

if TYPE_CHECKING:
    from sensia.space.page import Page


def make_page(args: SpaceArguments) -> "Page":
    """
    The page of these settings. Its first model is loaded when the page is built, the others when they are chosen.

    Args:
        args ([`SpaceArguments`]): the settings.

    Raises:
        OSError, ValueError: if a model cannot be found or is no Backpack, or Gradio is missing.
    """
    # Gradio asks other servers for news of itself unless it is told not to.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        from sensia.space.page import Page
    except ImportError as error:
        if error.name != "gradio":
            raise
        raise ValueError("The page needs Gradio: `pip install 'sensia[space]'`.") from None
    loaders = {}
    for language, model in args.named_models:
        languages = (args.source_language, language)
        load = partial(PageModel.load, model, languages, args.bitext_of(language), args.max_sentences)
        loaders[shown_name(language, model)] = load
    senses = [BackpackConfig.from_pretrained(model_source(model)).num_senses for _, model in args.named_models]
    return Page(loaders, max(senses))


def shown_name(language: str, model: str) -> str:
    """
    Name of a model in the list.

    Args:
        language (`str`): code of its target language.
        model (`str`): Hub id or folder.
    """
    return f"{local_name(model) if Path(model).is_dir() else model} (en, {language})"


def main():
    (args,) = parse_arguments(SpaceArguments, description=__doc__)
    if args.push is not None:
        print(f"Pushed: {push_space(args).commit_url}")
        return
    page = make_page(args).build()
    from sensia.space.page import LOOK

    page.launch(server_port=args.port, ssr_mode=False, **LOOK)


def run():
    """Carries out the command; wrong input ends it with one line."""
    with exit_on_input_error(Path(sys.argv[0]).name):
        main()


if __name__ == "__main__":
    run()
