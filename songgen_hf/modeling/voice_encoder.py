"""The voice encoder: a frozen HuBERT-like model and a learned weighted sum of its layers.

It encodes three seconds of a voice as one state per frame. The default network is MERT-v1-330M,
which is a HuBERT with the same keys and bit-identical outputs.
"""

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig


class LayerMix(nn.Conv1d):
    """A learned weighted sum over layers, with the parameters of a convolution of width 1.

    The reference stores the weights as a convolution over the layers.
    """

    def __init__(self, num_layers: int):
        super().__init__(num_layers, 1, kernel_size=1)

    def forward(self, states: Tensor) -> Tensor:
        """Mix [B, layers, R, D] to [B, R, D]."""
        weight, bias = self.weight[0, :, 0], self.bias
        assert bias is not None
        return torch.einsum("l,blrd->brd", weight, states.to(weight.dtype)) + bias


class SongGenVoiceEncoder(nn.Module):
    """Encoder of voices [B, S] to weighted sums of hidden states [B, R, hidden_size].

    The network is frozen: it is always in evaluation mode and gets no gradients. Only the weights
    of the sum are trained.
    """

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.model = AutoModel.from_config(config)
        self.model.requires_grad_(False)
        self.layer_mix = LayerMix(config.num_hidden_layers + 1)
        self.model.eval()

    def train(self, mode: bool = True) -> "SongGenVoiceEncoder":
        """Set training or evaluation mode; the network stays in evaluation mode.

        It therefore applies neither dropout nor SpecAugment.
        """
        super().train(mode)
        self.model.eval()
        return self

    @torch.no_grad()
    def hidden_states(self, voice_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the projected features and the output of every layer, [B, layers + 1, R, D].

        The last output is normalized.
        """
        dtype = next(self.model.parameters()).dtype
        output = self.model(
            voice_values.to(dtype), attention_mask=attention_mask, output_hidden_states=True
        )
        # With a "stable" layer norm, the last hidden state of transformers 5 is the residual stream
        # before the final norm; the weights of the sum were trained on the normalized state.
        return torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=1)

    def forward(self, voice_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Encode voices.

        Args:
            voice_values: [B, S] float, as the voice feature extractor writes them.
            attention_mask: [B, S], 0 where a clip is padded.

        Returns:
            [B, R, hidden_size], R frames.
        """
        return self.layer_mix(self.hidden_states(voice_values, attention_mask))


def has_voice(voice_values: Tensor) -> Tensor:
    """Return which rows hold a voice, bool [B]; a row of zeros means that no voice is given."""
    return voice_values.abs().sum(dim=-1) != 0


__all__ = ["SongGenVoiceEncoder", "has_voice"]
