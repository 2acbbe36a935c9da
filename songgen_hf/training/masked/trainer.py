"""The trainer of masked song models.

A loss is a mean over all positions with a masked code of an optimizer step. A checkpoint is a
complete masked model that generates songs.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...pipelines.masked_song import MaskedSongPipeline
from ..language_model.objective import Objective
from ..language_model.song_trainer import SongTrainer, reading_to_resume
from .dataset import MaskedSongCollator, masked_positions
from .objective import MaskedStep
from .options import MaskedObjectiveOptions, MaskedTrainingArguments


class MaskedSongTrainer(SongTrainer):
    """Trains the masked model of a :class:`MaskedSongPipeline`.

    Args:
        pipe: the pipeline; its transformer is trained and its other parts stay unchanged.
        args: training arguments.
        objective: what is minimized.
        options: further arguments of :class:`SongTrainer`.
    Raises:
        ValueError: under FSDP.
    """

    make_collator = MaskedSongCollator

    def __init__(
        self,
        pipe: MaskedSongPipeline,
        args: MaskedTrainingArguments,
        *,
        objective: MaskedObjectiveOptions | None = None,
        **options: Any,
    ):
        if args.fsdp:
            raise ValueError(
                "a masked model is not trained under FSDP, which shards its weights: pass --fsdp "
                "none; several processes train under DDP"
            )
        self.pipe = pipe
        objective = objective or MaskedObjectiveOptions()
        step = MaskedStep(pipe.transformer, pipe.conditioner, objective)
        super().__init__(step, args, processor=pipe.processor, objective=objective, **options)

    def states_width(self, model: Any) -> int:
        """Width of the states that the heads of frame labels read."""
        return model.transformer.config.hidden_size

    def counted(self, batch: Mapping[str, Any]) -> Tensor:
        """Number of positions with a masked code."""
        return masked_positions(batch["visible"], batch["frame_mask"], batch["codes"].shape[2])

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Objective, Any]:
        """The losses of :class:`MaskedStep`."""
        sampling = model.training and self.objective.scheduled_sampling > 0
        losses = model(**inputs, sampling_seed=self.sampling_seed() if sampling else None)
        return Objective(losses["objective"], losses["masked_loss"], losses), losses

    def named_weights(self, model: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
        """Names and weights, with weights outside of the layers named like tables."""
        return (
            (name if ".layers." in name else f"embed.{name}", weight)
            for name, weight in model.named_parameters()
        )

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Write the complete pipeline and the options of the run."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        self.pipe.save_pretrained(folder)
        self.save_beside_model(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Read the weights of the masked model and of the heads."""
        transformer = self.pipe.transformer
        with reading_to_resume(resume_from_checkpoint):
            saved = type(transformer).from_pretrained(
                resume_from_checkpoint, subfolder="transformer"
            )
        transformer.load_state_dict(saved.state_dict())
        self.load_heads(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))


__all__ = ["MaskedSongTrainer"]
