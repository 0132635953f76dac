"""Bitext as it was prepared before, kept on the disk: a run that is started again does not read and tokenize again."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

import sensia.corpora
from sensia.corpora import CleaningReport

logger = logging.get_logger(__name__)

_REPORT, _KEYS, _PAIRS = "report.json", "keys.npy", "pairs"


class PreparedPairs(NamedTuple):
    """
    Training bitext, ready for a model.

    Args:
        pairs (`datasets.Dataset`): of [`sensia.corpora.clean_pairs`].
        report (`CleaningReport`): what was dropped.
        keys (`np.ndarray`, *optional*): of [`sensia.corpora.row_keys`].
    """

    pairs: datasets.Dataset
    report: CleaningReport
    keys: np.ndarray | None


def cached_pairs(
    tokenizer: PreTrainedTokenizerBase, made_from: Iterable[Any], make: Callable[[], PreparedPairs]
) -> PreparedPairs:
    """
    Bitext that was prepared before from the same data in the same way, else what `make` prepares, which is kept.

    It lies in the cache of `datasets` (`HF_DATASETS_CACHE`), below `sensia`, and is read by memory mapping. Nothing is
    kept or looked for after `datasets.disable_caching()`.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the tokenizer.
        made_from (`Iterable`): all else that the result depends on, as values that have a `repr` of their own. The
            code that reads and cleans is a part of the key already.
        make (`Callable`): prepares the bitext.

    Returns:
        [`PreparedPairs`]
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not datasets.is_caching_enabled():
        return make()
    parts = (backend.to_str(), tokenizer.eos_token_id, *made_from, datasets.__version__, _hash_of_code())
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    folder = Path(datasets.config.HF_DATASETS_CACHE, "sensia", key)
    if not folder.exists():
        prepared = make()
        try:
            _keep(prepared, folder)
        except OSError as error:
            logger.warning(f"The prepared bitext is not kept for the next start: {error}")
            return prepared
    return _load(folder)


def _keep(prepared: PreparedPairs, folder: Path):
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        prepared.pairs.save_to_disk(part / _PAIRS)
        (part / _REPORT).write_text(json.dumps(asdict(prepared.report)), encoding="utf-8")
        if prepared.keys is not None:
            np.save(part / _KEYS, prepared.keys)
        part.rename(folder)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not folder.exists():  # else another process was faster
            raise


def _load(folder: Path) -> PreparedPairs:
    report = CleaningReport(**json.loads((folder / _REPORT).read_text(encoding="utf-8")))
    keys = np.load(folder / _KEYS) if (folder / _KEYS).exists() else None
    return PreparedPairs(datasets.load_from_disk(str(folder / _PAIRS)), report, keys)


@lru_cache(maxsize=1)
def _hash_of_code() -> str:
    """A hash of the code that reads and cleans: what another version prepared is not taken."""
    code = hashlib.sha256()
    for path in sorted(Path(str(sensia.corpora.__file__)).parent.glob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()
