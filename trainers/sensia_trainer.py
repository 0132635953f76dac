"""The trainer of SENSIA (arXiv 2601.10310): one stacked forward, three losses, one schedule."""

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import BatchSamplerShard
from accelerate.utils import gather
from datasets import Dataset, IterableDataset
from peft import PeftModel
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState
from transformers.trainer_utils import TrainOutput, speed_metrics
from transformers.utils import logging

from modeling_sensia import BackpackConfig, BackpackForCausalLM
from modeling_sensia.distillation_loss import Reference
from sensia.evaluation import evaluate_bitext
from sensia.evaluation.bitext import Encoder
from sensia.trainers.adaptive_phases import AdaptivePhases
from sensia.trainers.alignment import (
    AlignmentWatch,
    contrast_over_chance,
    recall_over_chance,
    warn_of_collapse,
    warn_of_unexpected_entropy,
)
from sensia.trainers.allocator import keep_freed_memory
from sensia.trainers.collator import ParallelCollator, of_sources
from sensia.trainers.contrastive_cache import ContrastiveCache, RandomState
from sensia.trainers.data_order import TRAINING_COLUMNS, DataOrder
from sensia.trainers.frozen_reference import FrozenReference
from sensia.trainers.lora import check_something_learns
from sensia.trainers.losses import info_nce, weighted_info_nce, with_nan_gradient_if_nonfinite
from sensia.trainers.new_token_rows import NewTokenRows
from sensia.trainers.nonfinite import NonfiniteSteps
from sensia.trainers.parameter_groups import decaying_parameter_names, set_learning_rates
from sensia.trainers.run_log import RunLog
from sensia.trainers.saving_trainer import SavingTrainer
from sensia.trainers.schedule import PhasePoint
from sensia.trainers.sensia_config import SensiaConfig
from sensia.trainers.step_flops import flop_counter
from sensia.trainers.word_alignment import AlignedWords

logger = logging.get_logger(__name__)

#: Keys of a batch that are not arguments of the model's forward.
_NOT_OF_THE_MODEL = ("num_pairs", "num_source_texts", "row_numbers", "sources")
_SIDES = ("source", "target")
#: Pairs of aligned words that a step contrasts with each other.
_WORDS_OF_A_STEP = 512


