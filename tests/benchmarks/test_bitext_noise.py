"""The benchmark of planted noise counts pairs that are swapped back."""

import pytest

from benchmarks.bitext_noise import BACK, CLEAN, SWAPPED, shares, step_of

SIDES = {"source": "A house.", "target": "Sebuah rumah."}
TURNED = {"source": "Sebuah rumah.", "target": "A house."}


@pytest.mark.parametrize(
    ("planted", "passed", "dropped_by", "step"),
    [
        ({**TURNED, "kind": SWAPPED}, SIDES, None, BACK),
        ({**TURNED, "kind": SWAPPED}, TURNED, None, ""),
        ({**TURNED, "kind": SWAPPED}, SIDES, "duplicates", "duplicates"),
        ({**SIDES, "kind": CLEAN}, SIDES, None, ""),
        ({**SIDES, "kind": CLEAN}, TURNED, None, BACK),
        ({**TURNED, "kind": "misaligned by one line"}, SIDES, None, ""),
    ],
    ids=["back", "left", "back and dropped", "clean", "clean and swapped", "another damage"],
)
def test_the_step_of_a_pair_says_if_it_was_swapped(planted, passed, dropped_by, step):
    assert step_of(planted, passed, dropped_by) == step


def test_a_swapped_pair_is_found_if_it_is_swapped_back_or_dropped_and_is_kept_only_if_no_step_drops_it():
    steps = [(BACK, 0.9), (BACK, 0.1), ("checks", 0.9), ("", 0.9)]
    pairs = [{"part": "dev", "kind": SWAPPED, "step": step, "quality": quality} for step, quality in steps]
    pairs += [{"part": "dev", "kind": CLEAN, "step": step, "quality": 0.9} for step in ("", BACK)]
    kept = "swapped sides, swapped back and kept"
    assert shares(pairs, None) == {SWAPPED: 0.75, kept: 0.5, "clean news, lost": 0.5}
    assert shares(pairs, 0.5) == {SWAPPED: 0.75, kept: 0.25, "clean news, lost": 0.5}
