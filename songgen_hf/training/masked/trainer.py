"""The trainer of masked models: the song trainer's order, averages, logs and checkpoints around
another loss.

A loss is a mean over all positions with a masked code of an optimizer step, whatever the number of
processes and accumulated batches. A checkpoint is a whole masked model that makes songs.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer import TRAINING_ARGS_NAME

from ...pipelines.masked_song import MaskedSongPipeline
from ..auxiliary.frame_labels import SOUND_HEADS_FILE, SoundClasses, SoundHeads
from ..language_model.trainer import SongGenTrainer
from ..optimizers import MuonWithAdamW
from ..option_parsing import RESOLVED_FILE
from .dataset import MaskedSongCollator, MaskedSongs, masked_positions
from .objective import MaskedStep
from .options import MaskedObjectiveOptions, MaskedTrainingArguments


class MaskedSongTrainer(SongGenTrainer):
    """Trains the masked model of a :class:`MaskedSongPipeline`.

    Args:
        pipe: whose transformer is trained and whose other parts stay as they are; saved whole.
        args: training arguments.
        train_dataset, eval_dataset: masked songs.
        objective: what is minimized.
        resolved_options: YAML text written beside every checkpoint.
        callbacks: more callbacks.
    Raises:
        ValueError: under FSDP.
    """

    args: MaskedTrainingArguments

    def __init__(
        self,
        pipe: MaskedSongPipeline,
        args: MaskedTrainingArguments,
        *,
        train_dataset: MaskedSongs | None = None,
        eval_dataset: MaskedSongs | None = None,
        objective: MaskedObjectiveOptions | None = None,
        resolved_options: str = "",
        callbacks: list[TrainerCallback] | None = None,
    ):
        if args.fsdp:
            raise ValueError(
                "a masked model is not trained under FSDP, which shards its weights: pass --fsdp "
                "none, several processes train under DDP"
            )
        self.pipe = pipe
        self.masked_objective = objective or MaskedObjectiveOptions()
        sounds, heads = None, None
        if self.masked_objective.frame_label_weight and train_dataset is not None:
            sounds = SoundClasses.of_rows(train_dataset.rows)
            sizes: Any = pipe.transformer.config
            heads = SoundHeads(sounds.sizes(), sizes.hidden_size, seed=args.seed)
        songs: Any = (train_dataset, eval_dataset)  # they act as the songs that they mask
        super().__init__(
            MaskedStep(
                pipe.transformer, pipe.conditioner, self.masked_objective, sound_heads=heads
            ),
            args,
            processor=pipe.processor,
            train_dataset=songs[0],
            eval_dataset=songs[1],
            resolved_options=resolved_options,
            callbacks=callbacks,
        )
        self.sound_heads = heads
        self.data_collator = MaskedSongCollator(
            self.song_config,
            pipe.processor,
            align_lyrics=self.masked_objective.guided_attention_weight > 0,
            sounds=sounds,
        )

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor:
        """Positions with a masked code, over all accumulated batches and processes."""
        total = sum((self._masked(batch) for batch in batch_samples), torch.tensor(0))
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.to(device), reduction="sum")
        return total.clamp(min=1).to(device)

    def _masked(self, batch: dict[str, Tensor]) -> Tensor:
        return masked_positions(batch["visible"], batch["frame_mask"], batch["codes"].shape[2])

    def compute_loss(  # type: ignore[override]
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The objective while training, the loss of the codes alone otherwise.

        Raises:
            ValueError: if the loss is not finite.
        """
        drawing = model.training and self.masked_objective.scheduled_sampling > 0
        losses = model(**inputs, draw_seed=self._draw_seed() if drawing else None)
        share = torch.ones_like(losses["objective"])
        if model.training and num_items_in_batch is not None:
            # DDP averages the gradients of the processes, hence world_size.
            share = self._masked(inputs).to(share) * self.args.world_size / num_items_in_batch
        split = "train" if model.training else "eval"
        self._collect_losses(split, losses, share)
        loss = losses["objective"] * share if model.training else losses["masked_loss"]
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss became {loss.item()} at step {self.state.global_step}: lower "
                "--learning-rate or --max-grad-norm and resume from the last checkpoint"
            )
        return (loss, losses) if return_outputs else loss

    def _collect_losses(self, split: str, losses: dict[str, Tensor], share: Tensor) -> None:
        sums = self._sums[split]
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach().float() * share.detach()
        self._counts[split] += 1

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The library's optimizer, or Muon for the layers with AdamW for the rest."""
        if self.args.optimizer == "adamw" or self.optimizer is not None:
            return super().create_optimizer(model)
        trained = (self.model if model is None else model).named_parameters()
        # Muon goes by names: what enters or leaves the layers gets that of a table.
        named = (
            (f"embed.{name}" if ".layers." not in name else name, weight)
            for name, weight in trained
        )
        self.optimizer = MuonWithAdamW(
            named,
            self.args.learning_rate,
            betas=(self.args.adam_beta1, self.args.adam_beta2),
            eps=self.args.adam_epsilon,
            weight_decay=self.args.weight_decay,
        )
        return self.optimizer

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Write a masked model that makes songs, and the options of the run."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        self.pipe.save_pretrained(folder)
        if self.sound_heads is not None:  # of resuming alone
            save_file(self.sound_heads.state_dict(), folder / SOUND_HEADS_FILE)
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
        if self.resolved_options:
            (folder / RESOLVED_FILE).write_text(self.resolved_options, encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Read the weights of the masked model and of the sound heads."""
        transformer = self.pipe.transformer
        saved = type(transformer).from_pretrained(resume_from_checkpoint, subfolder="transformer")
        transformer.load_state_dict(saved.state_dict())
        path = Path(resume_from_checkpoint) / SOUND_HEADS_FILE
        if self.sound_heads is not None and path.is_file():
            self.sound_heads.load_state_dict(load_file(path))

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))


__all__ = ["MaskedSongTrainer"]
