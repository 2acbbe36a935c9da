"""Audiobox Aesthetics in torch: four ratings of a sound, without the package of that name.

The package audiobox_aesthetics needs torchaudio, which it uses to read files and to resample. Its
network is WavLM (base), whose states of all layers are averaged with learned weights for each axis,
then over time, scaled to length 1, and read by a small head. Here transformers' WavLM takes the
place of the copy in that package, and loads the same file.

Source: Tjandra et al. (2025); config.json and model.safetensors of facebook/audiobox-aesthetics.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...checkpoints.devices import checked_device
from ...data.preparation.stages import loading
from ...modeling.checkpoint_files import read_state_dict
from ..metrics.aesthetics import AXES
from .weights import load_exactly

SAMPLING_RATE = 16000
WINDOW_SECONDS = 10.0
_STRIDES = (5, 2, 2, 2, 2, 2, 2)
# Names of WavLM's release, from which those of transformers differ.
_NAMES = (
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(feature_extractor\.conv_layers\.0)\.2\.", r"\1.layer_norm."),
    (r"^encoder\.pos_conv\.0\.weight_g$", "encoder.pos_conv_embed.conv.{}original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$", "encoder.pos_conv_embed.conv.{}original1"),
    (r"^encoder\.pos_conv\.0\.bias$", "encoder.pos_conv_embed.conv.bias"),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)


class AestheticsModel(nn.Module):
    """The network: waveforms [N, S] and their lengths to ratings [N, 4] in the order of ``AXES``.

    Args:
        config: config.json of the checkpoint.
        weights: its state dict; the sizes of WavLM follow from it.
    Raises:
        ValueError: if the two do not fit, or for a network of another kind.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
        from transformers import WavLMModel

        super().__init__()
        wavlm = {
            _transformers_name(key.removeprefix("wavlm_model.")): one
            for key, one in weights.items()
            if key.startswith("wavlm_model.")
        }
        try:
            self.wavlm = WavLMModel(_wavlm_config(wavlm))
            self.normalize = bool(config["normalize_embed"])
            transforms = [config["target_transform"][axis] for axis in AXES]
            depth, layer_norm = int(config["proj_num_layer"]), bool(config["proj_ln"])
            dropout, size = float(config["proj_dropout"]), int(config["output_dim"])
            layers = int(config["nth_layer"])
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"no Audiobox Aesthetics model: it lacks {error}") from error
        hidden = self.wavlm.config.hidden_size
        if layers != self.wavlm.config.num_hidden_layers + 1 or size != 1:
            raise ValueError(
                f"got nth_layer {layers} and output_dim {size}, expected "
                f"{self.wavlm.config.num_hidden_layers + 1} (all layers) and 1"
            )
        self.layer_weights = nn.ParameterDict({axis: torch.zeros(layers) for axis in AXES})
        self.heads = nn.ModuleDict(
            {axis: _head(hidden, depth, layer_norm, dropout > 0) for axis in AXES}
        )
        load_exactly(self.wavlm, wavlm, "the WavLM of Audiobox Aesthetics")
        rest = {
            key.replace("proj_layer.", "heads."): one
            for key, one in weights.items()
            if not key.startswith("wavlm_model.")
        }
        rest |= {f"wavlm.{key}": one for key, one in self.wavlm.state_dict().items()}
        load_exactly(self, rest, "Audiobox Aesthetics")
        self.register_buffer("mean", torch.tensor([float(one["mean"]) for one in transforms]))
        self.register_buffer("std", torch.tensor([float(one["std"]) for one in transforms]))
        self.eval()

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Rate waveforms [N, S], of which ``lengths`` [N] samples are sound and the rest zeros."""
        features = self.wavlm.feature_extractor(waveforms).transpose(1, 2)  # [N, T, C]
        states, _ = self.wavlm.feature_projection(features)
        # As the release does: a frame is padding if all samples of its share of S are.
        share = waveforms.shape[1] // states.shape[1]
        starts = torch.arange(states.shape[1], device=states.device) * share
        is_sound = starts[None] < lengths[:, None]  # [N, T]
        states = states * is_sound[..., None]
        layers = torch.stack(self._all_states(states, is_sound), dim=-1)  # [N, T, D, layers]
        ratings = []
        for axis in AXES:
            state = layers @ self.layer_weights[axis].softmax(dim=0)
            state = (state * is_sound[..., None]).sum(dim=1)
            state = state / is_sound.sum(dim=1, keepdim=True).clamp(min=1)
            if self.normalize:
                state = nn.functional.normalize(state, dim=-1)
            ratings.append(self.heads[axis](state)[:, 0])
        return torch.stack(ratings, dim=1) * self.std + self.mean

    def _all_states(self, states: Tensor, is_sound: Tensor) -> list[Tensor]:
        """The input of WavLM's first layer and the outputs of all, [N, T, D] each."""
        encoder, bias = self.wavlm.encoder, None
        mask = None if is_sound.all() else is_sound.long()
        found = [encoder.layer_norm(states + encoder.pos_conv_embed(states))]
        with warnings.catch_warnings():
            # transformers passes a mask of bool beside a bias of floats.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            for layer in encoder.layers:
                output, bias = layer(found[-1], attention_mask=mask, position_bias=bias)
                found.append(output)
        return found


