"""The base class of networks that read log mels or spectra, and a layer that some share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME

from ..checkpoint_files import reading


class AudioNetwork(PreTrainedModel):
    """A network that reads log mels or spectra, saved in half precision and computed in float32."""

    main_input_name = "mels"
    training_command: ClassVar[str] = "songgen-hf evaluate judges"
    """The command that trains such a network, for messages."""

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the initial weights of torch's layers."""

    def save_pretrained(self, save_directory: Any, **options: Any) -> None:
        """Write ``config.json`` and ``model.safetensors`` with float16 weights.

        Args:
            save_directory: folder, made if missing.
            **options: see ``PreTrainedModel.save_pretrained``.
        """
        weights = {
            name: weight.half() if weight.is_floating_point() else weight
            for name, weight in self.state_dict().items()
        }
        super().save_pretrained(save_directory, state_dict=weights, **options)

    @classmethod
    def from_pretrained(cls, directory: Path | str, **options: Any) -> Any:  # type: ignore[override]
        """Read a folder that :meth:`save_pretrained` wrote, in float32 and evaluation mode.

        Args:
            directory: folder; its ``config.json`` may hold the sizes alone.
            **options: see ``PreTrainedModel.from_pretrained``.
        Raises:
            FileNotFoundError: if the folder holds no network.
            ValueError: if it holds another kind of network, or weights of other sizes.
        """
        if not (path := Path(directory) / CONFIG_NAME).is_file():
            raise FileNotFoundError(
                f"{path} does not exist: train networks with `{cls.training_command} --out ...`"
            )
        remedy = f"train it again with `{cls.training_command}`"
        with reading(directory):
            network, report = super().from_pretrained(
                directory, dtype=torch.float32, output_loading_info=True, **options
            )
        if wrong := sorted({*report["missing_keys"], *report["unexpected_keys"]}):
            raise ValueError(
                f"{directory} holds another network than a {cls.__name__} "
                f"({', '.join(wrong[:3])}, ...): {remedy}"
            )
        return network


class ResidualConvolution(nn.Module):
    """``x + relu(norm(conv(x)))`` over [B, D, T] with a kernel of 5, which keeps the length.

    Args:
        size: D.
        dilation: dilation of the kernel.
    """

    def __init__(self, size: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(
            size, size, 5, padding=2 * dilation, dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm1d(size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, D, T] -> [B, D, T]."""
        return hidden + F.relu(self.norm(self.convolution(hidden)))


__all__ = ["AudioNetwork", "ResidualConvolution"]
