import math

import pytest
from PIL import Image

from sensia.model_cards.plots import phase_spans, plot_bits_per_byte, plot_entropy, plot_losses, plot_recall


def _size(path):
    with Image.open(path) as image:
        image.verify()
        assert image.format == "PNG"
        return image.size


def _pixels(path):
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


@pytest.fixture
def training(results):
    return results["training"]


def test_losses_are_a_png_of_a_cards_width(training, tmp_path):
    assert plot_losses(training["history"], tmp_path / "losses.png")
    width, height = _size(tmp_path / "losses.png")
    assert (width, height) == (1200, 945)


def test_recall_bits_and_entropy_are_pngs_of_a_cards_width(training, tmp_path):
    assert plot_recall(training["evaluations"], tmp_path / "recall.png")
    assert plot_bits_per_byte(training["evaluations"], tmp_path / "bits.png")
    assert plot_entropy(training["history"], tmp_path / "entropy.png")
    assert {_size(tmp_path / name)[0] for name in ("recall.png", "bits.png", "entropy.png")} == {1200}


def test_nothing_is_written_without_data(tmp_path):
    path = tmp_path / "plot.png"
    records = [{"step": 1, "learning_rate": 0.1, "loss_ctx": math.nan, "entropy_source": None}]
    assert not plot_losses(records, path)
    assert not plot_entropy(records, path)
    assert not plot_recall(records, path)
    assert not plot_bits_per_byte([], path)
    assert not path.exists()


def test_a_log_with_only_the_total_loss_is_drawn(tmp_path):
    assert plot_losses([{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}], tmp_path / "losses.png")


def test_terms_that_were_not_logged_take_no_room(tmp_path):
    plot_losses([{"step": step, "loss_lm": 3.0} for step in range(5)], tmp_path / "one.png")
    plot_losses([{"step": step, "loss_lm": 3.0, "loss_sns": 1.0} for step in range(5)], tmp_path / "two.png")
    assert _size(tmp_path / "one.png")[1] < _size(tmp_path / "two.png")[1]


def test_values_that_are_not_numbers_are_left_out(tmp_path):
    whole = [{"step": 1, "loss": 3.0}, {"step": 3, "loss": 2.0}]
    broken = [*whole, {"step": 2, "loss": math.nan}, {"step": 4, "loss": math.inf}]
    plot_losses(whole, tmp_path / "whole.png")
    plot_losses(broken, tmp_path / "broken.png")
    assert _pixels(tmp_path / "whole.png") == _pixels(tmp_path / "broken.png")


def test_steps_logged_again_after_a_resume_count_once(tmp_path):
    plot_losses([{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}], tmp_path / "once.png")
    again = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}]
    plot_losses(again, tmp_path / "again.png")
    assert _pixels(tmp_path / "once.png") == _pixels(tmp_path / "again.png")


def test_directions_of_recall_are_drawn_only_without_their_mean(tmp_path):
    mean = [{"step": step, "eval_x_sense_recall@1": 0.1 * step} for step in range(3)]
    both = [record | {"eval_x_sense_recall@1_source_to_target": 0.3} for record in mean]
    directions = [{"step": step, "eval_x_sense_recall@1_source_to_target": 0.3} for step in range(3)]
    plot_recall(mean, tmp_path / "mean.png")
    plot_recall(both, tmp_path / "both.png")
    assert _pixels(tmp_path / "mean.png") == _pixels(tmp_path / "both.png")
    assert plot_recall(directions, tmp_path / "directions.png")


def test_phases_change_what_is_drawn(training, tmp_path):
    plain = [{key: value for key, value in record.items() if key != "phase"} for record in training["history"]]
    plot_losses(training["history"], tmp_path / "phases.png")
    plot_losses(plain, tmp_path / "plain.png")
    assert _pixels(tmp_path / "phases.png") != _pixels(tmp_path / "plain.png")


def test_a_single_phase_is_not_shaded(training, tmp_path):
    single = [{**record, "phase": "cosine"} for record in training["history"]]
    plain = [{key: value for key, value in record.items() if key != "phase"} for record in training["history"]]
    plot_losses(single, tmp_path / "single.png")
    plot_losses(plain, tmp_path / "plain.png")
    assert _pixels(tmp_path / "single.png") == _pixels(tmp_path / "plain.png")


def test_a_phase_lasts_until_the_next_begins():
    names = {10: "align", 20: "align", 30: "joint", 40: "polish", 50: "polish"}
    history = [{"step": step, "phase": name} for step, name in names.items()]
    assert phase_spans(history) == [("align", 10, 30), ("joint", 30, 40), ("polish", 40, 50)]


def test_a_log_without_phases_has_no_spans():
    assert phase_spans([{"step": 10, "loss": 1.0}]) == []
