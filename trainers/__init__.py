"""Learning: the SENSIA objective, its curriculum and its trainer."""

from typing import TYPE_CHECKING

from sensia.lazy_names import lazy_names

if TYPE_CHECKING:
    from sensia.trainers.arguments import parse_arguments
    from sensia.trainers.collator import ParallelCollator
    from sensia.trainers.losses import info_nce
    from sensia.trainers.schedule import PhaseSchedule
    from sensia.trainers.sensia_config import SensiaConfig
    from sensia.trainers.sensia_trainer import SensiaTrainer

_NAMES = {
    "parse_arguments": "sensia.trainers.arguments",
    "ParallelCollator": "sensia.trainers.collator",
    "info_nce": "sensia.trainers.losses",
    "PhaseSchedule": "sensia.trainers.schedule",
    "SensiaConfig": "sensia.trainers.sensia_config",
    "SensiaTrainer": "sensia.trainers.sensia_trainer",
}

__all__ = ["ParallelCollator", "PhaseSchedule", "SensiaConfig", "SensiaTrainer", "info_nce", "parse_arguments"]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
