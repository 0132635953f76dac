"""Learning: the SENSIA objective, its curriculum and its trainer."""

from .arguments import parse_arguments
from .collator import ParallelCollator
from .losses import info_nce
from .schedule import PhaseSchedule
from .sensia_config import SensiaConfig
from .sensia_trainer import SensiaTrainer

__all__ = ["ParallelCollator", "PhaseSchedule", "SensiaConfig", "SensiaTrainer", "info_nce", "parse_arguments"]
