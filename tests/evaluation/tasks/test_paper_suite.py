"""The suite of the paper in any language, on small clones of its data sets."""

import pytest
import yaml
from paper_benchmarks import DATA, WORDS, write_clones

from sensia.bundled import bundled
from sensia.evaluation.tasks.choice_readers import XCOPA_CONNECTORS
from sensia.evaluation.tasks.registry import NotOfferedError, make_tasks
from sensia.evaluation.tasks.scoring import score_tasks

SUITE = yaml.safe_load((bundled("configs") / "score_paper.yaml").read_text(encoding="utf-8"))["suite"]
#: Languages of XCOPA (https://aclanthology.org/2020.emnlp-main.185).
XCOPA = ("et", "ht", "id", "it", "qu", "sw", "ta", "th", "tr", "vi", "zh")


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    return write_clones(tmp_path_factory.mktemp("clones"))


@pytest.fixture
def loaded(clones):
    """Loads the tasks of a language: what was read of each, or why it is not offered."""

    def load(target, source="en", names=()):
        found = {}
        for task in make_tasks([*names], SUITE, source_language=source, target_language=target):
            try:
                found[task.name] = task.load(clones).data
            except NotOfferedError as error:
                found[task.name] = str(error)
        return found

    return load


@pytest.mark.parametrize(
    ("target", "flores", "pair", "copa", "belebele"),
    [
        ("sw", "swh_Latn", "swh-eng", "sw", "swh_Latn"),
        ("swh_Latn", "swh_Latn", "swh-eng", "sw", "swh_Latn"),
        ("zh", "cmn_Hans", "cmn-eng", "zh", "zho_Hans"),
    ],
)
def test_every_benchmark_is_read_in_the_configuration_of_the_language(loaded, target, flores, pair, copa, belebele):
    found = loaded(target)
    assert [
        data[0]["config_name"] for data in (found[name] for name in found if name not in ("ntrex", "tatoeba"))
    ] == [
        flores,
        "eng_Latn",
        copa,
        copa,
        belebele,
        belebele,
        f"eng_Latn+{belebele}",
    ]
    assert [each["split"] for each in found["sib200"]] == ["train", "test"]
    assert [len(found), found["perplexity"][0]["rows"], found["tatoeba"][0]["rows"]] == [9, 6, 6]


def test_tatoeba_and_ntrex_are_of_the_language(loaded, clones):
    tasks = make_tasks(["tatoeba", "ntrex"], SUITE, source_language="en", target_language="sw")
    others = make_tasks(["tatoeba", "ntrex"], SUITE, source_language="en", target_language="zh")
    for task, other in zip(tasks, others, strict=True):
        assert task.load(clones).data[0]["sha256"] != other.load(clones).data[0]["sha256"]
    kept = loaded("sw", names=["tatoeba"])["tatoeba"][0]
    assert kept["rows"] == len(DATA["mteb/tatoeba-bitext-mining"]["swh-eng"]["test"])


def test_what_is_not_offered_in_a_language_is_said_in_one_line(loaded):
    found = loaded("ko")
    said = {name: line for name, line in found.items() if isinstance(line, str)}
    assert set(said) == {"tatoeba", "xcopa", "xstorycloze"}
    assert "no pair of English (eng_Latn) and Korean (kor_Hang): there is swh-eng, cmn-eng" in said["tatoeba"]
    assert "nothing in Korean (kor_Hang): there is id, sw, zh" in said["xcopa"]
    assert all("\n" not in line for line in said.values())


def test_a_bitext_without_a_column_of_the_language_is_not_offered(loaded):
    assert "no field 'et' or 'est' or 'est_Latn'" in loaded("et", names=["ntrex"])["ntrex"]


def test_a_local_file_without_the_language_is_an_error(clones):
    path = clones / "mteb/NTREX/default/test.jsonl"
    (task,) = make_tasks([f"bitext={path}"], {}, source_language="en", target_language="et")
    with pytest.raises(ValueError, match="no field 'et'") as error:
        task.load()
    assert not isinstance(error.value, NotOfferedError)


def test_topics_of_two_languages_are_joined_by_their_number(loaded, clones, tmp_path):
    (task,) = make_tasks(["sib200"], SUITE, source_language="en", target_language="sw")
    assert [each["rows"] for each in task.load(clones).data] == [12, 6]
    folder = write_clones(tmp_path)
    path = folder / "Davlan/sib200/swh_Latn/test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[::-1][:4]) + "\n", encoding="utf-8")
    assert [each["rows"] for each in task.load(folder).data] == [12, 4]
    path.write_text(lines[0].replace('"sports"', '"health"') + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="row 14 has another topic in each language"):
        task.load(folder)


def test_every_language_of_xcopa_has_connectors():
    assert set(XCOPA) < set(XCOPA_CONNECTORS)


def test_scores_say_what_is_not_offered(backpack, tokenizer, clones):
    tasks = make_tasks(["xcopa", "belebele"], SUITE, source_language="en", target_language="ko")
    first = score_tasks(backpack, tokenizer, tasks, model_name="small", folder=clones)
    assert set(first["not_offered"]) == {"xcopa"} and first["missing"] == {} and set(first["tasks"]) == {"belebele"}
    assert str(clones) not in first["not_offered"]["xcopa"]
    swahili = make_tasks(["xcopa"], SUITE, source_language="en", target_language="sw")
    second = score_tasks(backpack, tokenizer, swahili, model_name="small", folder=clones, done=first)
    assert second["not_offered"] == {} and set(second["tasks"]) == {"xcopa", "belebele"}


def test_the_copies_have_every_data_set_of_the_suite():
    assert {task["source"] for task in SUITE.values()} == set(DATA)
    assert len(WORDS) == 5
