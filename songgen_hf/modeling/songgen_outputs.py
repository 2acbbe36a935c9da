"""Outputs of the SongGen model: of the forward pass, and the waveforms of a batch of songs."""

from dataclasses import dataclass

from torch import Tensor
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput


@dataclass
class SongGenSeq2SeqOutput(ModelOutput):
    """Output of :meth:`SongGenForConditionalGeneration.forward`.

    Args:
        loss: mean of ``codebook_losses``, plus ``config.decoder.vocal_loss_weight`` times
            ``vocal_loss`` where there is one.
        codebook_losses: [rows], mean cross-entropy of each row over its counted steps.
        vocal_loss: mean of ``vocal_codebook_losses``.
        vocal_codebook_losses: [K], mean cross-entropy of each vocal head (mixed_pro).
        logits: [B * rows, L, V]; L includes prepended lyrics.
        past_key_values: the cache.
        decoder_hidden_states, decoder_attentions, cross_attentions: one tensor per layer, if
            requested.
        encoder_last_hidden_state: [B, E, H], the conditions.
        encoder_attention_mask: [B, E].
        encoder_hidden_states, encoder_attentions: per layer of the text encoder, if requested.
    """

    loss: Tensor | None = None
    codebook_losses: Tensor | None = None
    vocal_loss: Tensor | None = None
    vocal_codebook_losses: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    encoder_attention_mask: Tensor | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None


@dataclass
class SongOutput(ModelOutput):
    """Waveforms of a batch of songs, float32 at ``config.sampling_rate``, zero after each end.

    Args:
        waveform: [B, 1, S], the mixture.
        vocal, accompaniment: [B, 1, S'], None for the mixed patterns.
        lengths: [B] int64, number of samples of each mixture.
        vocal_lengths, accompaniment_lengths: [B] int64, number of samples of each track.
    """

    waveform: Tensor | None = None
    vocal: Tensor | None = None
    accompaniment: Tensor | None = None
    lengths: Tensor | None = None
    vocal_lengths: Tensor | None = None
    accompaniment_lengths: Tensor | None = None


__all__ = ["SongGenSeq2SeqOutput", "SongOutput"]
