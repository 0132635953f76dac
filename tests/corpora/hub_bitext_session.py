"""Runs in a process of its own: fills a local Hub with small copies of public bitext, reads them, prints JSON.

The copies have the configurations, splits and columns of the data sets whose names they bear; the rows are made up.
"""

import json
import os
import sys
from pathlib import Path

from hubserver import HubServer, User
from hubserver.testing import client_environment

PAIRS = [("Yes.", "Ya."), ("No.", "Tidak."), ("Come in.", "Silakan masuk.")]
SOURCES, TARGETS = zip(*PAIRS, strict=True)
FLORES = {"url": "https://en.wikinews.org", "domain": "wikinews", "topic": "health", "has_image": "no"}


def rows_of(columns: dict) -> list[dict]:
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def translation(source: str, target: str, pairs=PAIRS, **more) -> list[dict]:
    return [{"translation": {source: left, target: right}, **more} for left, right in pairs]


def flores(iso_639_3: str, iso_15924: str, glottocode: str, texts: dict[int, str]) -> list[dict]:
    codes = {"iso_639_3": iso_639_3, "iso_15924": iso_15924, "glottocode": glottocode}
    return [{"id": row, **codes, "text": text, **FLORES} for row, text in texts.items()]


ENGLISH = flores("eng", "Latn", "stan1293", {1: "Yes.", 2: "No.", 3: "Come in."})
INDONESIAN = flores("ind", "Latn", "indo1316", {3: "Silakan masuk.", 1: "Ya.", 4: "Mungkin."})
JAVANESE = flores("jav", "Latn", "java1254", {1: "Iya.", 2: "Ora."})
TATOEBA = {"lang": ["ind-eng"] * 3, "sentence1": TARGETS, "sentence2": SOURCES}
SAMANANTAR = {"idx": [0, 1, 2], "src": SOURCES, "tgt": ["हाँ।", "नहीं।", "अंदर आइए।"]}
BPCC = {"src_lang": ["eng_Latn"] * 3, "tgt_lang": ["hin_Deva"] * 3, "src": SOURCES, "tgt": SAMANANTAR["tgt"]}
HEADED = {"sourceLang": ["eng"] * 3, "targetlang": ["ind"] * 3, "sourceString": SOURCES, "targetString": TARGETS}
NTREX = {
    "eng_Latn": SOURCES,
    "fas_Arab": ["بله.", "نه.", "بفرمایید."],
    "ind_Latn": TARGETS,
    "prs_Arab": ["بلی.", "نی.", "بیایید."],
}
IN22 = {"id": [1, 2, 3], "context": ["-"] * 3, "eng_Latn": SOURCES, "hin_Deva": SAMANANTAR["tgt"]}
ENGLISH_FIRST = rows_of({"english": SOURCES, "non_english": TARGETS})
# Data set -> configuration -> split -> rows.
DATA: dict[str, dict[str, dict[str, list[dict]]]] = {
    "Helsinki-NLP/opus-100": {
        "en-id": {"test": translation("en", "id", PAIRS[:1]), "train": translation("en", "id")},
        "en-it": {"train": translation("en", "it")},
        "bn-en": {"train": translation("bn", "en")},
    },
    "openlanguagedata/flores_plus": {
        "default": {"dev": ENGLISH + INDONESIAN + JAVANESE, "devtest": ENGLISH[:1] + INDONESIAN[1:2]},
        "eng_Latn": {"dev": ENGLISH, "devtest": ENGLISH[:1]},
        "ind_Latn": {"dev": INDONESIAN, "devtest": INDONESIAN[1:2]},
        "jav_Latn": {"dev": JAVANESE, "devtest": JAVANESE[:1]},
        "cat_Latn_vale1252": {"dev": JAVANESE, "devtest": JAVANESE[:1]},
    },
    "mteb/NTREX": {"default": {"test": rows_of(NTREX)}},
    "mteb/FloresBitextMining": {
        name: {"devtest": rows_of({"sentence1": SOURCES, "sentence2": TARGETS})} for name in ("eng_Latn-ind_Latn",)
    }
    | {"ind_Latn-eng_Latn": {"devtest": rows_of({"sentence1": TARGETS, "sentence2": SOURCES})}},
    "mteb/tatoeba-bitext-mining": {
        "default": {"test": rows_of(TATOEBA) + rows_of(TATOEBA | {"lang": ["jav-eng"] * 3})},
        "ind-eng": {"test": rows_of(TATOEBA)},
        "jav-eng": {"test": rows_of(TATOEBA | {"lang": ["jav-eng"] * 3})},
    },
    "Helsinki-NLP/tatoeba_mt": {"eng-ind": {"test": rows_of(HEADED), "validation": rows_of(HEADED)[:1]}},
    "sentence-transformers/parallel-sentences-talks": {
        "all": {"train": ENGLISH_FIRST * 2, "dev": ENGLISH_FIRST},
        "en-id": {"train": ENGLISH_FIRST, "dev": ENGLISH_FIRST[:1]},
        "en-ja": {"train": ENGLISH_FIRST, "dev": ENGLISH_FIRST},
    },
    "sentence-transformers/parallel-sentences-ccmatrix": {"en-id": {"train": ENGLISH_FIRST}, "en-ja": {"train": []}},
    "acme/nllb-subset": {
        "eng_Latn-ind_Latn": {"train": translation("eng_Latn", "ind_Latn", laser_score=1.1, source_sentence_lid=0.9)},
        "eng_Latn-jav_Latn": {"train": translation("eng_Latn", "jav_Latn", laser_score=1.1, source_sentence_lid=0.9)},
    },
    "ai4bharat/samanantar": {"hi": {"train": rows_of(SAMANANTAR)}, "ta": {"train": rows_of(SAMANANTAR)[:1]}},
    "ai4bharat/BPCC": {
        "bpcc-seed-latest": {"hin_Deva": rows_of(BPCC), "tam_Taml": rows_of(BPCC)[:1]},
        "daily": {"hin_Deva": rows_of(BPCC)[:1], "tam_Taml": rows_of(BPCC)[:1]},
    },
    "ai4bharat/IN22-Gen": {"default": {"test": rows_of(IN22)}},
    "acme/one-language-twice": {"en": {"train": ENGLISH * 2}, "id": {"train": INDONESIAN}},
    "acme/strangers": {"en": {"train": ENGLISH[1:2]}, "id": {"train": INDONESIAN}},
}
SCRIPTS = ("allenai/nllb",)


