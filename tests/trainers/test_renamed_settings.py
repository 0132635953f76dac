"""Old names of settings: in files, on the command line and in Python."""

import pytest
from transformers.utils import logging

from sensia.trainers import SensiaConfig, parse_arguments


def parse(*arguments):
    return parse_arguments(SensiaConfig, description="test", arguments=arguments)[0]


def from_file(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text("share_rows: false\n", encoding="utf-8")
    return parse("--config", str(path))


def from_command_line(tmp_path):
    return parse("--share_rows", "false")


def from_python(tmp_path):
    return SensiaConfig(share_rows=False)


@pytest.mark.parametrize("configure", [from_file, from_command_line, from_python])
def test_an_old_name_works_and_warns(tmp_path, caplog, monkeypatch, configure):
    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    logging.enable_propagation()
    assert configure(tmp_path).packing is False
    assert "The setting `share_rows` is called `packing` now" in caplog.text


def test_both_names_at_once_are_refused(tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text("packing: true\nshare_rows: false\n", encoding="utf-8")
    with pytest.raises(ValueError, match="`share_rows` and `packing` are one setting"):
        parse("--config", str(path))