def _head(size: int, num_layers: int, layer_norm: bool, dropout: bool) -> nn.Sequential:
    """Linear layers with the places in the sequence that the checkpoint's names count."""
    parts: list[nn.Module] = []
    for _ in range(num_layers - 1):
        parts += [nn.Linear(size, size), *([nn.LayerNorm(size)] if layer_norm else []), nn.GELU()]
        parts += [nn.Identity()] if dropout else []
    return nn.Sequential(*parts, nn.Linear(size, 1))


def _transformers_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name.format("parametrizations.weight.")


def _wavlm_config(weights: dict[str, Tensor]) -> Any:
    from transformers import WavLMConfig

    convolutions = [
        weights[f"feature_extractor.conv_layers.{layer}.conv.weight"].shape
        for layer in range(len(_STRIDES))
    ]
    positions = weights["encoder.pos_conv_embed.conv.parametrizations.weight.original1"].shape
    buckets, heads = weights["encoder.layers.0.attention.rel_attn_embed.weight"].shape
    intermediate, hidden = weights["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape
    return WavLMConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=sum(key.endswith(".attention.q_proj.weight") for key in weights),
        num_attention_heads=heads,
        conv_dim=[shape[0] for shape in convolutions],
        conv_kernel=[shape[2] for shape in convolutions],
        conv_stride=list(_STRIDES),
        num_conv_pos_embeddings=positions[2],
        num_conv_pos_embedding_groups=hidden // positions[1],
        num_buckets=buckets,
        layerdrop=0.0,
    )


class Aesthetics:
    """Audiobox Aesthetics: ``ratings`` [windows, 4] and ``seconds`` [windows].

    Args:
        name: Hub id or folder with config.json and model.safetensors.
        device: name of a device.
        revision: branch, tag or commit of a Hub id.
        batch_size: windows that are heard at once.
    """

    def __init__(
        self, name: str, device: str = "cpu", *, revision: str | None = None, batch_size: int = 8
    ) -> None:
        from transformers.utils import cached_file

        from .networks import model_settings

        with loading(f"the Audiobox Aesthetics model {name!r}"):
            paths = [
                cached_file(name, file, revision=revision)
                for file in ("config.json", "model.safetensors")
            ]
            config = json.loads(Path(str(paths[0])).read_text(encoding="utf-8"))
            model = AestheticsModel(config, read_state_dict(str(paths[1])))
        self.model = model.to(checked_device(device))
        self.batch_size, self.sampling_rate = batch_size, SAMPLING_RATE
        self.settings = {
            **model_settings(name, revision),
            "sampling_rate": SAMPLING_RATE,
            "window_seconds": WINDOW_SECONDS,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Rate the windows of a waveform, of which the last one is padded.

        A waveform of less than a second is followed by silence, and silence has a rating, too.
        """
        waveform = np.pad(waveform, (0, max(0, SAMPLING_RATE - len(waveform))))
        window = round(WINDOW_SECONDS * SAMPLING_RATE)
        starts = range(0, len(waveform), window)
        parts = [torch.from_numpy(waveform[start : start + window]) for start in starts]
        lengths = torch.tensor([len(part) for part in parts])
        padded = torch.stack([nn.functional.pad(one, (0, window - len(one))) for one in parts])
        device = self.model.mean.device
        with torch.inference_mode():
            found = [
                self.model(*(side.to(device) for side in pair)).cpu()
                for pair in zip(
                    padded.split(self.batch_size), lengths.split(self.batch_size), strict=True
                )
            ]
        return {"ratings": torch.cat(found).numpy(), "seconds": lengths.numpy() / SAMPLING_RATE}


__all__ = ["Aesthetics", "AestheticsModel"]
