"""The files that one optimizer step of training enters: few, so that a reader can follow it."""

import sys
from pathlib import Path

import pytest
from transformers import TrainerCallback

from tests.trainers.scenarios.sensia_run import made_up_words

ROOT = Path(__file__).parents[2]
#: Backpack: model, senses, mixing, masks, loss. Training: trainer, InfoNCE, schedule.
MOST_FILES = 8


class FilesOfAStep(TrainerCallback):
    """Files of this project whose functions are called between the beginning and the end of the third step."""

    def __init__(self):
        self.files = set()

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 2:
            sys.setprofile(self._note)

    def on_step_end(self, args, state, control, **kwargs):
        sys.setprofile(None)

    def _note(self, frame, event, argument):
        path = Path(frame.f_code.co_filename)
        ours = event == "call" and path.is_relative_to(ROOT) and ".venv" not in path.parts
        if ours and path.name != Path(__file__).name:
            self.files.add(path.relative_to(ROOT).as_posix())


@pytest.mark.parametrize(("contrasts_words", "projects"), [(False, False), (True, False), (False, True)])
def test_a_step_enters_at_most_eight_files(make_trainer, tokenizer, contrasts_words, projects):
    words = {"aligned_words": made_up_words(tokenizer), "word_alignment_weight": 1.0} if contrasts_words else {}
    trainer, entered = make_trainer(max_steps=4, logging_steps=10, project_conflicts=projects, **words), FilesOfAStep()
    trainer.add_callback(entered)
    trainer.train()
    assert "trainers/sensia_trainer.py" in entered.files
    assert len(entered.files) <= MOST_FILES, sorted(entered.files)
