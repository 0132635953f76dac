from functools import partial

import pytest

from sensia.corpora import clean_pairs, read_pairs
from sensia.trainers import SensiaConfig, SensiaTrainer
from sensia.trainers.pretraining import train_tokenizer
from tests.trainers.scenarios.sensia_run import BITEXT, tiny_model


@pytest.fixture(scope="session")
def bitext():
    return read_pairs(BITEXT, source_language="en", target_language="id").select(range(200))


@pytest.fixture(scope="session")
def tokenizer(bitext):
    return train_tokenizer(bitext["source"], 400)


@pytest.fixture(scope="session")
def pairs(bitext, tokenizer):
    return clean_pairs(bitext, tokenizer, max_length=64)[0].select(range(48))


@pytest.fixture
def make_model(tokenizer):
    return partial(tiny_model, tokenizer)


@pytest.fixture
def make_trainer(make_model, pairs, tokenizer, tmp_path):
    def make(
        model=None,
        train=None,
        evaluate=None,
        texts=None,
        aligned_words=None,
        kinds=(SensiaConfig, SensiaTrainer),
        **settings,
    ):
        config, trainer = kinds
        settings = {
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "warmup_steps": 0,
            **settings,
        }
        return trainer(
            make_model() if model is None else model,
            config(**settings),
            train_dataset=pairs if train is None else train,
            train_texts=texts,
            aligned_words=aligned_words,
            eval_dataset=evaluate,
            processing_class=tokenizer,
        )

    return make
