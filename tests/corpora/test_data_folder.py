"""Sources in the folder that files are relative to."""

from sensia.corpora.data_folder import locate, within


def test_a_folder_with_a_split_is_found_in_another(tmp_path):
    (tmp_path / "pairs").mkdir()
    assert within(tmp_path, "pairs:dev") == f"{tmp_path / 'pairs'}:dev"
    assert within(tmp_path, "pairs") == str(tmp_path / "pairs")
    assert within(tmp_path, "org/name:dev") is None


def test_a_missing_file_has_the_path_that_it_would_have_in_the_folder(tmp_path):
    assert locate(tmp_path, "pairs/train.jsonl") == str(tmp_path / "pairs/train.jsonl")
    assert locate(tmp_path, "a.jsonl, b.jsonl") == f"{tmp_path / 'a.jsonl'},{tmp_path / 'b.jsonl'}"
    assert locate(tmp_path, "/none/train.jsonl") == "/none/train.jsonl"


def test_files_of_the_working_directory_are_found_where_the_folder_has_none(tmp_path, monkeypatch):
    for name in ("pairs.jsonl", "news.en", "news.id"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    for text in ("pairs.jsonl", "news", "news.{lang}", "news.en,news.id"):
        assert locate(tmp_path / "elsewhere", text) == text


def test_what_is_no_file_is_left_to_the_hub(tmp_path):
    assert locate(tmp_path, "org/name:dev") == "org/name:dev"
