"""Readers of multiple-choice data sets in their published formats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sensia.corpora import find_language
from sensia.evaluation.tasks.choices import Choice

#: Connectors between premise and answer in XCOPA, by language and type of question (cause or effect): those of
#: EleutherAI's lm-evaluation-harness (lm_eval/tasks/xcopa) for the 11 languages of XCOPA, and English.
XCOPA_CONNECTORS = {
    "en": {"cause": "because", "effect": "so"},
    "et": {"cause": "sest", "effect": "seetõttu"},
    "ht": {"cause": "poukisa", "effect": "donk sa"},
    "id": {"cause": "karena", "effect": "maka"},
    "it": {"cause": "perché", "effect": "quindi"},
    "qu": {"cause": "imataq", "effect": "chaymi"},
    "sw": {"cause": "kwa sababu", "effect": "kwa hiyo"},
    "ta": {"cause": "காரணமாக", "effect": "எனவே"},
    "th": {"cause": "เพราะ", "effect": "ดังนั้น"},
    "tr": {"cause": "çünkü", "effect": "bu yüzden"},
    "vi": {"cause": "bởi vì", "effect": "vì vậy"},
    "zh": {"cause": "因为", "effect": "所以"},
}
# Sentence ends in Latin and Chinese script.
_SENTENCE_ENDS = ".!?\u3002\uff01\uff1f"
_LETTERS = ("A", "B", "C", "D")
_CHINESE_COMMA = "\uff0c"
# Turkish has two letters, dotted and dotless i.
_TURKISH_CAPITALS = {"I": "\u0131", "\u0130": "i"}


def read_choices(rows: Sequence[Mapping[str, Any]], form: str, language: str | None = None) -> list[Choice]:
    """
    Converts rows of a known format to questions.

    - `xcopa` (`premise`, `choice1`, `choice2`, `question`, `label` from 0): the premise without its full stop, the
      language's connector for cause or effect, and a choice whose first letter is in lower case. The neutral context
      is the connector alone. In Chinese a comma without a space comes before the connector.
    - `indocloze` (`context`, a list of four sentences; `ending1`, `ending2`; `label` from 0): the sentences and an
      ending. A full stop is added to sentences without one.
    - `xstorycloze` (`input_sentence_1` to `_4`, `sentence_quiz1`, `sentence_quiz2`, `answer_right_ending` from 1; or
      the names in the original files, `InputSentence1` ...): as for `indocloze`.
    - `belebele` (`flores_passage`, `question`, `mc_answer1` to `4`, `correct_answer_num` from 1): passage, `Q:` and
      the question, `A:` and the text of an answer. The neutral context is `A:`.
    - `belebele_letters`: the same rows as lm-evaluation-harness asks them: `P:` and the passage, `Q:` and the
      question, the answers as `A:` to `D:`, then `Answer:` and a letter. The neutral context is `Answer:`.
    - `choices` (`context`, `answers`, `label` from 0, optionally `neutral`): any other data, in the fields of
      [`Choice`].

    Args:
        rows (`Sequence[Mapping]`): the rows.
        form (`str`): one of these names.
        language (`str`, *optional*): language code, needed for `xcopa` only.

    Returns:
        `list[Choice]`: one for each row.

    Raises:
        ValueError: for an unknown format or language, or a row with a missing or wrong field; names the row and field.
    """
    if form not in _FORMS:
        raise ValueError(f"The format must be one of {', '.join(_FORMS)}, got {form!r}.")
    make = _xcopa(language) if form == "xcopa" else _FORMS[form]
    items = []
    for number, row in enumerate(rows, 1):
        try:
            items.append(make(row))
        except KeyError as error:
            raise ValueError(f"Row {number} of {form}: no field {error}, only {sorted(row)}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"Row {number} of {form}: {error}") from error
    return items


def _xcopa(language: str | None) -> Callable[[Mapping[str, Any]], Choice]:
    code = find_language(language).iso1 if language else None
    connectors = XCOPA_CONNECTORS.get(code or "")
    if connectors is None:
        raise ValueError(
            f"There are connectors for XCOPA in {', '.join(XCOPA_CONNECTORS)}, none for {language!r}: write the "
            "questions out as `choices`."
        )

    def make(row: Mapping[str, Any]) -> Choice:
        if row["question"] not in connectors:
            raise ValueError(f"`question` must be 'cause' or 'effect', got {row['question']!r}")
        connector = connectors[row["question"]]
        premise = row["premise"].strip().rstrip(_SENTENCE_ENDS)
        context = f"{premise}{_CHINESE_COMMA}{connector}" if code == "zh" else f"{premise} {connector}"
        answers = tuple(_lower_first(row[name].strip(), code) for name in ("choice1", "choice2"))
        return Choice(context, answers, int(row["label"]), connector)

    return make


def _lower_first(text: str, code: str | None) -> str:
    first = text[:1]
    lower = _TURKISH_CAPITALS.get(first) if code == "tr" else None
    return (lower or first.lower()) + text[1:]


def _story(sentences: Sequence[str]) -> str:
    if not isinstance(sentences, list | tuple) or not all(isinstance(each, str) for each in sentences):
        raise ValueError(f"the context must be a list of sentences, got {sentences!r}")
    closed = [text if text[-1:] in _SENTENCE_ENDS else f"{text}." for text in map(str.strip, sentences)]
    return " ".join(closed)


def _indocloze(row: Mapping[str, Any]) -> Choice:
    endings = row["ending1"].strip(), row["ending2"].strip()
    return Choice(_story(row["context"]), endings, int(row["label"]))


def _xstorycloze(row: Mapping[str, Any]) -> Choice:
    if "InputSentence1" in row:
        sentences = [row[f"InputSentence{number}"] for number in range(1, 5)]
        endings = row["RandomFifthSentenceQuiz1"], row["RandomFifthSentenceQuiz2"]
        right = row["AnswerRightEnding"]
    else:
        sentences = [row[f"input_sentence_{number}"] for number in range(1, 5)]
        endings, right = (row["sentence_quiz1"], row["sentence_quiz2"]), row["answer_right_ending"]
    return Choice(_story(sentences), tuple(map(str.strip, endings)), int(right) - 1)


def _belebele(row: Mapping[str, Any]) -> Choice:
    context = f"{row['flores_passage'].strip()}\nQ: {row['question'].strip()}\nA:"
    answers = tuple(row[f"mc_answer{number}"].strip() for number in range(1, 5))
    return Choice(context, answers, int(row["correct_answer_num"]) - 1, "A:")


def _belebele_letters(row: Mapping[str, Any]) -> Choice:
    listed = "".join(f"{letter}: {row[f'mc_answer{place}']}\n" for place, letter in enumerate(_LETTERS, 1))
    context = f"P: {row['flores_passage']}\nQ: {row['question'].strip()}\n{listed}Answer:"
    return Choice(context, _LETTERS, int(row["correct_answer_num"]) - 1, "Answer:")


def _generic(row: Mapping[str, Any]) -> Choice:
    answers = row["answers"]
    texts = isinstance(answers, list | tuple) and all(isinstance(each, str) for each in answers)
    if not texts or not isinstance(row["label"], int):
        raise ValueError("`answers` must be a list of texts and `label` a whole number")
    return Choice(row["context"], tuple(row["answers"]), row["label"], row.get("neutral") or "")


_FORMS: dict[str, Callable[[Mapping[str, Any]], Choice]] = {
    "xcopa": _xcopa("en"),
    "indocloze": _indocloze,
    "xstorycloze": _xstorycloze,
    "belebele": _belebele,
    "belebele_letters": _belebele_letters,
    "choices": _generic,
}
#: Formats that [`read_choices`] reads.
CHOICE_FORMS = tuple(_FORMS)
