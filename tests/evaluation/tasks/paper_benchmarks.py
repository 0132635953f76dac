"""Small copies of the benchmarks of the paper: the data sets' names, configurations, splits, columns; made-up rows."""

import json
from pathlib import Path

TOPICS = ("geography", "health", "sports")
WORDS = {
    "eng_Latn": ("open", "file", "virus", "window", "yes", "no"),
    "swh_Latn": ("fungua", "faili", "virusi", "dirisha", "ndiyo", "hapana"),
    "zho_Hans": ("打开", "文件", "病毒", "窗口", "是", "否"),
    "kor_Hang": ("열다", "파일", "바이러스", "창", "예", "아니오"),
    "ind_Latn": ("buka", "berkas", "virus ini", "jendela", "ya", "tidak"),
}


def sentence(tag: str, number: int) -> str:
    words = WORDS[tag]
    return f"{words[number % 6]} {words[(number * 5 + 1) % 6]} {number}"


def copa(tag: str, rows: int = 8) -> list[dict]:
    return [
        {
            "premise": f"{sentence(tag, row)}.",
            "choice1": f"{sentence(tag, row + 1).capitalize()}.",
            "choice2": f"{WORDS[tag][row % 6].capitalize()}.",
            "question": ("cause", "effect")[row % 2],
            "label": row // 2 % 2,
            "idx": row,
            "changed": False,
        }
        for row in range(rows)
    ]


def stories(tag: str, rows: int = 8) -> list[dict]:
    return [
        {
            "story_id": str(row),
            **{f"input_sentence_{place}": f"{sentence(tag, row + place)}." for place in range(1, 5)},
            "sentence_quiz1": f"{sentence(tag, row + 5)}.",
            "sentence_quiz2": f"{WORDS[tag][row % 6]}.",
            "answer_right_ending": 1 + row // 2 % 2,
        }
        for row in range(rows)
    ]


def questions(tag: str, rows: int = 8) -> list[dict]:
    return [
        {
            "link": "https://en.wikinews.org",
            "question_number": row,
            "flores_passage": f"{sentence(tag, row)}. {sentence(tag, row + 1)}.",
            "question": f"{WORDS[tag][row % 6]}?",
            **{f"mc_answer{place}": sentence(tag, row + place) for place in range(1, 5)},
            "correct_answer_num": str(1 + row % 4),
            "dialect": tag,
            "ds": "2023-05-03",
        }
        for row in range(rows)
    ]


def flores(tag: str, rows: int = 6) -> list[dict]:
    codes = dict(zip(("iso_639_3", "iso_15924"), tag.split("_"), strict=True))
    return [{"id": row, **codes, "text": f"{sentence(tag, row)}.", "topic": "health"} for row in range(rows)]


def topics(tag: str, rows: int, first: int = 0) -> list[dict]:
    return [
        {"index_id": row, "category": TOPICS[row % 3], "text": f"{WORDS[tag][row % 3]} {sentence(tag, row)}"}
        for row in range(first, first + rows)
    ]


def tatoeba(first: str, second: str, code: str, rows: int = 6) -> list[dict]:
    return [
        {"sentence1": sentence(first, row), "sentence2": sentence(second, row), "lang": code} for row in range(rows)
    ]


_SWAHILI, _CHINESE = tatoeba("swh_Latn", "eng_Latn", "swh-eng"), tatoeba("zho_Hans", "eng_Latn", "cmn-eng")
#: Data set -> configuration -> split -> rows. Korean is in those that offer it; XCOPA and XStoryCloze do not.
DATA: dict[str, dict[str, dict[str, list[dict]]]] = {
    "openlanguagedata/flores_plus": {
        "default": {part: flores("eng_Latn") + flores("swh_Latn") for part in ("dev", "devtest")},
        **{
            name: {"dev": flores(tag)[:2], "devtest": flores(tag)}
            for name, tag in (
                ("cmn_Hans", "zho_Hans"),
                ("eng_Latn", "eng_Latn"),
                ("ind_Latn", "ind_Latn"),
                ("kor_Hang", "kor_Hang"),
                ("swh_Latn", "swh_Latn"),
            )
        },
    },
    "mteb/tatoeba-bitext-mining": {
        "default": {"test": _SWAHILI + _CHINESE},
        "swh-eng": {"test": _SWAHILI},
        "cmn-eng": {"test": _CHINESE},
    },
    "mteb/NTREX": {
        "default": {
            "test": [
                {
                    name: sentence(tag, row)
                    for name, tag in (
                        ("eng_Latn", "eng_Latn"),
                        ("ind_Latn", "ind_Latn"),
                        ("kor_Hang", "kor_Hang"),
                        ("swa_Latn", "swh_Latn"),
                        ("zho_Hans", "zho_Hans"),
                    )
                }
                for row in range(6)
            ]
        }
    },
    "cambridgeltl/xcopa": {
        name: {"validation": copa(tag)[:2], "test": copa(tag)}
        for name, tag in (
            ("id", "ind_Latn"),
            ("sw", "swh_Latn"),
            ("translation-sw", "eng_Latn"),
            ("zh", "zho_Hans"),
            ("translation-zh", "eng_Latn"),
        )
    },
    "juletxara/xstory_cloze": {
        name: {"train": stories(tag)[:2], "eval": stories(tag)}
        for name, tag in (("en", "eng_Latn"), ("id", "ind_Latn"), ("sw", "swh_Latn"), ("zh", "zho_Hans"))
    },
    "facebook/belebele": {tag: {"test": questions(tag)} for tag in WORDS},
    "Davlan/sib200": {
        tag: {"train": topics(tag, 12), "validation": topics(tag, 2, 12), "test": topics(tag, 6, 14)} for tag in WORDS
    },
}


def files_of(data: dict[str, dict[str, list[dict]]]) -> dict[str, str]:
    """Contents of a data set's repository by path: its card, and a file of each configuration and split."""
    configurations = [
        {"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}.jsonl"} for split in splits]}
        for name, splits in data.items()
    ]
    files = {"README.md": f"---\nconfigs: {json.dumps(configurations)}\n---\n"}
    for name, splits in data.items():
        for split, rows in splits.items():
            lines = (json.dumps(row, ensure_ascii=False) for row in rows)
            files[f"{name}/{split}.jsonl"] = "".join(f"{line}\n" for line in lines)
    return files


def write_clones(folder: Path) -> Path:
    """Clones of all data sets in a folder, as `--data` takes them."""
    for source, data in DATA.items():
        for name, text in files_of(data).items():
            path = folder / source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return folder
