"""Layout of the page to play with, in Gradio. `page_model.py` computes what it shows, and `tables.py` writes it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import gradio as gr

from sensia.space.page_model import PageModel, Sliders
from sensia.space.tables import CSS, candidate_choices, carriers_table, continuations_text, sentences_table

#: What a column begins with, by language.
EXAMPLES = {"English": "The government said that the", "Indonesian": "Pemerintah mengatakan bahwa"}
TITLE = "Sensia: senses at work"
_ABOUT = """# Sensia: senses at work
A Backpack model predicts the next word by adding up **senses** of the words before it. A sense does not change with
the sentence; only its weight does. Type in either language, choose a next word, and see which senses carry it. Move a
slider to make a sense weaker or stronger, in the whole text or in the words that you name."""

THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="slate")
#: Arguments of `launch` that belong to the layout.
LOOK: dict[str, Any] = {"theme": THEME, "css": CSS}


class Page:
    """
    The page, for a list of models.

    Args:
        loaders (`Mapping[str, Callable[[], PageModel]]`): by name, what loads a model when it is first chosen.
        most_senses (`int`): number of sliders: the largest number of senses of a model of the list.
    """

    def __init__(self, loaders: Mapping[str, Callable[[], PageModel]], most_senses: int):
        self.loaders, self.most_senses = loaders, most_senses
        self._loaded: dict[str, PageModel] = {}

    def build(self) -> gr.Blocks:
        """Returns the page, which `launch(**LOOK)` serves."""
        first = next(iter(self.loaders))
        languages = self._model(first).languages
        with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
            gr.Markdown(_ABOUT)
            name = gr.Dropdown(list(self.loaders), value=first, label="Model", elem_id="model")
            columns = [_Column(side) for side in (0, 1)]
            with gr.Row():
                for column in columns:
                    column.write(self._model(first))
            words = gr.Textbox(label="Words whose senses the sliders scale (empty: all words)", elem_id="words")
            with gr.Row(elem_id="sliders"):
                sliders = [self._slider(sense, first) for sense in range(self.most_senses)]
            reset = gr.Button("Set all sliders to 1", elem_id="reset")
            with gr.Row():
                for column in columns:
                    column.read(languages)
            self._connect(page, name, columns, [words, *sliders], reset)
        return page

    def _slider(self, sense: int, name: str) -> gr.Slider:
        visible = sense < self._model(name).num_senses
        look: dict[str, Any] = {"min_width": 160, "buttons": [], "elem_id": f"sense-{sense}", "visible": visible}
        return gr.Slider(0, 3, 1, step=0.1, label=f"Sense {sense}", **look)

    def _connect(self, page: gr.Blocks, name, columns: list["_Column"], turned: list, reset: gr.Button):
        """Says what is computed again after which input. Of quick inputs, the last one counts."""
        live: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden"}
        both: dict[str, Any] = {
            "fn": self._show_both,
            "inputs": [name, *(column.text for column in columns), *turned],
            "outputs": [output for column in columns for output in column.outputs],
        }
        page.load(**both)
        gr.on([control.input for control in turned], **both, **live)
        renamed = [each for column in columns for each in (column.text, column.search)]
        name.change(self._choose, name, renamed + turned[1:]).then(**both)
        ones = [1] * self.most_senses
        reset.click(lambda: ones, None, turned[1:], show_progress="hidden").then(**both, show_progress="hidden")
        for column in columns:
            column.text.input(self._show, [name, column.text, *turned], column.outputs, **live)
            chosen = [name, column.text, column.candidates, *turned]
            column.candidates.input(self._explain, chosen, column.carriers, show_progress="hidden")
            search = partial(self._search, side=column.side)
            gr.on([column.text.submit, column.search.click], search, [name, column.text], column.sentences)

    def _model(self, name: str) -> PageModel:
        if name not in self._loaded:
            self._loaded[name] = self.loaders[name]()
        return self._loaded[name]

    def _choose(self, name: str) -> list:
        model = self._model(name)
        sides = [
            update
            for side, language in enumerate(model.languages)
            for update in (gr.update(label=_text_in(language)), gr.update(value=_search_in(model.languages[1 - side])))
        ]
        return sides + [gr.update(visible=sense < model.num_senses) for sense in range(self.most_senses)]

    def _show_both(self, name: str, first: str, second: str, *turned) -> list:
        return [output for text in (first, second) for output in self._show(name, text, *turned)]

    def _show(self, name: str, text: str, words: str, *factors: float) -> list:
        model = self._model(name)
        with _told():
            sliders = Sliders(factors[: model.num_senses], words)
            found = model.explain(text, sliders)
            continuations = model.continuations(text, sliders)
        choices = gr.update(choices=candidate_choices(found), value=found.chosen["id"])
        return [choices, self._carriers(model, found), continuations_text(text, *continuations)]

    def _explain(self, name: str, text: str, token_id: int, words: str, *factors: float) -> str:
        model = self._model(name)
        with _told():
            return self._carriers(model, model.explain(text, Sliders(factors[: model.num_senses], words), token_id))

    def _carriers(self, model: PageModel, found) -> str:
        ids = [found.tokens[one["place"]]["id"] for one in found.strongest(8)]
        return carriers_table(found, model.name_senses(ids), model.languages)

    def _search(self, name: str, text: str, side: int) -> str:
        model = self._model(name)
        with _told():
            found = model.nearest(text, side)
        return sentences_table(found, (model.languages[1 - side], model.languages[side]))


class _Column:
    """One language: its text and continuations, and below the sliders the next words and the nearest sentences."""

    def __init__(self, side: int):
        self.side = side

    def write(self, model: PageModel):
        """The part for typing, with its continuations."""
        language = model.languages[self.side]
        example = EXAMPLES.get(language) or " ".join(model.sentences[self.side][0].split()[:4])
        with gr.Column(min_width=300):
            self.text = gr.Textbox(example, label=_text_in(language), lines=1, elem_id=f"text-{self.side}")
            self.continuation = gr.HTML(elem_id=f"continuation-{self.side}")

    def read(self, languages: tuple[str, str]):
        """The part that shows the model's reading of the text."""
        with gr.Column(min_width=300):
            self.candidates = gr.Radio([], label="Next word", elem_id=f"next-{self.side}")
            self.carriers = gr.HTML(elem_id=f"carriers-{self.side}")
            self.search = gr.Button(_search_in(languages[1 - self.side]), elem_id=f"search-{self.side}")
            self.sentences = gr.HTML(elem_id=f"sentences-{self.side}")

    @property
    def outputs(self) -> list:
        """All that follows from the text."""
        return [self.candidates, self.carriers, self.continuation]


def _text_in(language: str) -> str:
    return f"Text in {language}"


def _search_in(language: str) -> str:
    return f"Nearest sentences in {language}"


@contextmanager
def _told() -> Iterator[None]:
    """Wrong input is shown on the page, in one line."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(" ".join(str(error).split()), print_exception=False) from None
