"""
Sensia: adapt an English Backpack language model to another language by aligning meanings (arXiv 2601.10310).

Importing it registers Backpacks with the Auto classes of transformers. The packages below it are `sensia.corpora`,
`sensia.trainers`, `sensia.evaluation`, `sensia.model_cards` and `sensia.commands`; the model itself is in
`modeling_sensia`.
"""

from pathlib import Path

import modeling_sensia  # noqa: F401 - registers the Auto classes
from sensia.lazy_names import lazy_names

_ROOT = Path(__file__).resolve().parents[1]
if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "trainers").is_dir():
    # In a checkout the packages lie beside this folder; an installed copy has them inside.
    __path__.append(str(_ROOT))

#: What `sensia` itself offers, and the module that each name is read from when it is first used.
_NAMES = {
    "BackpackConfig": "modeling_sensia",
    "BackpackForCausalLM": "modeling_sensia",
    "BackpackModel": "modeling_sensia",
    "PhaseSchedule": "sensia.trainers",
    "SensiaConfig": "sensia.trainers",
    "SensiaTrainer": "sensia.trainers",
    "clean_pairs": "sensia.corpora",
    "evaluate_bitext": "sensia.evaluation",
    "perplexity": "sensia.evaluation",
    "read_pairs": "sensia.corpora",
}

__all__ = sorted(_NAMES)

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