def card(data: dict[str, dict[str, list[dict]]]) -> str:
    configurations = [
        {"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}.jsonl"} for split in splits]}
        for name, splits in data.items()
    ]
    return f"---\nconfigs: {json.dumps(configurations)}\n---\n"


def fill() -> None:
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    for repository in (*DATA, *SCRIPTS):
        api.create_repo(repository, repo_type="dataset")
        files = {"nllb.py": "print('never run')\n"}
        if repository in DATA:
            files = {"README.md": card(DATA[repository])}
            for name, splits in DATA[repository].items():
                for split, rows in splits.items():
                    files[f"{name}/{split}.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
        added = [CommitOperationAdd(name, text.encode()) for name, text in files.items()]
        api.create_commit(repository, added, commit_message="Adds the data", repo_type="dataset")


TALKS, CCMATRIX = (f"sentence-transformers/parallel-sentences-{name}" for name in ("talks", "ccmatrix"))
TATOEBA_MTEB = "mteb/tatoeba-bitext-mining"
REQUESTS: dict[str, dict] = {
    "opus-100": {"source": "Helsinki-NLP/opus-100"},
    "opus-100, languages the other way": {"source": "Helsinki-NLP/opus-100", "languages": ("id", "en")},
    **{
        f"opus-100 as {name}": {"source": "Helsinki-NLP/opus-100", "config_name": name}
        for name in ("en-id", "id-en", "eng_Latn-ind_Latn", "ind-eng", "en_id")
    },
    "opus-100, other codes": {"source": "Helsinki-NLP/opus-100", "languages": ("eng_Latn", "ind_Latn")},
    "opus-100, no such pair": {"source": "Helsinki-NLP/opus-100", "languages": ("en", "sw")},
    "opus-100, another pair named": {"source": "Helsinki-NLP/opus-100", "config_name": "en-sw"},
    "flores": {"source": "openlanguagedata/flores_plus", "split": "dev"},
    "flores streamed": {"source": "openlanguagedata/flores_plus", "split": "dev", "streaming": True},
    "flores reversed": {"source": "openlanguagedata/flores_plus", "split": "dev", "languages": ("id", "en")},
    "flores by name": {"source": "openlanguagedata/flores_plus", "split": "dev", "config_name": "ind_Latn+eng_Latn"},
    "flores, a variant": {
        "source": "openlanguagedata/flores_plus",
        "split": "dev",
        "config_name": "eng_Latn+cat_Latn_vale1252",
        "languages": ("en", "ca"),
    },
    "flores without split": {"source": "openlanguagedata/flores_plus"},
    "ntrex": {"source": "mteb/NTREX"},
    "ntrex, Dari": {"source": "mteb/NTREX", "languages": ("en", "prs")},
    "ntrex, Persian": {"source": "mteb/NTREX", "languages": ("en", "fa")},
    "flores mining": {"source": "mteb/FloresBitextMining"},
    "tatoeba mining": {"source": TATOEBA_MTEB},
    "tatoeba mining streamed": {"source": TATOEBA_MTEB, "streaming": True},
    "tatoeba mining, all pairs": {"source": TATOEBA_MTEB, "config_name": "default"},
    "tatoeba": {"source": "Helsinki-NLP/tatoeba_mt", "split": "test"},
    "talks": {"source": TALKS},
    "talks reversed": {"source": TALKS, "languages": ("id", "en")},
    "ccmatrix": {"source": CCMATRIX},
    "nllb": {"source": "allenai/nllb"},
    "nllb subset": {"source": "acme/nllb-subset"},
    "samanantar": {"source": "ai4bharat/samanantar", "languages": ("en", "hi")},
    "bpcc": {"source": "ai4bharat/BPCC", "config_name": "bpcc-seed-latest", "languages": ("en", "hi")},
    "bpcc without configuration": {"source": "ai4bharat/BPCC", "languages": ("en", "hi")},
    "in22": {"source": "ai4bharat/IN22-Gen", "languages": ("en", "hi")},
    "an id twice": {"source": "acme/one-language-twice"},
    "no id in common": {"source": "acme/strangers"},
}
TASKS: dict[str, dict] = {
    "mteb/NTREX": {},
    "openlanguagedata/flores_plus": {},
    "openlanguagedata/flores_plus:devtest": {},
    f"{TATOEBA_MTEB}": {},
    f"{TATOEBA_MTEB}:eng-ind": {},
    "Helsinki-NLP/opus-100": {},
    "ai4bharat/IN22-Gen": {"target_language": "hi"},
}


def read(*, languages=("en", "id"), **request) -> object:
    from sensia.corpora import read_pairs

    try:
        pairs = read_pairs(source_language=languages[0], target_language=languages[1], **request)
        return [[row["source"], row["target"]] for row in pairs]
    except (ValueError, OSError) as error:
        return [type(error).__name__, str(error)]


def scored(source: str, settings: dict) -> dict:
    """Rows that a task of kind `bitext` would be measured on."""
    from sensia.evaluation.tasks.registry import Task

    (data,) = Task("task", "bitext", source, settings).load().data
    return {name: data.get(name) for name in ("config_name", "split", "rows")}


def trained() -> dict:
    """Rows that an adaptation would train on and measure on."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    from sensia.trainers.run_arguments import AdaptArguments
    from sensia.trainers.training_data import load_eval_pairs, load_train_pairs

    model = ByteLevelBPETokenizer()
    model.train_from_iterator([*SOURCES, *TARGETS], 300, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model._tokenizer, eos_token="<|endoftext|>")
    evals = ["NTREX=mteb/NTREX", "FLORES=openlanguagedata/flores_plus:devtest", f"Tatoeba={TATOEBA_MTEB}"]
    settings = {"model": "x", "target_language": "id", "eval_data": evals}
    args = AdaptArguments(train_data=["Helsinki-NLP/opus-100", TALKS, "acme/nllb-subset"], **settings)
    sets = [*load_train_pairs(args, tokenizer, 64, seed=0).parts, *load_eval_pairs(args, tokenizer, 64)]
    try:
        load_train_pairs(AdaptArguments(train_data=["mteb/NTREX"], **settings), tokenizer, 64, seed=0)
        refusal = None
    except ValueError as error:
        refusal = str(error)
    return {"sets": [str(each) for each in sets], "held out": refusal}


def main(folder: Path) -> None:
    people = {name.partition("/")[0] for name in (*DATA, *SCRIPTS)}
    hub = HubServer(str(folder / "hub"), users=[User("alice", "hf_alice", orgs=tuple(sorted(people)))]).start()
    os.environ.update(client_environment(hub.endpoint, str(folder / "home"), "hf_alice"))
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    fill()
    results: dict = {name: read(**request) for name, request in REQUESTS.items()}
    results["scored"] = {source: scored(source, settings) for source, settings in TASKS.items()}
    results["trained"] = trained()
    hub.stop()
    print("RESULTS", json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
