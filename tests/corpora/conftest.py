"""The embedded pairs and a tokenizer trained on them."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

BITEXT = Path(__file__).parents[2] / "examples" / "assets" / "bitext"


@pytest.fixture(scope="session")
def bitext() -> Path:
    return BITEXT


@pytest.fixture(scope="session")
def dev_rows() -> list[dict[str, str]]:
    return pq.read_table(BITEXT / "en-id.ntrex-dev.parquet").to_pylist()


@pytest.fixture(scope="session")
def tokenizer(dev_rows) -> PreTrainedTokenizerFast:
    model = ByteLevelBPETokenizer()
    texts = [row[language] for row in dev_rows for language in ("en", "id")]
    model.train_from_iterator(texts, vocab_size=600, special_tokens=["<|endoftext|>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=model._tokenizer, eos_token="<|endoftext|>")


@pytest.fixture
def write_lines(tmp_path):
    """Write lines to a file, gzipped if its name says so: objects as JSON, texts as they are, bytes untouched."""

    def write(name: str, *lines: object) -> str:
        raw = [line if isinstance(line, bytes) else _text(line).encode() for line in lines]
        data = b"".join(line + b"\n" for line in raw)
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


def _text(line: object) -> str:
    return line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)
