"""The SongGen model generates the codes and the waveform of a song from text, lyrics and a voice.

One class serves all token patterns. It combines the conditioner, the decoder, the codec and
the generation hooks, which are defined in modules of their own, and adds the forward pass with its
losses, the encoding of audio prompts and the decoding of codes.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache
from transformers.utils import can_return_tuple, logging

from .codec_adapter import as_codec, new_codec
from .conditioning import SongGenConditioner, SongGenConditionOutput
from .configuration_songgen import SongGenConfig
from .decoder import SongGenForCausalLM
from .generation_songgen import SongGenGenerationMixin, default_generation_config
from .patterns import ACCOMPANIMENT, IGNORED_LABEL, VOCAL, shift_right
from .songgen_layout import ReferenceLayoutMixin
from .songgen_outputs import SongGenSeq2SeqOutput, SongOutput
from .track_decoding import decode_tracks, pad_waveforms

logger = logging.get_logger(__name__)


def codebook_cross_entropy(
    logits: Tensor, labels: Tensor, counted: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Compute the mean cross-entropy of each row over its counted steps.

    Args:
        logits: [B, N, L, V].
        labels: [B, L, N].
        counted: bool [B, N, L], the steps that are part of the mean.
        weights: [B, L, N], weights of the labels in the mean; all equal by default.

    Returns:
        [N] float32; 0 for a row without a counted step.
    """
    targets = labels.transpose(1, 2).masked_fill(~counted, IGNORED_LABEL)  # [B, N, L]
    losses = F.cross_entropy(
        logits.float().flatten(0, 2),
        targets.flatten(),
        ignore_index=IGNORED_LABEL,
        reduction="none",
    ).view(targets.shape)
    if weights is None:
        return losses.sum(dim=(0, 2)) / counted.sum(dim=(0, 2)).clamp(min=1)
    weights = weights.transpose(1, 2).to(losses) * counted
    total = weights.sum(dim=(0, 2))
    return (losses * weights).sum(dim=(0, 2)) / total.where(total > 0, torch.ones_like(total))


