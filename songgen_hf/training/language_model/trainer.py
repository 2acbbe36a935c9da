"""The trainer of autoregressive song models with any token pattern."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...modeling.patterns import IGNORED_LABEL, shift_right
from ..auxiliary.losses import AuxiliaryLosses
from ..auxiliary.scheduled_sampling import after_errors, sample_history
from .collator import counted_positions
from .objective import (
    Objective,
    codebook_weights,
    curriculum_phase,
    label_weights,
    song_objective,
)
from .song_trainer import SongTrainer, base_model


class SongGenTrainer(SongTrainer):
    """Trains :class:`SongGenForConditionalGeneration`; see :class:`SongTrainer`."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._weights_by_phase: dict[int, Tensor] = {}

    def counted(self, batch: Mapping[str, Any]) -> Tensor:
        """Number of labels of one row."""
        decoder = self.song_config.decoder
        return counted_positions(
            batch["labels"], bos_token_id=decoder.bos_token_id, pad_token_id=decoder.pad_token_id
        )

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Objective, Any]:
        """The weighted losses of the codebooks, with the auxiliary losses added."""
        annotations = {name: inputs.pop(name, None) for name in ("lyrics_labels", "frame_labels")}
        if self.objective.weighs_labels:
            inputs["label_weights"] = self._label_weights(inputs["labels"], annotations)
        if model.training:
            inputs |= self._history(model, inputs)
        prepended = not self.song_config.lyrics_cross_attention
        auxiliary = AuxiliaryLosses(
            self.objective,
            base_model(self.model).decoder.model.layers,
            self.frame_label_heads,
            prepended=prepended,
        )
        with auxiliary.recorded() as recorded:
            outputs = model(**inputs)
        objective = song_objective(
            outputs.codebook_losses,
            self._codebook_weights(model.training, outputs.codebook_losses.device),
            vocal_codebook_losses=outputs.vocal_codebook_losses,
            codebook_weighting=self.objective.codebook_weighting,
            vocal_loss_weight=self.objective.vocal_loss_weight,
        )
        objective.value, metrics = auxiliary.add_to(
            objective.value,
            recorded,
            condition_mask=(
                inputs["lyrics_attention_mask"] if prepended else outputs.encoder_attention_mask
            ),
            num_lyrics=inputs["lyrics_ids"].shape[1],
            **annotations,
        )
        metrics.pop("sound_loss", None)  # the sum of the others
        objective.metrics |= metrics
        return objective, outputs

    def _label_weights(self, labels: Tensor, annotations: Mapping[str, Any]) -> Tensor:
        sung = annotations["lyrics_labels"]
        if self.objective.sung_frame_weight == 1:
            sung = None
        elif sung is None:
            raise ValueError(
                "sung_frame_weight needs songs with timed words and phonemes, and "
                "--guided-attention-weight: got none; leave it at 1"
            )
        return label_weights(
            self.song_config.decoder.pattern,
            labels.shape[1],
            vocal_track=self.objective.vocal_track_weight,
            fine_accompaniment=self.objective.fine_accompaniment_weight,
            sung_frame=self.objective.sung_frame_weight,
            sung=None if sung is None else sung != IGNORED_LABEL,
            device=labels.device,
        )

    def _codebook_weights(self, training: bool, device: torch.device) -> Tensor:
        """The weights of the current phase, which are copied to the device once."""
        step, total = self.state.global_step if training else 0, max(1, self.state.max_steps)
        phase = curriculum_phase(step, total)
        if phase not in self._weights_by_phase:
            weights = codebook_weights(step, total, self.song_config.decoder.num_codebooks)
            self._weights_by_phase[phase] = weights.to(device)
        return self._weights_by_phase[phase]

    @torch.no_grad()
    def _history(self, model: nn.Module, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """The decoder's input, in part sampled from the model, and the labels that follow from it.

        Empty if the model hears the true codes of every step.
        """
        config = self.song_config
        ids = inputs.get("decoder_input_ids")
        if ids is None and not self.objective.scheduled_sampling:
            return {}
        true = shift_right(inputs["labels"], config.decoder_start_token_id, config.pad_token_id)
        ids = true if ids is None else ids
        pattern = config.decoder.pattern
        if self.objective.scheduled_sampling:
            given = {name: value for name, value in inputs.items() if "label" not in name}
            logits = model(**given | {"decoder_input_ids": ids}).logits
            ids = sample_history(
                ids,
                logits.unflatten(0, (len(ids), -1))[:, :, -ids.shape[-1] :],
                self.objective.scheduled_sampling,
                pattern=pattern,
                codebook_size=config.decoder.codebook_size,
                generator=torch.Generator(ids.device).manual_seed(self.sampling_seed()),
            )
        found = {"decoder_input_ids": ids}
        if self.objective.mask_after_errors:
            # Every code that the input holds is a label; the last step's labels are end marks.
            wrong = after_errors(ids, true, pattern)
            kept = inputs["labels"].clone()
            kept[:, : wrong.shape[1]].masked_fill_(wrong, IGNORED_LABEL)
            found["labels"] = kept
        return found

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        heads = self.model._modules.pop("sound_heads", None)  # no part of the saved model
        if state_dict is not None:
            state_dict = {k: v for k, v in state_dict.items() if not k.startswith("sound_heads.")}
        try:
            with self._shards_of_weights():
                super()._save(output_dir, state_dict)
        finally:
            if heads is not None:
                self.model.sound_heads = heads
        if self.args.should_save:
            self.processor.save_pretrained(folder)
            self.save_beside_model(folder)

    @contextmanager
    def _shards_of_weights(self) -> Iterator[None]:
        """Let the library's trainer save the model in shards of ``max_shard_size``."""
        base = base_model(self.model)
        save, limit = base.save_pretrained, self.max_file_bytes
        base.save_pretrained = partial(save, max_shard_size=limit)
        try:
            yield
        finally:
            del base.save_pretrained


__all__ = ["SongGenTrainer"]
