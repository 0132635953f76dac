"""Learning: the SENSIA objective, its curriculum and its trainer."""

from sensia.trainers.arguments import parse_arguments
from sensia.trainers.collator import ParallelCollator
from sensia.trainers.losses import info_nce
from sensia.trainers.schedule import PhaseSchedule
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.sensia_trainer import SensiaTrainer

__all__ = ["ParallelCollator", "PhaseSchedule", "SensiaConfig", "SensiaTrainer", "info_nce", "parse_arguments"]
