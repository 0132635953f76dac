"""Telling what a run gave: a model card, plots and evaluation files from plain results."""

from model_cards.card import render_card, write_card
from model_cards.comparison import comparison_rows, format_change, format_value
from model_cards.plots import plot_bits_per_byte, plot_entropy, plot_losses, plot_recall
from model_cards.results import check_results
from model_cards.scores import scored_evaluation, with_scores
from model_cards.sense_plots import plot_senses

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
