import pytest
from PIL import Image

from sensia.model_cards.sense_plots import draw_similarity, draw_topology, draw_words, plot_senses


def study(shift):
    histogram = {"edges": [-1.0, 0.0, 0.5, 1.0], "pairs": [0, 2 + shift, 5], "shuffled": [0.0, 3.0, 2.5]}
    cosines = [[0.3, -0.1 - shift], [0.05, 0.2]]
    words = [
        {"source": "water", "target": "air", "source_at": [0.0, 1.0 + shift], "target_at": [0.5, 1.5]},
        {"source": "king", "target": "raja", "source_at": [-1.0, 0.25], "target_at": [-0.75, -0.5]},
    ]
    geometry = {
        "sense_topology": {"estimate": 0.61, "baseline": 0.58, "histogram": histogram},
        "sense_similarity": {"cosines": cosines},
    }
    return {"geometry": geometry, "word_map": {"words": words, "explained": [0.31, 0.12]}}


@pytest.fixture
def models():
    return {"base": study(0), "adapted": study(1)}


def test_the_histograms_are_the_counts_of_each_model_and_of_chance(models):
    panels = draw_topology(models).axes
    assert [panel.get_title() for panel in panels] == ["base model", "adapted model"]
    for panel, shift in zip(panels, (0, 1), strict=True):
        pairs, shuffled = (patch.get_data() for patch in panel.patches)
        assert pairs.values.tolist() == [0, 2 + shift, 5]
        assert shuffled.values.tolist() == [0.0, 3.0, 2.5]
        assert pairs.edges.tolist() == shuffled.edges.tolist() == [-1.0, 0.0, 0.5, 1.0]
        assert panel.get_xlim() == (0, 1)  # from the first bin that is not empty
        labels = [text.get_text() for text in panel.get_legend().get_texts()]
        assert labels == ["translations: mean 0.610", "shuffled pairs: mean 0.580"]


def test_the_squares_are_the_cosines_on_one_scale_around_zero(models):
    *panels, _ = draw_similarity(models).axes
    images = [panel.get_images()[0] for panel in panels]
    for image, model in zip(images, models.values(), strict=True):
        assert image.get_array().tolist() == model["geometry"]["sense_similarity"]["cosines"]
        assert image.get_clim() == (-1.1, 1.1)


def test_words_stand_at_their_places_with_a_line_to_their_translations(models):
    for panel, model in zip(draw_words(models).axes, models.values(), strict=True):
        words = model["word_map"]["words"]
        lines = [line.get_xydata().tolist() for line in panel.get_lines()]
        assert lines == [[word["source_at"], word["target_at"]] for word in words]
        source, target = (points.get_offsets().tolist() for points in panel.collections)
        assert source == [word["source_at"] for word in words]
        assert target == [word["target_at"] for word in words]
        names = {text.get_text(): list(text.xy) for text in panel.texts}
        assert names == {word[side]: word[f"{side}_at"] for word in words for side in ("source", "target")}
        assert "31%" in panel.get_xlabel() and "12%" in panel.get_ylabel()


def test_one_model_alone_is_drawn():
    assert len(draw_topology({"adapted": study(0)}).axes) == 1


def test_the_files_are_whole_pngs_of_a_cards_width(models, tmp_path):
    paths = plot_senses({"models": models}, tmp_path / "new")
    assert sorted(path.name for path in paths) == ["senses_similarity.png", "senses_topology.png", "senses_words.png"]
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    for path in paths:
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG" and image.size[0] == 1200
