"""Three seconds of a voice -> one state per frame: a frozen HuBERT-like model and a learned mix of
its layers.

The default network is MERT-v1-330M, which equals a plain HuBERT (same keys, bit-identical outputs).
"""

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig


class SongGenVoiceEncoder(nn.Module):
    """Waveform [B, S] -> mixed hidden states [B, R, hidden_size].

    The network is frozen: always in evaluation mode and without gradients. Only the mix is trained.
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.model = AutoModel.from_config(config)
        self.model.requires_grad_(False)
        self.layer_mix = nn.Conv1d(config.num_hidden_layers + 1, 1, kernel_size=1)
        self.model.eval()

    def train(self, mode: bool = True) -> "SongGenVoiceEncoder":
        """Set the mode of the mix; the network stays in evaluation mode (no dropout, no
        SpecAugment)."""
        super().train(mode)
        self.model.eval()
        return self

    @torch.no_grad()
    def hidden_states(self, voice_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Projected features and the output of every layer, the last one normalized: [B, layers +
        1, R, D]."""
        dtype = next(self.model.parameters()).dtype
        output = self.model(
            voice_values.to(dtype), attention_mask=attention_mask, output_hidden_states=True
        )
        # In transformers 5 the last entry is the residual stream before the final norm where the
        # layer norm is "stable"; the mix was trained on the normalized one.
        return torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=1)

    def forward(self, voice_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Encode voices.

        Args:
            voice_values: [B, S] float, as the voice feature extractor writes them.
            attention_mask: [B, S], 0 where a clip is padded.

        Returns:
            [B, R, hidden_size], R frames.
        """
        states = self.hidden_states(voice_values, attention_mask)
        weight = self.layer_mix.weight[0, :, 0]
        bias = self.layer_mix.bias
        assert bias is not None
        return torch.einsum("l,blrd->brd", weight, states.to(weight.dtype)) + bias


def has_voice(voice_values: Tensor) -> Tensor:
    """Which rows hold a voice: bool [B]. An all-zero row means "no voice"."""
    return voice_values.abs().sum(dim=-1) != 0


__all__ = ["SongGenVoiceEncoder", "has_voice"]
