import pytest

from sensia.corpora import describe_file

# SHA-256 of the three bytes "abc", as published with the standard (FIPS 180-2, appendix B.1).
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_described_by_base_name_hash_and_size(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    assert describe_file(tmp_path / "a.txt") == {"name": "a.txt", "sha256": ABC, "bytes": 3}


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        describe_file(tmp_path / "none")
