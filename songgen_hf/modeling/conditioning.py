"""The conditioner encodes text, lyrics and a voice as one sequence for the decoder.

The decoder reads the sequence and its mask by cross-attention. ``generate()`` runs the conditioner
once per call, not once per step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForTextEncoding, PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_songgen import SongGenConfig
from .guidance import Branch
from .idle_weights import give_back
from .lyrics_encoder import SongGenLyricsEncoder
from .positions import sinusoidal_positions
from .voice_encoder import SongGenVoiceEncoder, has_voice

MAX_LYRICS_IDS = 8192
"""Longest lyrics: the cost of attention grows with the square of their length."""


@dataclass
class SongGenConditionOutput(ModelOutput):
    """Output of :class:`SongGenConditioner`: the states that condition the decoder.

    With guidance as many rows with fewer conditions follow for each branch.

    Args:
        last_hidden_state: [B, R + L (+ P), H]: states of the voice, of the text and, if the decoder
            reads lyrics by cross-attention, of the lyrics.
        attention_mask: [B, R + L (+ P)] int64.
        lyrics_hidden_states: [B, P, H], if lyrics are prepended to the decoder's input; else None.
        lyrics_attention_mask: [B, P] int64, if lyrics are prepended to the decoder's input.
        hidden_states, attentions: those of each layer of the text encoder, if requested.
    """

    last_hidden_state: Tensor | None = None
    attention_mask: Tensor | None = None
    lyrics_hidden_states: Tensor | None = None
    lyrics_attention_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class SongGenConditioner(PreTrainedModel):
    """Text, lyrics and voice encoders with their projections to the decoder's width H.

    See SongGen (arXiv 2502.13128), section 3.3.
    """

    config: SongGenConfig
    base_model_prefix = "conditioner"
    main_input_name = "input_ids"
    input_modalities = ("text", "audio")
    supports_gradient_checkpointing = True
    _no_split_modules = ["T5Block", "LyricsEncoderLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: SongGenConfig):
        super().__init__(config)
        hidden_size = config.decoder.hidden_size
        self.text_encoder = AutoModelForTextEncoding.from_config(config.text_encoder)
        self.text_projection = nn.Linear(self.text_encoder.config.hidden_size, hidden_size)
        self.lyrics_embedding = nn.Embedding(config.lyrics_encoder.vocab_size, hidden_size)
        if config.use_lyrics_encoder:
            self.lyrics_encoder = SongGenLyricsEncoder._from_config(
                config.lyrics_encoder, input_size=hidden_size
            )
            self.lyrics_projection = nn.Linear(config.lyrics_encoder.output_size, hidden_size)
        self.voice_encoder = SongGenVoiceEncoder(config.voice_encoder)
        self.voice_projection = nn.Linear(config.voice_encoder.hidden_size, hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The table of the text encoder."""
        return self.text_encoder.get_input_embeddings()

    def encode_text(
        self, input_ids: Tensor, attention_mask: Tensor, *, project: bool = True
    ) -> Tensor:
        """Encode text ids [B, L] as states [B, L, H], which are zero where the mask is zero."""
        output = self.text_encoder(input_ids=input_ids, attention_mask=attention_mask)
        return self._text_states(output, attention_mask, project=project)

    def _text_states(self, output: Any, attention_mask: Tensor, *, project: bool) -> Tensor:
        states = output.last_hidden_state
        if project:
            states = self.text_projection(states)
        return states * attention_mask[..., None].to(states.dtype)

    def encode_lyrics(self, lyrics_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode lyrics ids [B, P] as states [B, P, H].

        Raises:
            ValueError: for an id beyond the vocabulary, except in training mode.
        """
        vocab_size = self.config.lyrics_encoder.vocab_size
        if lyrics_ids.shape[1] > MAX_LYRICS_IDS:
            raise ValueError(
                f"the lyrics have {lyrics_ids.shape[1]} ids, expected at most {MAX_LYRICS_IDS}, "
                "more than any song holds; give the words of one song"
            )
        if (
            not torch.compiler.is_compiling()
            and not self.training  # a training step does not wait for the device
            and lyrics_ids.numel()
            and int(lyrics_ids.max()) >= vocab_size
        ):
            raise ValueError(
                f"lyrics_ids hold the id {int(lyrics_ids.max())}, but the checkpoint has "
                f"{vocab_size} lyrics ids; use the lyrics tokenizer that belongs to it"
            )
        states = self.lyrics_embedding(lyrics_ids)
        if self.config.use_lyrics_encoder:
            states = self.lyrics_projection(self.lyrics_encoder(states, attention_mask))
        if self.config.lyrics_positions:
            positions = torch.arange(lyrics_ids.shape[1], device=states.device)
            states = states + sinusoidal_positions(positions, states.shape[-1]).to(states.dtype)
        return states

    def encode_voice(
        self, voice_values: Tensor, attention_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Encode voices [B, S] as states [B, R, H] and their mask [B, R].

        The mask is zero for rows without a voice.
        """
        states = self.voice_projection(self.voice_encoder(voice_values, attention_mask))
        mask = has_voice(voice_values)[:, None].expand(-1, states.shape[1])
        return states, mask.to(torch.int64)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        lyrics_ids: Tensor | None = None,
        lyrics_attention_mask: Tensor | None = None,
        voice_values: Tensor | None = None,
        voice_attention_mask: Tensor | None = None,
        negative_input_ids: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        guidance_branches: Sequence[Branch] = (),
        for_generation: bool = True,
        return_dict: bool = True,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> SongGenConditionOutput:
        """Encode the text, the lyrics and the voice that are given.

        Args:
            input_ids: [B, L] text ids; None for the null text.
            attention_mask: [B, L]; all ones by default.
            lyrics_ids: [B, P]; None leaves out the lyrics states.
            lyrics_attention_mask: [B, P]; all ones by default.
            voice_values: [B, S]; a row of zeros means that no voice is given.
            voice_attention_mask: [B, S], used inside the voice encoder only.
            negative_input_ids: [B, N] text ids that the branches of guidance get in place of the
                null text.
            negative_attention_mask: [B, N]; all ones by default.
            guidance_branches: for each branch the batch is repeated, with the null text, lyrics
                and voice for the conditions that the branch does not keep.
            for_generation: follow ``config.generation_text_projection``; in training the text
                states are always projected.
            return_dict: accepted because ``generate()`` passes it; it has no effect.
            output_attentions, output_hidden_states: whether to return those of the text encoder.

        Raises:
            ValueError: if nothing is given, or if batch sizes differ.
        """
        given = (input_ids, lyrics_ids, voice_values)
        sizes = {tensor.shape[0] for tensor in given if tensor is not None}
        if len(sizes) != 1:
            raise ValueError(
                "text, lyrics and voice must have one batch size: got "
                f"{sorted(sizes) or 'none of them'}; pass input_ids, lyrics_ids or voice_values "
                "with equal first dimensions"
            )
        device = next(tensor for tensor in given if tensor is not None).device
        if input_ids is None:
            input_ids = self.null_ids(self.config.null_text_ids, sizes.pop(), device)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if lyrics_ids is not None and lyrics_attention_mask is None:
            lyrics_attention_mask = torch.ones_like(lyrics_ids)
        if voice_values is not None and for_generation and not bool(has_voice(voice_values).any()):
            voice_values = None  # the voice states of every row would be masked
        if guidance_branches:
            if negative_input_ids is None:
                negative_input_ids = self.null_ids(
                    self.config.null_text_ids, len(input_ids), device
                )
            if negative_attention_mask is None:
                negative_attention_mask = torch.ones_like(negative_input_ids)
            input_ids, attention_mask = self.with_branches(
                (input_ids, attention_mask),
                (negative_input_ids, negative_attention_mask),
                ["text" in kept for kept in guidance_branches],
            )
            if lyrics_ids is not None:
                assert lyrics_attention_mask is not None
                null_ids = self.null_ids(
                    self.config.lyrics_encoder.null_ids, len(lyrics_ids), device
                )
                lyrics_ids, lyrics_attention_mask = self.with_branches(
                    (lyrics_ids, lyrics_attention_mask),
                    (null_ids, torch.ones_like(null_ids)),
                    ["lyrics" in kept for kept in guidance_branches],
                )

        same_width = self.text_projection.in_features == self.text_projection.out_features
        skip = (
            for_generation
            and same_width
            and self.config.generation_text_projection == "if_sizes_differ"
        )
        asked = {
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
        }
        text = self.text_encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            **{name: True for name, value in asked.items() if value},
        )
        if for_generation:
            give_back(self.text_encoder)
        states = [self._text_states(text, attention_mask, project=not skip)]
        masks = [attention_mask.to(torch.int64)]
        prepended: dict[str, Tensor] = {}
        if lyrics_ids is not None:
            assert lyrics_attention_mask is not None
            lyrics_states = self.encode_lyrics(lyrics_ids, lyrics_attention_mask)
            if self.config.lyrics_cross_attention:
                states.append(lyrics_states)
                masks.append(lyrics_attention_mask.to(torch.int64))
            else:
                prepended["lyrics_hidden_states"] = lyrics_states
                prepended["lyrics_attention_mask"] = lyrics_attention_mask.to(torch.int64)
        if voice_values is not None:
            voice_states, voice_mask = self.encode_voice(voice_values, voice_attention_mask)
            if for_generation:
                give_back(self.voice_encoder)
            # A voice is encoded once: in the branches without it, its states are masked.
            kept = [1, *(int("voice" in branch) for branch in guidance_branches)]
            voice_states = voice_states.repeat(len(kept), 1, 1)
            voice_mask = torch.cat([voice_mask * keep for keep in kept])
            states.insert(0, voice_states)
            masks.insert(0, voice_mask)
        return SongGenConditionOutput(
            last_hidden_state=torch.cat(states, dim=1),
            attention_mask=torch.cat(masks, dim=1),
            hidden_states=text.get("hidden_states"),
            attentions=text.get("attentions"),
            **prepended,
        )

    @staticmethod
    def null_ids(ids: list[int] | tuple[int, ...], batch_size: int, device: torch.device) -> Tensor:
        """Return the ids of an empty text or empty lyrics for a batch, [B, len(ids)]."""
        return torch.tensor([list(ids)] * batch_size, dtype=torch.int64, device=device)

    @staticmethod
    def with_branches(
        own: tuple[Tensor, Tensor], null: tuple[Tensor, Tensor], kept: Sequence[bool]
    ) -> tuple[Tensor, Tensor]:
        """Repeat a batch for the branches of guidance.

        Args:
            own: values [B, L] of a condition and their mask [B, L].
            null: the same of the empty condition, [B, N]; the shorter ones are padded.
            kept: whether a branch has ``own`` instead of ``null``.
        Returns:
            Values and mask, [(1 + branches) * B, max(L, N)].
        """
        longest = max(own[0].shape[1], null[0].shape[1])
        chosen = [own, *(own if keep else null for keep in kept)]

        def joined(part: int) -> Tensor:
            tensors = [pair[part] for pair in chosen]
            pad = torch.nn.functional.pad
            return torch.cat([pad(one, (0, longest - one.shape[1])) for one in tensors])

        return joined(0), joined(1)


__all__ = ["SongGenConditionOutput", "SongGenConditioner"]
