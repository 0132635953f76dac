"""The learning rate of `warmup_stable_decay` falls in a share of the steps."""

import pytest

WSD = {"lr_scheduler_type": "warmup_stable_decay", "learning_rate": 1.0, "warmup_steps": 0, "max_steps": 10}


def rates(trainer):
    trainer.train()
    return [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]


@pytest.mark.parametrize(("settings", "decaying"), [({}, 2), ({"decay_share": 0.5}, 5)])
def test_the_rate_stays_until_the_last_share_of_the_steps(make_trainer, settings, decaying):
    found = rates(make_trainer(**WSD, **settings))
    assert len(found) == 10 and found[: 10 - decaying] == [1.0] * (10 - decaying)
    assert sum(rate < 1 for rate in found) == decaying - 1  # its first step still has the full rate


def test_a_number_of_decay_steps_that_is_given_wins(make_trainer):
    found = rates(make_trainer(**WSD, decay_share=0.5, lr_scheduler_kwargs={"num_decay_steps": 3}))
    assert sum(rate < 1 for rate in found) == 2


def test_a_share_is_refused_where_no_schedule_uses_it(make_trainer):
    with pytest.raises(ValueError, match="`decay_share` means nothing to `lr_scheduler_type` cosine"):
        make_trainer(lr_scheduler_type="cosine", decay_share=0.5)