class SensiaTrainer(SavingTrainer):
    """
    Adapts a Backpack to another language by aligning meanings.

    Each step encodes a stacked batch of [sources; targets] in one forward and minimises

        w_ctx InfoNCE(context vectors) + w_sns InfoNCE(sense vectors) + w_lm LM(target)

    The phase schedule gives the weights and temperatures. With `source_lm_weight` w, LM is one mean over the tokens of
    both sides, in which a source token counts w. With `source_kl_weight` w, the sum also has w times the
    Kullback-Leibler divergence from the model before training to the model, a mean over the tokens of the source side.
    With `source_encoder` base, the vectors of sources are those of the model before training, in both InfoNCE terms.
    With `project_conflicts`, the gradient of these two terms loses what conflicts with that of LM and the divergence.
    With `word_alignment_weight` w, it also has w times the InfoNCE of 512 pairs of aligned words, which depend on the
    seed and the step alone. Gradient accumulation leaves these terms as if the batch were whole. The InfoNCE terms of
    sentences are means over micro-batches whose negatives are their own pairs, unless `contrastive_batch_size` asks
    for gradient caching: then every pair of the step is a negative of every other. Where no phase weighs an InfoNCE
    term and nothing is learned on the source side, sources are not encoded.

    Args:
        model ([`BackpackForCausalLM`] or `PeftModel` of one): the English Backpack to adapt; see [`with_adapter`].
        args ([`SensiaConfig`]): the settings.
        train_dataset (`datasets.Dataset` or `datasets.IterableDataset`): pairs from [`sensia.corpora.clean_pairs`].
        train_texts (`datasets.Dataset`, *optional*): texts from [`sensia.corpora.encode_texts`] or
            [`sensia.corpora.encode_instructions`], with `args.text_rate`.
        aligned_words ([`AlignedWords`], *optional*): what `args.word_alignment_weight` is for.
        new_token_ids (`Sequence[int]`, *optional*): ids of the tokens that the tokenizer has and the base model's had
            not; see [`NewTokenRows`].
        eval_dataset (`datasets.Dataset`, *optional*): pairs from [`sensia.corpora.clean_pairs`]; may be a `dict` of
            several by name. Metrics are those of [`sensia.evaluation.evaluate_bitext`], with the prefix `eval_` and
            the set's name, so `metric_for_best_model="eval_dev_sense_recall@1"` works.
        processing_class (`PreTrainedTokenizerBase`): the tokenizer.
        data_collator, callbacks, optimizers: as in `transformers.Trainer`.

    Raises:
        ValueError: if one process would see fewer than two pairs, or drive several GPUs by itself, if the model is no
            Backpack, or if texts and `text_rate` do not fit.
    """

    args: SensiaConfig
    model: PreTrainedModel
    processing_class: PreTrainedTokenizerBase

    # The losses are scaled here, term by term; see `_micro_batch_scales`.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        args: SensiaConfig,
        *,
        processing_class,
        train_dataset: Dataset | IterableDataset | None = None,
        train_texts: Dataset | None = None,
        aligned_words: AlignedWords | None = None,
        new_token_ids: Sequence[int] = (),
        data_collator=None,
        **kwargs,
    ):
        self.check_model(model)
        self.phase_schedule, self.decay_share = args.phase_schedule(), args.decay_share
        self._learns_sources = args.source_lm_weight > 0 or args.source_kl_weight > 0
        collator = data_collator or ParallelCollator(
            processing_class,
            packing=args.packing,
            max_positions=model.config.max_position_embeddings,
            targets_only=not (self.phase_schedule.contrasts or self._learns_sources),
            source_lm_weight=args.source_lm_weight,
            label_sources=args.source_kl_weight > 0,
            repeat_sources=args.source_encoder == "base",
        )
        if args.schedule == "adaptive":
            ends_phases = AdaptivePhases.from_config(args, kwargs.get("eval_dataset"))
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), ends_phases]
        self.data_order = DataOrder(args, train_dataset, train_texts)
        if (aligned_words is None) != (args.word_alignment_weight == 0):
            raise ValueError(
                "`word_alignment_weight` needs `aligned_words`, and they need a weight above 0; got weight "
                f"{args.word_alignment_weight} {'without' if aligned_words is None else 'with'} words."
            )
        self.aligned_words = aligned_words
        self.new_tokens = NewTokenRows(new_token_ids, args, model)
        super().__init__(
            model,
            args,
            data_collator=collator,
            train_dataset=train_dataset,
            processing_class=processing_class,
            **kwargs,
        )
        needs_copy = args.source_kl_weight > 0 or args.source_encoder == "base"
        self.reference = FrozenReference(self.model, args.device, new_token_ids) if needs_copy else None
        if args.n_gpu > 1:
            raise ValueError("One process sees several GPUs: start it with `accelerate launch`, one process for each.")
        if args.per_device_train_batch_size * args.world_size < 2:
            raise ValueError("InfoNCE needs at least 2 pairs in a batch: raise `per_device_train_batch_size`.")
        if self.phase_schedule.freezes:
            backpack = self.accelerator.unwrap_model(self.model)
            check_something_learns(backpack, _frozen_parameters(backpack, args.polish_freeze), args.polish_freeze)
        if model.config.model_type == BackpackConfig.model_type:
            # Saved with the model: its sense vectors are then those of training wherever they are computed.
            model.config.pooling_temperature = args.tau_pool
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        pairs_per_step = self.data_order.batch_shape.pairs_per_step
        self.add_callback(RunLog(args.log_format, self.phase_schedule.phase_names, pairs_per_step))
        self.nonfinite_steps = NonfiniteSteps(args, self.accelerator)
        self.add_callback(self.nonfinite_steps.skips)
        self._alignment_watch = AlignmentWatch(args, self._phase_at)
        self._to_contrast: list[dict[str, Any]] = []
        self._contrast_cache: ContrastiveCache | None = None
        self._side_tokens = torch.zeros(2)  # predicted tokens of the step: of sources, of targets and texts
        self._step_losses: dict[str, torch.Tensor] = {}  # of the micro-batches so far
        self._step_rows: list[torch.Tensor] = []
        self._sums: dict[str, torch.Tensor] = {}  # of the steps since the last log
        self._summed_steps = 0
        self._step_flops = 0  # of the first step since the last log, on this process
        self._session_start = self._earlier_seconds = 0.0

    @staticmethod
    def check_model(model: PreTrainedModel | PeftModel):
        """
        Refuses a model that this trainer cannot align.

        Raises:
            ValueError: if it is no Backpack.
        """
        if model.config.model_type != BackpackConfig.model_type:
            raise ValueError(
                f"SensiaTrainer adapts Backpacks, got a model of type {model.config.model_type}. Dense models have no "
                "senses: DenseAlignmentTrainer (examples/align_dense.py) aligns their hidden states."
            )

    # The step: compute_loss is the paper's equation, and what follows it are its terms.

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """SENSIA's objective on one micro-batch (arXiv 2601.10310); see the class."""
        point = self.phase_point
        contrastive_scale, lm_scale = self._micro_batch_scales(num_items_in_batch)
        words = self._words_of_step()
        if words is not None:
            inputs = {**inputs, "word_ids": words[0].flatten(0, 1)}
        outputs = self.encode(model, inputs, num_items_in_batch)
        losses = {"loss_lm": lm_scale * outputs["loss"], "loss_lm_plain": lm_scale * outputs["plain_loss"]}
        loss = point.w_lm * losses["loss_lm"]
        if words is not None:
            sources, targets = outputs["word_vectors"].chunk(2)  # [N, K D] each
            losses["loss_words"] = weighted_info_nce(sources, targets, words[1], point.tau_sns)
            loss = self.args.word_alignment_weight * losses["loss_words"] + loss
        if "distillation_loss" in outputs:
            losses["loss_kl"] = lm_scale * outputs["distillation_loss"]
            loss = self.args.source_kl_weight * losses["loss_kl"] + loss
        if _has_pairs(inputs):
            ctx, sns = _vectors_of_pairs(outputs, inputs)  # [2 B, D] each
            if self._contrast_cache is None:
                loss_ctx, loss_sns = (contrastive_scale * each for each in self._contrast(ctx, sns, point))
                loss = point.w_ctx * loss_ctx + point.w_sns * loss_sns + loss
            else:
                loss_ctx, loss_sns = (contrastive_scale * each for each in self._contrast_cache.losses)
                loss = self._contrast_cache.replay(ctx, sns) + loss
            losses |= {"loss_ctx": loss_ctx, "loss_sns": loss_sns}
            losses |= _entropies_of_sides(outputs, inputs, contrastive_scale)
        if self._learns_sources:
            tokens = self._tokens_of_step(inputs, num_items_in_batch)
            losses |= _losses_of_sides(outputs["token_losses"], inputs, tokens, lm_scale)
        self._note_losses(loss=loss, **losses)
        loss = with_nan_gradient_if_nonfinite(loss)
        return (loss, outputs) if return_outputs else loss

    def encode(self, model, inputs, num_items_in_batch=None):
        """
        The one forward: sentence vectors of both languages and, with labels, the language model loss. With
        `source_kl_weight` or `source_encoder` base the frozen copy encodes the sources first, once for both.

        Args:
            model (`nn.Module`): the model, wrapped or not.
            inputs (`dict`): a batch of [`ParallelCollator`].
            num_items_in_batch (`torch.Tensor` or `int`, *optional*): divisor of the language model loss.

        Returns:
            `Mapping`: `context_vectors` and `sense_vectors` [N, D] of N sentences, `loss`, `plain_loss`,
            `token_losses` and, of a Backpack, `mixture_entropy` [N] and, with `source_kl_weight`, `distillation_loss`.
        """
        reference, vectors = self._of_frozen_copy(inputs, num_items_in_batch)
        outputs = model(
            **{name: value for name, value in inputs.items() if name not in _NOT_OF_THE_MODEL},
            reference=reference,
            pooling_temperature=self.args.tau_pool if _has_pairs(inputs) else None,
            project_conflicts=self.args.project_conflicts,
            label_smoothing=self.args.label_smoothing_factor,
            num_items_in_batch=num_items_in_batch,
            return_logits=False,
            use_cache=False,
        )
        for name, of_base in vectors.items():  # [B, D] each
            outputs[name] = torch.cat([of_base, outputs[name][len(of_base) :]])
        return outputs

    def _of_frozen_copy(self, inputs, num_items_in_batch) -> tuple[Reference | None, dict[str, torch.Tensor]]:
        """What the copy predicts, for the divergence, and its vectors [B, D] of sources, for the InfoNCE terms."""
        distils = self.args.source_kl_weight > 0 and "labels" in inputs
        contrasts = self.args.source_encoder == "base" and _has_pairs(inputs)
        if "sources" not in inputs or not (distils or contrasts):
            return None, {}
        assert self.reference is not None
        with self.accelerator.autocast():  # as in the model's own forward
            encoded = self.reference.encode(inputs["sources"], self.args.tau_pool if contrasts else None)
        reference, vectors = None, {}
        if distils:
            tokens = self._tokens_of_step(inputs, num_items_in_batch)
            reference = self.reference.predictions(inputs["sources"], encoded, tokens[0].clamp(min=1))
        if contrasts:
            pairs = inputs["num_pairs"]
            vectors = {name: encoded[name][:pairs] for name in ("context_vectors", "sense_vectors")}
        return reference, vectors

    def _tokens_of_step(self, inputs, num_items_in_batch) -> torch.Tensor:
        """Predicted tokens of sources and of targets [2]: of the step, or of this batch where it is not of a step."""
        return _tokens_of_sides(inputs) if num_items_in_batch is None else self._side_tokens

    def _words_of_step(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """
        Token ids [2, N, T] and weights [N] of the aligned words that this step contrasts. They are the same on every
        process, and go with the first micro-batch alone, so the term is the same however a step is cut.
        """
        if self.aligned_words is None or "loss_words" in self._step_losses:
            return None
        drawing = torch.Generator().manual_seed(self.args.seed + self.state.global_step)
        chosen = torch.randperm(len(self.aligned_words.words), generator=drawing)[:_WORDS_OF_A_STEP]
        ids, weights = self.aligned_words.word_ids[:, chosen], self.aligned_words.weights[chosen]
        return ids.to(self.args.device), weights.to(self.args.device)

    def _contrast(self, ctx: torch.Tensor, sns: torch.Tensor, point: PhasePoint) -> tuple[torch.Tensor, torch.Tensor]:
        """InfoNCE of stacked context and sense vectors [2 B, D] each, sources first."""
        ctx_src, ctx_tgt = ctx.chunk(2)  # [B, D] each
        sns_src, sns_tgt = sns.chunk(2)  # [B, D] each
        return (
            info_nce(ctx_src, ctx_tgt, point.tau_ctx, self.args.one_way),
            info_nce(sns_src, sns_tgt, point.tau_sns, self.args.one_way),
        )

    def _micro_batch_scales(self, num_items_in_batch) -> tuple[float, float]:
        """
        Factors that make the sum over micro-batches, averaged over processes, the loss of the whole batch. InfoNCE is
        a mean per micro-batch; the LM loss is already divided by the tokens of all micro-batches of all processes.
        """
        accumulated = self.current_gradient_accumulation_steps
        if num_items_in_batch is None:
            return 1 / accumulated, 1 / accumulated
        processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        return 1 / accumulated, float(processes)

    def training_step(self, model, inputs, num_items_in_batch=None):
        if not self.args.count_flops or self._summed_steps:
            return self._training_step(model, inputs, num_items_in_batch)
        if not self._step_losses:  # the first micro-batch
            self._step_flops = 0
        with flop_counter() as counter:
            loss = self._training_step(model, inputs, num_items_in_batch)
        self._step_flops += counter.get_total_flops()
        return loss

    def _training_step(self, model, inputs, num_items_in_batch):
        if self._to_contrast:
            model.train()
            self._contrast_cache = self._contrast_whole_batch(model)
        if self._contrast_cache is not None:
            self._contrast_cache.restore_random_state()
        if "row_numbers" in inputs:
            self._step_rows.append(inputs["row_numbers"])
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.phase_point.freeze:
            # Without a gradient a parameter is left out of clipping and of the optimizer. `requires_grad` must not
            # change here: DDP has already decided which gradients it waits for.
            for parameter in _frozen_parameters(self.accelerator.unwrap_model(self.model), self.args.polish_freeze):
                parameter.grad = None
        if self.new_tokens.restricts:
            learning = self.accelerator.unwrap_model(self.model)
            self.new_tokens.keep_only_gradients_of_new(learning, self.state.global_step, self.state.max_steps)
        # The Trainer adds this up; its sum must outlive a step that is skipped.
        return loss.nan_to_num(nan=0.0)

    def _contrast_whole_batch(self, model) -> ContrastiveCache:
        """Encodes the micro-batches of a step without graph, and contrasts all their sentences with each other."""
        vectors, states = [], []
        for sample in self._to_contrast:
            unlabelled = {name: value for name, value in sample.items() if name not in ("labels", "label_weights")}
            inputs = self._prepare_inputs(unlabelled)
            states.append(RandomState(self.args.device))
            with torch.no_grad(), self.compute_loss_context_manager():
                vectors.append(_vectors_of_pairs(self.encode(model, inputs), inputs))
        self._to_contrast = []
        point = self.phase_point
        return ContrastiveCache(vectors, states, partial(self._contrast, point=point), (point.w_ctx, point.w_sns))

    def _get_grad_norm(self, model, grad_norm=None):
        # The Trainer calls this when gradients are reduced and clipped, right before the optimizer uses them.
        grad_norm = super()._get_grad_norm(model, grad_norm)
        losses, rows = self._step_losses, self._step_rows
        self._step_losses, self._step_rows = {}, []
        # The only value that a step reads from the device; the processor waits here until the gradients are there.
        norm = 0.0 if grad_norm is None else float(grad_norm)
        if math.isfinite(norm):
            self.nonfinite_steps.skips.in_a_row = 0
        elif self.nonfinite_steps.handle(model, self.state.global_step + 1, norm, losses, rows):
            return grad_norm
        self._summed_steps += 1
        for name, value in losses.items():  # on the device: reading values out would wait for the GPU
            self._sums[name] = self._sums.get(name, 0) + value
        return grad_norm

    def _note_losses(self, **losses: torch.Tensor):
        """Adds losses of a micro-batch, scalars that sum to those of the step."""
        for name, value in losses.items():
            earlier = self._step_losses.get(name)
            self._step_losses[name] = value.detach() if earlier is None else earlier + value.detach()

    # The schedule.

    @property
    def phase_ends(self) -> tuple[int, ...]:
        """`tuple` of `int`: how many steps were done when phases of an `adaptive` curriculum ended; else empty."""
        # Looked up each time: transformers may replace its callbacks by those of a checkpoint.
        callbacks = self.callback_handler.callbacks
        return next((tuple(each.ends) for each in callbacks if isinstance(each, AdaptivePhases)), ())

    @property
    def phase_point(self) -> PhasePoint:
        """[`PhasePoint`]: weights, temperatures and phase of the step under way."""
        return self.phase_schedule.at(self.state.global_step, self.state.max_steps, self.phase_ends)

    def _phase_at(self, step: int, max_steps: int) -> str:
        return self.phase_schedule.at(step, max_steps, self.phase_ends).phase

    # Data and optimizer.

    def get_train_dataloader(self) -> DataLoader:
        """
        Returns:
            `DataLoader`: of this process; each batch holds the pairs, then the texts of a forward.

        Raises:
            ValueError: if there is nothing to train on, or a stream is to be read by several workers.
        """
        shape = self.data_order.batch_shape
        loader = self._get_dataloader(
            dataset=self.data_order.dataset(),
            description="Training",
            batch_size=shape.pairs + shape.texts,
            sampler_fn=lambda _: self.data_order.sampler(),
            is_training=True,
        )
        # A run of several processes that is resumed in a later epoch wraps this once more to skip what was read. The
        # number of the epoch would then not reach the sampler, which accelerate looks for in a wrapper's `sampler`.
        if isinstance(loader.batch_sampler, BatchSamplerShard):
            loader.batch_sampler.sampler = loader.batch_sampler.batch_sampler.sampler
        return loader

    def _set_signature_columns_if_needed(self):
        self._signature_columns = list(TRAINING_COLUMNS)  # type: ignore[assignment]

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        samples, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.args.contrastive_batch_size is not None:
            self._to_contrast = list(samples)
        return samples, num_items_in_batch

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device):
        """Divisor of the language model loss: the labels of the step over all processes, each with its weight."""
        if not self._learns_sources or not batch_samples:
            return super()._get_num_items_in_batch(batch_samples, device)
        tokens = torch.stack([_tokens_of_sides(each) for each in batch_samples]).sum(0).to(device)  # [2]
        if self.args.average_tokens_across_devices:
            tokens = gather(tokens[None]).sum(0)
        self._side_tokens = tokens
        of_sources, of_targets = tokens
        return of_targets + self.args.source_lm_weight * of_sources

    def create_optimizer(self, model=None):
        made_here = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if made_here:
            learning = self.accelerator.unwrap_model(self.model if model is None else model)
            set_learning_rates(optimizer, learning, self.args)
            self.new_tokens.scale_updates(optimizer, learning)
        return optimizer

    def get_decay_parameter_names(self, model) -> list[str]:
        return decaying_parameter_names(model)

    # The run.

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs) -> TrainOutput:  # type: ignore[override]
        """
        Trains as [`SavingTrainer`] does. Seconds and skipped steps of a resumed run are counted on.

        Args:
            resume_from_checkpoint (`str` or `bool`, *optional*): a checkpoint, or `True` for the newest whole one.
            kwargs: as in `transformers.Trainer.train`.
        """
        if self.args.keep_freed_memory and self.args.device.type == "cpu" and keep_freed_memory():
            logger.info("glibc keeps freed memory for the next step (`keep_freed_memory`).")
        if resume_from_checkpoint is True:
            resume_from_checkpoint = self.newest_checkpoint()
        self._session_start, self._earlier_seconds = time.time(), 0.0
        if resume_from_checkpoint:
            state = TrainerState.load_from_json(str(Path(str(resume_from_checkpoint), "trainer_state.json")))
            self._earlier_seconds = max((entry.get("seconds", 0.0) for entry in state.log_history), default=0.0)
            self.nonfinite_steps.skips.restore(state)
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def _load_finished(self, checkpoint: str, state: TrainerState):
        super()._load_finished(checkpoint, state)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, AdaptivePhases):
                callback.restore(state)

    def log(self, logs: dict[str, float], start_time: float | None = None):
        if "loss" in logs:
            seconds = self._earlier_seconds + time.time() - self._session_start
            logs = {**logs, **self._recorded_means(), **self._schedule_log(), "seconds": round(seconds, 1)}
            logs |= self.nonfinite_steps.logs()
            if "loss_ctx" in logs:
                logs |= self._check_alignment(logs)
        super().log(logs, start_time)

    def _recorded_means(self) -> dict[str, float]:
        if not self._sums:  # every step since the last log was skipped
            return {"loss": math.nan}
        sums = torch.stack([value.float() for value in self._sums.values()])
        totals = gather(torch.cat([sums, sums.new_tensor([self._step_flops / 1e12])])[None])  # of each process
        means = dict(zip(self._sums, (totals[:, :-1].mean(0) / self._summed_steps).tolist(), strict=True))
        self._sums, self._summed_steps = {}, 0
        return means | ({"step_tflop": totals[:, -1].sum().item()} if self.args.count_flops else {})

    def _check_alignment(self, logs: dict[str, float]) -> dict[str, float]:
        """Warns where senses collapse or languages do not align; the score of the alignment, for the log."""
        if "entropy_source" in logs:
            num_senses = self.accelerator.unwrap_model(self.model).config.num_senses
            warn_of_collapse(logs, self.state.global_step, num_senses, self.args.collapse_entropy)
        if not self._alignment_watch.is_due(self.state, evaluating=False):
            return {}
        pairs = self.args.contrastive_batch_size or self.args.per_device_train_batch_size * self.args.world_size
        signal = "nothing is evaluated, and the in-batch InfoNCE stands at"
        return self._alignment_watch.judge(contrast_over_chance(logs, pairs), signal, self.state)

    def _schedule_log(self) -> dict[str, float]:
        # The last step that is in the log; the state already counts the next one.
        point = self.phase_schedule.at(max(self.state.global_step - 1, 0), self.state.max_steps, self.phase_ends)
        return {
            "weight_ctx": point.w_ctx,
            "weight_sns": point.w_sns,
            "weight_lm": point.w_lm,
            "tau_ctx": point.tau_ctx,
            "tau_sns": point.tau_sns,
            "phase": self.phase_schedule.phase_names.index(point.phase),
        }

    def evaluate(
        self,
        eval_dataset: Dataset | dict[str, Dataset] | None = None,
        ignore_keys=None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """
        Evaluates on aligned pairs; see [`sensia.evaluation.evaluate_bitext`] for the metrics.

        Returns:
            `dict`: metrics with the prefix; for several sets also with the set's name.
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            raise ValueError("There is nothing to evaluate on: give `eval_dataset`.")
        named: dict[str, Dataset] = dataset if isinstance(dataset, dict) else {"": dataset}
        sets = {f"{metric_key_prefix}_{name}" if name else metric_key_prefix: named[name] for name in named}
        metrics: dict[str, float] = {}
        for prefix, pairs in sets.items():
            metrics |= self._evaluate_pairs(pairs, prefix)
        if self._alignment_watch.is_due(self.state, evaluating=True):
            score = recall_over_chance(metrics, {prefix: len(pairs) for prefix, pairs in sets.items()})
            metrics |= self._alignment_watch.judge(score, "held-out recall@1 is", self.state)
            warn_of_unexpected_entropy(metrics, sets, self.state.global_step, self.args)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def measure(
        self, pairs: Dataset, base: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None
    ) -> dict[str, float]:
        """
        Measures the model on aligned pairs, in the precision of its weights.

        Args:
            pairs (`datasets.Dataset`): of [`sensia.corpora.clean_pairs`].
            base (`tuple`, *optional*): a Backpack and its tokenizer, to be measured instead.

        Returns:
            `dict`: metrics of [`sensia.evaluation.evaluate_bitext`].
        """
        model, tokenizer = base or (self.model, self.processing_class)
        return evaluate_bitext(
            model,
            tokenizer,
            pairs,
            pooling_temperature=self.args.tau_pool,
            batch_size=self.args.per_device_eval_batch_size,
            progress=not self.args.disable_tqdm,
            encode=None if base else self.held_out_encoder(),
        )

    def held_out_encoder(self) -> Encoder | None:
        """The encoder of held-out sentences: `None` for the forward of a Backpack; see [`evaluate_bitext`]."""
        return None

    def _evaluate_pairs(self, pairs: Dataset, prefix: str) -> dict[str, float]:
        start = time.time()
        with self.compute_loss_context_manager():
            metrics = self.measure(pairs)
        named = {f"{prefix}_{name}": value for name, value in metrics.items()}
        return named | speed_metrics(prefix, start, num_samples=len(pairs))


def _has_pairs(inputs) -> bool:
    return inputs.get("num_pairs") != 0


def _vectors_of_pairs(outputs, inputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Context and sense vectors [2 B, D] of the B pairs of a batch; those of texts behind them are left out."""
    pairs = inputs.get("num_pairs")
    stacked = None if pairs is None else 2 * pairs
    return outputs["context_vectors"][:stacked], outputs["sense_vectors"][:stacked]


def _entropies_of_sides(outputs, inputs, scale: float) -> dict[str, torch.Tensor]:
    """The micro-batch's part of the mean entropy of the sense mixture of each side, in nats; empty without senses."""
    if "mixture_entropy" not in outputs:
        return {}
    pairs = inputs.get("num_pairs")
    entropies = outputs["mixture_entropy"][: None if pairs is None else 2 * pairs].chunk(2)  # [B] each
    return {f"entropy_{side}": scale * each.mean() for side, each in zip(_SIDES, entropies, strict=True)}


def _predicted_of_sides(inputs) -> torch.Tensor:
    """Marks the predicted tokens of the source side and of the target side: `bool` [2, R, L - 1]."""
    labelled, of_source = inputs["labels"][:, 1:] != -100, of_sources(inputs)[:, 1:]  # [R, L - 1] each
    return torch.stack([labelled & of_source, labelled & ~of_source])


def _tokens_of_sides(inputs) -> torch.Tensor:
    return _predicted_of_sides(inputs).sum((1, 2))  # [2]


def _losses_of_sides(
    token_losses: torch.Tensor, inputs, tokens: torch.Tensor, scale: float
) -> dict[str, torch.Tensor]:
    """The micro-batch's part of the language model loss in nats per token of each side alone."""
    sums = (_predicted_of_sides(inputs) * token_losses[:, :-1]).sum((1, 2))  # [2]
    parts = scale * sums / tokens.clamp(min=1)
    return {f"loss_lm_{side}": part for side, part in zip(_SIDES, parts, strict=True)}


def _frozen_parameters(model: BackpackForCausalLM, polish_freeze: str) -> list[nn.Parameter]:
    """Parameters that polish leaves alone; a tied weight freezes with whatever it is tied to."""
    if polish_freeze == "none":
        return []
    modules: list[nn.Module] = [model.backpack.sense_network]
    modules += [model.backpack.weight_network] if polish_freeze == "sense_network" else [model.get_input_embeddings()]
    return [parameter for module in modules for parameter in module.parameters()]
