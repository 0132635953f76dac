"""Settings of the page to play with."""

from dataclasses import dataclass, field

from sensia.bundled import find_asset
from sensia.corpora import find_language
from sensia.trainers.setting_ranges import check_counts, check_languages, check_names

#: Stands in the name of the bitext for the code of a model's target language.
TARGET = "{target}"
_MODELS = ["id=examples/assets/backpack-id-mini", "id=examples/assets/backpack-en-mini"]


@dataclass
class SpaceArguments:
    """Settings of `sensia space`: the models and sentences of the page, and where it is served or pushed to."""

    models: list[str] = field(
        default_factory=_MODELS.copy,
        metadata={"help": "Models to choose from, each LANGUAGE=MODEL: target language, Hub id or folder."},
    )
    source_language: str = field(default="en", metadata={"help": "Code of the source language of all models."})
    bitext: str = field(
        default="examples/assets/bitext/en-{target}.ntrex-dev.parquet",
        metadata={"help": "Sentence pairs to search in; {target} stands for the target language."},
    )
    max_sentences: int = field(default=1000, metadata={"help": "Pairs of the bitext, from its beginning."})
    port: int | None = field(
        default=None, metadata={"help": "Port of the page. If not given, the first free one from 7860."}
    )
    push: str | None = field(default=None, metadata={"help": "Push the page to this Space, ORG/NAME, and end."})
    private: bool = field(default=False, metadata={"help": "Make a new Space private."})

    def __post_init__(self):
        check_names(self, "source_language", "bitext", "push")
        check_languages(self, "source_language")
        check_counts(self, "max_sentences", "port")
        if not self.models:
            raise ValueError("`models` names no model; expected LANGUAGE=MODEL, for example id=org/sensia-id.")
        self.models = [find_asset(entry) for entry in self.models]
        self.bitext = find_asset(self.bitext)
        parts = self.named_models
        for part in parts:
            if parts.count(part) > 1:
                raise ValueError(f"`models` holds {'='.join(part)} twice.")

    @property
    def named_models(self) -> list[tuple[str, str]]:
        """`list[tuple[str, str]]`: target language and model of each entry."""
        return [_parts(entry) for entry in self.models]

    def bitext_of(self, language: str) -> str:
        """
        The sentence pairs of a target language.

        Args:
            language (`str`): its code.
        """
        return self.bitext.replace(TARGET, language)


def _parts(entry: str) -> tuple[str, str]:
    language, equals, model = entry.partition("=")
    if not (language and equals and model):
        raise ValueError(f"`models` holds {entry!r}; expected LANGUAGE=MODEL, for example id=org/sensia-id.")
    find_language(language)
    return language, model
