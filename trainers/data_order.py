"""The order in which training sees pairs and texts: batches of similar length, no sentence twice in a step."""

import datasets
import numpy as np
from torch.utils.data import Sampler
from transformers.utils import logging

from sensia.trainers.collator import TEXT_DATASET
from sensia.trainers.sampling import BatchShape, LengthWindowSampler, measure_pairs
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.streaming import StreamedWindows

logger = logging.get_logger(__name__)

#: Columns of the data that reach the collator.
TRAINING_COLUMNS = ("source_ids", "target_ids", "prompt_tokens", "dataset", "row")


class DataOrder:
    """
    The data of a run in the order of its training. Every forward gets `per_device_train_batch_size` pairs of similar
    length, followed by `text_rate` times as many texts, at least one. No sentence comes twice in a step, over all
    processes.

    Args:
        args ([`SensiaConfig`]): the settings.
        pairs (`datasets.Dataset` or `datasets.IterableDataset`, *optional*): pairs from
            [`sensia.corpora.clean_pairs`].
        texts (`datasets.Dataset`, *optional*): texts from [`sensia.corpora.encode_texts`] or
            [`sensia.corpora.encode_instructions`], with `args.text_rate`.

    Raises:
        ValueError: for texts without a rate, and a rate without texts.
    """

    def __init__(
        self,
        args: SensiaConfig,
        pairs: datasets.Dataset | datasets.IterableDataset | None,
        texts: datasets.Dataset | None,
    ):
        if (texts is None) != (args.text_rate == 0):
            given = "`text_rate` 0" if texts is not None else f"`text_rate` {args.text_rate} without texts"
            raise ValueError(
                "Texts need a `text_rate` and a `text_rate` needs texts (`text_data` or `instruction_data`), got "
                f"{given}."
            )
        self.args, self.pairs, self.texts = args, pairs, texts
        if args.text_rate and args.text_rate * args.train_batch_size < 0.5:
            logger.warning(
                f"`text_rate` {args.text_rate} is less than one text for {args.train_batch_size} pairs: each batch "
                "gets one."
            )

    @property
    def batch_shape(self) -> BatchShape:
        """[`BatchShape`]: pairs and texts of a step."""
        return BatchShape(
            pairs=self.args.train_batch_size,
            forwards=self.args.gradient_accumulation_steps * self.args.world_size,
            texts=texts_per_forward(self.args),
        )

    def dataset(self) -> datasets.Dataset | StreamedWindows:
        """
        Rows to draw batches from: pairs, then texts; or a stream that is in its order already.

        Raises:
            ValueError: if there is nothing to train on, or a stream is to be read by several workers.
        """
        if self.pairs is None:
            raise ValueError("There is nothing to train on: give `train_dataset`.")
        if isinstance(self.pairs, datasets.IterableDataset):
            return self._windows(self.pairs)
        if self.texts is None:
            return self.pairs
        pairs = _training_columns(self.pairs)
        if "prompt_tokens" in self.texts.column_names:
            pairs = with_prompt_tokens(pairs)
        return datasets.concatenate_datasets([pairs, _fill(self.texts, pairs.features)])

    def sampler(self) -> Sampler:
        """The order of the rows of [`dataset`], of a data set in memory."""
        lengths, keys = measure_pairs(self.pairs)
        sampler = LengthWindowSampler(
            lengths,
            self.batch_shape,
            self._seed,
            keys,
            num_texts=0 if self.texts is None else len(self.texts),
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
        return StreamedWindows(stream, self.batch_shape, self._seed, self.texts or (), self.args.batches_per_window)

    @property
    def _seed(self) -> int:
        return self.args.seed if self.args.data_seed is None else self.args.data_seed


def texts_per_forward(args: SensiaConfig) -> int:
    """
    Texts that follow the pairs of one forward on one process: `text_rate` times as many, and at least one.

    Args:
        args ([`SensiaConfig`]): the settings.
    """
    return max(round(args.text_rate * args.train_batch_size), args.text_rate > 0)


def _training_columns(pairs: datasets.Dataset) -> datasets.Dataset:
    return pairs.select_columns([name for name in TRAINING_COLUMNS if name in pairs.column_names])


def with_prompt_tokens(rows: datasets.Dataset) -> datasets.Dataset:
    """
    Rows with the column `prompt_tokens`, 0 where nothing is a prompt.

    Args:
        rows (`datasets.Dataset`): pairs or texts.
    """
    if "prompt_tokens" in rows.column_names:
        return rows
    return rows.add_column("prompt_tokens", np.zeros(len(rows), np.int32))  # type: ignore[call-arg]


def _fill(texts: datasets.Dataset, features: datasets.Features) -> datasets.Dataset:
    """Texts with the columns of pairs, so that both can be one data set."""
    options = {"columns": list(features)}
    return texts.map(
        _fill_columns, batched=True, fn_kwargs=options, remove_columns=texts.column_names, features=features
    )


def _fill_columns(batch: dict[str, list], columns: list[str]) -> dict[str, list]:
    fill = {"prompt_tokens": 0, "dataset": TEXT_DATASET, "row": TEXT_DATASET}
    rows = len(batch["row"])
    return {name: batch[name] if name in batch else [fill[name]] * rows for name in columns}
