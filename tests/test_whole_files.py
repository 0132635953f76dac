import resource

import pytest

from sensia.whole_files import write_whole


def test_content_replaces_what_was_there_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "README.md"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["README.md"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "README.md"
    path.mkdir()
    with pytest.raises(OSError, match=r"README\.md"):
        write_whole(path, b"a file cannot take a folder's place")
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    assert path.is_dir()


def test_an_error_while_writing_names_the_file_and_leaves_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"README\.md"):
            write_whole(tmp_path / "README.md", b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