class SongGenForConditionalGeneration(
    ReferenceLayoutMixin, PreTrainedModel, SongGenGenerationMixin
):
    """The SongGen model (arXiv 2502.13128): conditioner, decoder and codec.

    Attributes:
        conditioner: :class:`SongGenConditioner`, the text, lyrics and voice encoders.
        decoder: :class:`SongGenForCausalLM`.
        audio_encoder: the frozen codec, an :class:`XCodecModel` or the model of
            ``config.audio_encoder``.
        codec: the same with the methods of :class:`XCodecModel`. It encodes the audio of prompts
            and of training as codes, and decodes generated codes.
    """

    config: SongGenConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("text", "audio")
    supports_gradient_checkpointing = True
    # Because forward takes **kwargs, Trainer would otherwise not divide the loss by the number of
    # gradient accumulation steps.
    accepts_loss_kwargs = False
    _no_split_modules = ["SongGenDecoderLayer", "LyricsEncoderLayer", "T5Block"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _keys_to_ignore_on_load_unexpected = [r"decoder\.model\.embed_positions\.weights$"]

    def __init__(self, config: SongGenConfig):
        super().__init__(config)
        self.conditioner = SongGenConditioner._from_config(config)
        self.audio_encoder = new_codec(config.audio_encoder)
        self.decoder = SongGenForCausalLM._from_config(config.decoder)
        # A configuration that transformers derives from the model's config would lose its custom
        # entries when it is loaded again.
        self.generation_config = default_generation_config(config)
        self.audio_encoder.requires_grad_(False)
        self.post_init()
        # Without the list of T5, which ignores every unexpected key that contains "decoder".
        own = type(self)._keys_to_ignore_on_load_unexpected
        # A model without a lyrics encoder ignores the one that a checkpoint may hold.
        unused = [] if config.use_lyrics_encoder else [r"lyrics_encoder\.", r"lyrics_projection\."]
        self._keys_to_ignore_on_load_unexpected = {*own, *unused}  # type: ignore[assignment]

    def train(self, mode: bool = True) -> "SongGenForConditionalGeneration":
        """Set training or evaluation mode; the frozen codec stays in evaluation mode."""
        super().train(mode)
        self.audio_encoder.eval()
        return self

    @property
    def codec(self) -> Any:
        """The codec with the methods of :class:`XCodecModel`."""
        return as_codec(self.audio_encoder)

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the conditioner, which ``generate()`` runs once per call."""
        return self.conditioner

    def get_decoder(self) -> nn.Module:
        """Return the decoder with its heads."""
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.decoder.get_output_embeddings()

    def resize_token_embeddings(self, *_: Any, **__: Any) -> nn.Embedding:
        """Refused: the tables of the decoder have the codes of the codec."""
        raise ValueError(
            "resize_token_embeddings does not apply to a song model: its tables hold the codes of "
            "the codec; for new words resize model.conditioner.text_encoder, for new lyrics tokens "
            "train with another lyrics_encoder.vocab_size"
        )

    def shift_right(self, labels: Tensor) -> Tensor:
        """Shift labels [B, L, rows] to the decoder ids of training, see :func:`shift_right`."""
        return shift_right(labels, self.config.decoder_start_token_id, self.config.pad_token_id)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        lyrics_ids: Tensor | None = None,
        lyrics_attention_mask: Tensor | None = None,
        voice_values: Tensor | None = None,
        voice_attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: SongGenConditionOutput | None = None,
        past_key_values: Cache | None = None,
        labels: Tensor | None = None,
        vocal_labels: Tensor | None = None,
        label_weights: Tensor | None = None,
        prepend_lyrics: bool | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> SongGenSeq2SeqOutput:
        """Predict each step of a song from the steps before it.

        Args:
            input_ids: [B, L] ids of the style description; None for the null text.
            attention_mask: [B, L].
            lyrics_ids: [B, P].
            lyrics_attention_mask: [B, P].
            voice_values: [B, S] at ``config.voice_sampling_rate``; a row of zeros means that no
                voice is given.
            voice_attention_mask: [B, S].
            decoder_input_ids: [B, rows, L] or [B * rows, L] ids in their token pattern.
            decoder_attention_mask: [B, L], past steps included, 0 hides a step as a key.
            encoder_outputs: output of the conditioner, in place of text, lyrics and voice.
            past_key_values: the cache.
            labels: [B, L, rows] in the form of ``CodebookPattern.labels``; -100 is ignored. Steps
                whose input is the end mark are not counted, so each row is trained on exactly one
                end of sequence.
            vocal_labels: [B, L, K] labels of the vocal track (mixed_pro with ``add_vocal_loss``).
            label_weights: [B, L, rows], weights of ``labels`` in the mean of their row.
            prepend_lyrics: whether the input of this call begins with the prepended lyrics; by
                default it does if the cache is empty.
            use_cache: whether to return a cache.
            logits_to_keep: number of last steps to compute logits for; 0 for all.

        Raises:
            TypeError: if labels are not integers.
            ValueError: if neither labels nor decoder ids are given, or if shapes do not fit.
        """
        if encoder_outputs is None:
            encoder_outputs = self.conditioner(
                input_ids,
                attention_mask,
                lyrics_ids,
                lyrics_attention_mask,
                voice_values,
                voice_attention_mask,
                for_generation=False,
                output_attentions=kwargs.get("output_attentions"),
                output_hidden_states=kwargs.get("output_hidden_states"),
            )
        decoder_input_ids = self._decoder_ids(decoder_input_ids, labels, vocal_labels)
        num_steps = decoder_input_ids.shape[-1]
        num_songs = len(encoder_outputs["last_hidden_state"])
        if num_songs != len(decoder_input_ids):
            raise ValueError(
                f"the conditions are of {num_songs} songs, the codes of {len(decoder_input_ids)}: "
                "give as many texts as songs"
            )
        if torch.compiler.is_exporting():
            use_cache = False  # a cache is no output that torch.export knows
        inputs: dict[str, Any] = {
            "input_ids": decoder_input_ids,
            "attention_mask": decoder_attention_mask,
        }
        if encoder_outputs.get("lyrics_hidden_states") is not None:
            inputs = self._with_prepended_lyrics(
                decoder_input_ids,
                decoder_attention_mask,
                encoder_outputs,
                past_key_values,
                prepend_lyrics,
            )
        outputs = self.decoder.model(
            **inputs,
            encoder_hidden_states=encoder_outputs["last_hidden_state"],
            encoder_attention_mask=encoder_outputs.get("attention_mask"),
            past_key_values=past_key_values,
            use_cache=False if labels is not None else use_cache,
            **kwargs,
        )
        states = outputs.last_hidden_state
        kept = states[:, -logits_to_keep:] if logits_to_keep else states
        logits = self.decoder.by_row(self.decoder.lm_heads(kept))  # [B, rows, L, V]

        not_ended = decoder_input_ids.ne(self.config.pad_token_id)
        codebook_losses = vocal_losses = None
        if labels is not None:
            codebook_losses = self._losses(
                logits[:, :, -num_steps:], labels, not_ended, label_weights
            )
        if vocal_labels is not None:
            vocal_logits = self.decoder.by_row(self.decoder.vocal_lm_heads(states[:, -num_steps:]))
            # Matches upstream: the ids of the mixture determine which steps of the vocal count.
            vocal_losses = self._losses(vocal_logits, vocal_labels, not_ended)
        return SongGenSeq2SeqOutput(
            loss=self._loss(codebook_losses, vocal_losses),
            codebook_losses=codebook_losses,
            vocal_loss=None if vocal_losses is None else vocal_losses.mean(),
            vocal_codebook_losses=vocal_losses,
            logits=logits.flatten(0, 1),
            past_key_values=outputs.past_key_values,
            decoder_hidden_states=outputs.hidden_states,
            decoder_attentions=outputs.attentions,
            cross_attentions=outputs.cross_attentions,
            encoder_last_hidden_state=encoder_outputs["last_hidden_state"],
            encoder_attention_mask=encoder_outputs.get("attention_mask"),
            encoder_hidden_states=encoder_outputs.get("hidden_states"),
            encoder_attentions=encoder_outputs.get("attentions"),
        )

    def _decoder_ids(
        self, ids: Tensor | None, labels: Tensor | None, vocal_labels: Tensor | None
    ) -> Tensor:
        num_rows = self.config.decoder.num_rows
        if labels is not None and (labels.ndim != 3 or labels.shape[-1] != num_rows):
            raise ValueError(
                f"labels must be [B, L, {num_rows}] for {self.config.decoder.track_pattern}: got "
                f"{list(labels.shape)}; write them with config.decoder.pattern.labels(codes, "
                "bos_token_id=..., eos_token_id=...), ids of config.decoder"
            )
        if labels is not None and labels.is_floating_point():
            raise TypeError(f"labels are {labels.dtype}: expected integers")
        if vocal_labels is not None:
            if not self.config.decoder.add_vocal_loss:
                raise ValueError(
                    "vocal_labels need vocal heads: set decoder.add_vocal_loss=True, which is for "
                    "mixed_pro only"
                )
            if labels is None or vocal_labels.shape != labels.shape:
                found = None if labels is None else list(labels.shape)
                raise ValueError(
                    "vocal_labels need labels of the same shape: got "
                    f"{list(vocal_labels.shape)} and {found}"
                )
        if ids is None:
            if labels is None:
                raise ValueError(
                    "forward needs labels or decoder_input_ids: got neither; "
                    "use generate() to generate songs"
                )
            ids = self.shift_right(labels)
        if ids.ndim == 2 and ids.shape[0] % num_rows == 0:
            ids = ids.view(-1, num_rows, ids.shape[-1])
        if ids.ndim != 3 or ids.shape[1] != num_rows:
            raise ValueError(
                f"decoder_input_ids must be [B, {num_rows}, L] or [B * {num_rows}, L] for "
                f"{self.config.decoder.track_pattern}: got {list(ids.shape)}"
            )
        return ids

    def _with_prepended_lyrics(
        self,
        ids: Tensor,
        mask: Tensor | None,
        conditions: SongGenConditionOutput,
        past_key_values: Cache | None,
        prepend: bool | None,
    ) -> dict[str, Any]:
        """Return the decoder's input with lyrics before the song, and the mask of their padding."""
        lyrics, lyrics_mask = (
            conditions["lyrics_hidden_states"],
            conditions["lyrics_attention_mask"],
        )
        past_length = past_key_values.get_seq_length() if past_key_values is not None else 0
        if prepend is None:
            prepend = not past_length
        embeds = self.decoder.model.embed(ids, 0 if prepend else past_length - lyrics.shape[1])
        if mask is None:
            num_steps = ids.shape[-1] + (0 if prepend else past_length - lyrics.shape[1])
            mask = lyrics_mask.new_ones(lyrics_mask.shape[0], num_steps)
        if prepend:
            embeds = torch.cat([lyrics.to(embeds.dtype), embeds], dim=1)
        return {
            "inputs_embeds": embeds,
            "attention_mask": torch.cat([lyrics_mask, mask.to(lyrics_mask.dtype)], dim=1),
        }

    def _loss(self, codebook_losses: Tensor | None, vocal_losses: Tensor | None) -> Tensor | None:
        """The mean over rows, and the weighted mean over the vocal heads."""
        if codebook_losses is None or vocal_losses is None:
            return None if codebook_losses is None else codebook_losses.mean()
        weight = self.config.decoder.vocal_loss_weight
        if weight == 0:
            if self.training and torch.is_grad_enabled():
                logger.warning_once(
                    "loss leaves out the vocal heads, which get no gradient from it: set "
                    "config.decoder.vocal_loss_weight=0.1, or add vocal_loss to it"
                )
            return codebook_losses.mean()
        return codebook_losses.mean() + weight * vocal_losses.mean()

    def _losses(
        self, logits: Tensor, labels: Tensor, not_ended: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        labels = labels.masked_fill(labels == self.config.decoder.bos_token_id, IGNORED_LABEL)
        counted = not_ended[:, : logits.shape[1]] & (labels != IGNORED_LABEL).transpose(1, 2)
        return codebook_cross_entropy(logits, labels, counted, weights)

    @torch.no_grad()
    def encode_audio(self, input_values: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Encode waveforms as the codes of an audio prompt.

        Args:
            input_values: [B, tracks, S] at ``config.sampling_rate``.
            padding_mask: [B, S], 0 where a clip is padded.

        Returns:
            [B, tracks, K, T] codes.

        Raises:
            ValueError: if the number of tracks is wrong, or if the clips have different numbers of
                frames, since a prompt has one length for the whole batch.
        """
        num_tracks = self.config.decoder.num_tracks
        if input_values.ndim != 3 or input_values.shape[1] != num_tracks:
            raise ValueError(
                f"audio must be [B, {num_tracks}, S] for {self.config.decoder.track_pattern}, one "
                f"channel for each track: got {list(input_values.shape)}"
            )
        batch_size = input_values.shape[0]
        if padding_mask is not None:
            padding_mask = padding_mask.repeat_interleave(num_tracks, dim=0)
        encoded = self.codec.encode(
            input_values.reshape(-1, 1, input_values.shape[-1]), padding_mask
        )
        frames = encoded.num_frames
        if frames is not None and frames.min() != frames.max():
            raise ValueError(
                "audio prompts of one batch must have one length: "
                f"got {frames.tolist()} frames; cut them to the same length"
            )
        return encoded.audio_codes.view(batch_size, num_tracks, -1, encoded.audio_codes.shape[-1])

    @torch.no_grad()
    def code_log_probs(self, codes: Tensor, **conditions: Tensor) -> Tensor:
        """Compute how probable the model finds each code of songs after the codes before it.

        Args:
            codes: [B, tracks, K, T] without special ids.
            **conditions: the inputs of ``forward`` that condition the decoder, for B songs.

        Returns:
            Natural logarithms of probabilities, float32 [B, tracks, K, T].
        """
        decoder = self.config.decoder
        special = {"bos_token_id": decoder.bos_token_id, "pad_token_id": decoder.pad_token_id}
        ids = self.pattern.apply(codes, **special)
        logits = self(**conditions, decoder_input_ids=ids[..., :-1]).logits.float()
        logits = logits.view(len(codes), self.pattern.num_rows, *logits.shape[-2:])
        rows, steps = self.pattern.index(codes.shape[-1], codes.device)
        chosen = ids[:, rows, steps][..., None]
        return logits.log_softmax(dim=-1)[:, rows, steps - 1].gather(-1, chosen)[..., 0]

    @torch.no_grad()
    def decode_codes(self, codes: Tensor, chunk_frames: int | None = None) -> SongOutput:
        """Decode codes as waveforms.

        In each track, frames in which any codebook holds a special id are dropped. The mixture of
        two tracks is their sum, cut to the shorter track, without clipping. A track without frames
        is decoded as one zero sample.

        Args:
            codes: [B, tracks, K, T].
            chunk_frames: number of frames that are decoded at a time, which bounds memory; the
                waveform is the same but for rounding. None for ``DECODED_FRAMES`` of the codec.
        """
        self.pattern.check_codes(codes, "codes")
        rows, size = codes.transpose(0, 1).flatten(0, 1), self.config.decoder.codebook_size
        decoded = decode_tracks(self.codec, [*rows], size, chunk_frames)
        tracks = [decoded[i : i + len(codes)] for i in range(0, len(decoded), len(codes))]
        if len(tracks) == 1:
            waveform, lengths = pad_waveforms(tracks[0])
            return SongOutput(waveform=waveform, lengths=lengths)
        mixtures = []
        for accompaniment, vocal in zip(tracks[ACCOMPANIMENT], tracks[VOCAL], strict=True):
            shorter = min(accompaniment.shape[-1], vocal.shape[-1])
            mixtures.append(accompaniment[:shorter] + vocal[:shorter])
        waveform, lengths = pad_waveforms(mixtures)
        vocal, vocal_lengths = pad_waveforms(tracks[VOCAL])
        accompaniment, accompaniment_lengths = pad_waveforms(tracks[ACCOMPANIMENT])
        return SongOutput(
            waveform, vocal, accompaniment, lengths, vocal_lengths, accompaniment_lengths
        )


__all__ = [
    "SongGenForConditionalGeneration",
    "SongGenSeq2SeqOutput",
    "SongOutput",
    "codebook_cross_entropy",
]
