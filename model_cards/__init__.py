"""Telling what a run gave: a model card, plots and evaluation files from plain results."""

from sensia.model_cards.card import render_card, write_card
from sensia.model_cards.comparison import comparison_rows, format_change, format_value
from sensia.model_cards.plots import plot_bits_per_byte, plot_entropy, plot_losses, plot_recall
from sensia.model_cards.results import check_results
from sensia.model_cards.scores import scored_evaluation, with_scores
from sensia.model_cards.sense_plots import plot_senses

__all__ = [
    "check_results",
    "comparison_rows",
    "format_change",
    "format_value",
    "plot_bits_per_byte",
    "plot_entropy",
    "plot_losses",
    "plot_recall",
    "plot_senses",
    "render_card",
    "scored_evaluation",
    "with_scores",
    "write_card",
]
