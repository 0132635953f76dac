import pytest

from sensia.trainers.yaml_settings import read_yaml


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "settings.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path)

    return write_and_read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ("5e-2", 0.05),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("+1.", 1.0),
        ("8.0", 8.0),
        (".inf", float("inf")),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("-7", -7),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        (".", "."),
        ("=", "="),
        ("[5e-2, no, 010]", [0.05, "no", 10]),
        ("{no: on}", {"no": "on"}),
        ("!!str 5", "5"),
    ],
)
def test_values_are_those_of_yaml_1_2(read, written, value):
    found = read(f"name: {written}")["name"]
    assert found == value and type(found) is type(value)


def test_keys_are_those_of_yaml_1_2(read):
    assert read("no: 1\non: 2") == {"no": 1, "on": 2}


def test_merge_keys_are_kept_and_may_be_overridden(read):
    assert read("a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: { <<: *a }")["b"] == {"x": 1, "y": 3}


def test_a_repeated_key_is_refused_with_its_lines(read):
    with pytest.raises(ValueError, match=r"settings\.yaml: `steps` is given twice, in lines 1 and 3: leave one out"):
        read('steps: 1\nrate: 2\n"steps": 3')


def test_a_repeated_key_in_a_nested_mapping_is_refused(read):
    with pytest.raises(ValueError, match="`kind` is given twice, in lines 3 and 5"):
        read("suite:\n  task:\n    kind: a\n    source: b\n    kind: c")


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfname: x", "name: x".encode("utf-16"), b"name: x\r\n", b"name: x\rother: y", b'{"name": "x"}'],
    ids=["byte order mark", "UTF-16", "CRLF", "CR", "JSON"],
)
def test_a_file_as_other_systems_write_it_is_read(read, data):
    assert read(data)["name"] == "x"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name: x\nother: caf\xe9", "line 2 is not UTF-8 text: save the file as UTF-8"),
        (b"\xff\xfen\x00a", "line 1 is not UTF-16 text"),
        (b"a: x\nb: \x07", r"line 2 has a character that YAML forbids: U\+0007"),
        ("a: 1\n\tb: 2", "line 2 .* Indent by spaces, not by tabs"),
        ("", "is empty"),
        ("# nothing\n---\n", "is empty"),
        ("- a", "got a list"),
        ("text", "got 'text'"),
        ("a: 1\n---\nb: 2", "line 2 is not valid YAML: expected a single document"),
        ("a: [", "is not valid YAML"),
        ("a: 'open", "is not valid YAML"),
        ("[a]: b", "found unhashable key"),
        ("a: *b", "found undefined alias"),
        ("a: !!int x", "'x' is no int"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: !!timestamp 2024-01-01", "could not determine a constructor"),
        ("a: " + "[" * 5000, "nests its values too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(read, data, message):
    with pytest.raises(ValueError, match=rf"settings\.yaml.*{message}") as refused:
        read(data)
    assert "\n" not in str(refused.value)


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(ValueError, match=rf"^Cannot read the settings file {tmp_path}: Is a directory\.$"):
        read_yaml(tmp_path)
    with pytest.raises(ValueError, match=r"none\.yaml: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")


def test_a_number_too_long_for_any_setting_is_infinite(read):
    assert read("a: " + "9" * 5000) == {"a": float("inf")}
