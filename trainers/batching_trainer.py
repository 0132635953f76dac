"""The publishing Trainer with batches of pairs and texts."""

import datasets
from sensia.trainers.collator import TEXT_DATASET
from sensia.trainers.publishing_trainer import PublishingTrainer
from sensia.trainers.sampling import BatchShape, LengthWindowSampler, measure_pairs
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.streaming import StreamedWindows
from torch.utils.data import DataLoader, Sampler
from transformers.utils import logging

logger = logging.get_logger(__name__)

#: Columns of the data that reach the collator.
TRAINING_COLUMNS = ("source_ids", "target_ids", "prompt_tokens", "dataset", "row")


class BatchingTrainer(PublishingTrainer):
    """
    [`PublishingTrainer`] whose every forward gets `per_device_train_batch_size` pairs of similar length, followed by
    `text_rate` times as many texts of the target language. No sentence comes twice in a step, over all processes.

    Args:
        model, args, kwargs: as in `transformers.Trainer`; `args` is a [`SensiaConfig`].
        train_dataset (`datasets.Dataset` or `datasets.IterableDataset`): pairs from [`sensia.corpora.clean_pairs`].
        train_texts (`datasets.Dataset`, *optional*): texts from [`sensia.corpora.encode_texts`], with
            `args.text_rate`.

    Raises:
        ValueError: for texts without a rate, a rate without texts, and a rate of no text for a whole batch.
    """

    args: SensiaConfig

    def __init__(
        self,
        model,
        args: SensiaConfig,
        *,
        train_dataset: datasets.Dataset | datasets.IterableDataset | None = None,
        train_texts: datasets.Dataset | None = None,
        **kwargs,
    ):
        if (train_texts is None) != (args.text_rate == 0):
            given = "`text_rate` 0" if train_texts is not None else f"`text_rate` {args.text_rate} without texts"
            raise ValueError(f"Texts need a `text_rate` and a `text_rate` needs texts (`text_data`), got {given}.")
        super().__init__(model, args, train_dataset=train_dataset, **kwargs)
        self.train_texts = train_texts
        if args.text_rate and self.batch_shape.texts == 0:
            raise ValueError(
                f"`text_rate` {args.text_rate} is not one text for the {args.train_batch_size} pairs of a batch."
            )

    @property
    def batch_shape(self) -> BatchShape:
        """[`BatchShape`]: pairs and texts of a step."""
        return BatchShape(
            pairs=self.args.train_batch_size,
            forwards=self.args.gradient_accumulation_steps * self.args.world_size,
            texts=round(self.args.text_rate * self.args.train_batch_size),
        )

    def get_train_dataloader(self) -> DataLoader:
        """
        Returns:
            `DataLoader`: of this process, whose batches hold the pairs, then the texts of a forward.

        Raises:
            ValueError: if there is nothing to train on, or a stream is to be read by several workers.
        """
        dataset = self.train_dataset
        if dataset is None:
            raise ValueError("There is nothing to train on: give `train_dataset`.")
        if isinstance(dataset, datasets.IterableDataset):
            dataset = self._windows(dataset)
        elif self.train_texts is not None:
            pairs = _training_columns(dataset)
            dataset = datasets.concatenate_datasets([pairs, _fill(self.train_texts, pairs.features)])
        return self._get_dataloader(
            dataset=dataset,
            description="Training",
            batch_size=self.batch_shape.pairs + self.batch_shape.texts,
            sampler_fn=self._get_train_sampler,
            is_training=True,
        )

    def _get_train_sampler(self, train_dataset=None) -> Sampler:
        lengths, keys = measure_pairs(self.train_dataset)
        sampler = LengthWindowSampler(
            lengths,
            self.batch_shape,
            self._data_seed,
            keys,
            num_texts=0 if self.train_texts is None else len(self.train_texts),
            batches_per_window=self.args.batches_per_window,
        )
        if sampler.left_out >= self.batch_shape.pairs_per_step:
            logger.warning(
                f"{sampler.left_out:,} of {len(lengths):,} pairs are left out of an epoch: they share a sentence with "
                "others of every batch."
            )
        return sampler

    def _windows(self, stream: datasets.IterableDataset) -> StreamedWindows:
        if self.args.dataloader_num_workers > 0:
            raise ValueError(
                "A stream is read by the training process itself: several workers would repeat it, and one would "
                f"shuffle it differently. Leave `dataloader_num_workers` at 0, got {self.args.dataloader_num_workers}."
            )
        return StreamedWindows(
            stream, self.batch_shape, self._data_seed, self.train_texts or (), self.args.batches_per_window
        )

    @property
    def _data_seed(self) -> int:
        return self.args.seed if self.args.data_seed is None else self.args.data_seed

    def _set_signature_columns_if_needed(self):
        self._signature_columns = list(TRAINING_COLUMNS)  # type: ignore[assignment]


def _training_columns(pairs: datasets.Dataset) -> datasets.Dataset:
    return pairs.select_columns([name for name in TRAINING_COLUMNS if name in pairs.column_names])


def _fill(texts: datasets.Dataset, features: datasets.Features) -> datasets.Dataset:
    """Texts with the columns of pairs, so that both can be one data set."""
    options = {"columns": list(features)}
    return texts.map(
        _fill_columns, batched=True, fn_kwargs=options, remove_columns=texts.column_names, features=features
    )


def _fill_columns(batch: dict[str, list], columns: list[str]) -> dict[str, list]:
    fill = {"prompt_tokens": 0, "dataset": TEXT_DATASET, "row": TEXT_DATASET}
    rows = len(batch["target_ids"])
    return {name: batch[name] if name in batch else [fill[name]] * rows for name in columns}
