"""The trainer of autoregressive song models with any token pattern."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from ...modeling.patterns import shift_right
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.losses import AuxiliaryLosses
from ..auxiliary.scheduled_sampling import sample_history
from ..options import SongGenTrainingArguments
from .collator import SongCollator, counted_positions
from .dataset import SongDataset
from .objective import Objective, codebook_weights, song_objective
from .options import ObjectiveOptions
from .song_trainer import SongTrainer


class SongGenTrainer(SongTrainer):
    """Trains :class:`SongGenForConditionalGeneration`, or a PEFT model around it.

    Args:
        model: the model, with the parts that are not trained frozen.
        args: training arguments.
        processor: saved with every checkpoint. It is not the library's ``processing_class``, which
            would overwrite the special ids of the model.
        train_dataset, eval_dataset: songs.
        objective: what is minimized.
        resolved_options: YAML text that is written beside every checkpoint.
        callbacks: additional callbacks.
    Raises:
        ValueError: if an average of the weights is asked for under FSDP, which shards them.
    """

    def __init__(
        self,
        model: nn.Module,
        args: SongGenTrainingArguments,
        *,
        processor: SongGenProcessor,
        train_dataset: SongDataset | None = None,
        eval_dataset: SongDataset | None = None,
        objective: ObjectiveOptions | None = None,
        resolved_options: str = "",
        callbacks: list[TrainerCallback] | None = None,
    ):
        objective = objective or ObjectiveOptions()
        self.processor, self.song_config = processor, base_model(model).config
        super().__init__(
            model,
            args,
            make_collator=lambda frame_labels: SongCollator(
                self.song_config,
                processor,
                align_lyrics=objective.guided_attention_weight > 0,
                frame_labels=frame_labels,
            ),
            width=self.song_config.decoder.hidden_size,
            objective=objective,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            resolved_options=resolved_options,
            callbacks=callbacks,
        )

    def counted(self, batch: Mapping[str, Any]) -> Tensor:
        """Number of labels of one row."""
        decoder = self.song_config.decoder
        return counted_positions(
            batch["labels"], bos_token_id=decoder.bos_token_id, pad_token_id=decoder.pad_token_id
        )

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Objective, Any]:
        """The weighted losses of the codebooks, with the auxiliary losses added."""
        annotations = {name: inputs.pop(name, None) for name in ("lyrics_labels", "frame_labels")}
        if model.training and self.objective.scheduled_sampling:
            inputs["decoder_input_ids"] = self._sampled_input(model, inputs)
        auxiliary = AuxiliaryLosses(
            self.objective, base_model(self.model).decoder.model.layers, self.frame_label_heads
        )
        with auxiliary.recorded() as recorded:
            outputs = model(**inputs)
        step = self.state.global_step if model.training else 0
        num_codebooks = self.song_config.decoder.num_codebooks
        objective = song_objective(
            outputs.codebook_losses,
            codebook_weights(step, max(1, self.state.max_steps), num_codebooks),
            vocal_codebook_losses=outputs.vocal_codebook_losses,
            codebook_weighting=self.objective.codebook_weighting,
            vocal_loss_weight=self.objective.vocal_loss_weight,
        )
        objective.value, metrics = auxiliary.add_to(
            objective.value,
            recorded,
            condition_mask=outputs.encoder_attention_mask,
            num_lyrics=inputs["lyrics_ids"].shape[1],
            **annotations,
        )
        metrics.pop("sound_loss", None)  # the sum of the others
        objective.metrics |= metrics
        return objective, outputs

    @torch.no_grad()
    def _sampled_input(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """The decoder's input [B, rows, L] with some ids replaced by samples from the model."""
        ids = inputs.get("decoder_input_ids")
        if ids is None:
            config = self.song_config
            ids = shift_right(inputs["labels"], config.decoder_start_token_id, config.pad_token_id)
        given = {name: value for name, value in inputs.items() if "labels" not in name}
        logits = model(**given | {"decoder_input_ids": ids}).logits
        return sample_history(
            ids,
            logits.unflatten(0, (len(ids), -1))[:, :, -ids.shape[-1] :],
            self.objective.scheduled_sampling,
            codebook_size=self.song_config.decoder.codebook_size,
            generator=torch.Generator(ids.device).manual_seed(self.sampling_seed()),
        )

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        heads = self.model._modules.pop("sound_heads", None)  # no part of the saved model
        if state_dict is not None:
            state_dict = {k: v for k, v in state_dict.items() if not k.startswith("sound_heads.")}
        try:
            super()._save(output_dir, state_dict)
        finally:
            if heads is not None:
                self.model.sound_heads = heads
        if self.args.should_save:
            self.processor.save_pretrained(folder)
            self.save_beside_model(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.load_heads(resume_from_checkpoint)


def base_model(model: Any) -> Any:
    """The song model itself, without a PEFT wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


__all__ = ["SongGenTrainer", "base_model"]
