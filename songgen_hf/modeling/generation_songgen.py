"""Generation of songs with ``generate()`` of transformers, through hooks of ``GenerationMixin``.

Inside the loop of transformers a song is ``rows`` independent sequences, [B * rows, L]. The token
pattern and the seeds are logits processors; guidance is a doubled batch in the conditioner and in
the model's input. The settings of a call are kept in its generation config and keyword arguments,
not on the model, so that calls do not affect one another.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, LogitsProcessorList
from transformers.generation import GenerationMode
from transformers.generation.utils import GenerateEncoderDecoderOutput
from transformers.utils import logging

from .compiled_steps import compiled_generation, fit_shapes, fits_any_length, many_shapes
from .config_checks import check_generation_settings
from .configuration_songgen import SongGenConfig
from .ended_songs import LIVING_SONGS, living_songs
from .growing_cache import grow_between_steps, grow_in_place, make_room
from .guidance import Guidance, GuidanceLogitsProcessor, check_negative, given_conditions
from .int8_layers import compile_layers
from .logits_process import (
    CodebookPatternLogitsProcessor,
    SeededSamplingLogitsProcessor,
    StepProcessors,
    song_seeds,
)
from .lyrics_attention import LyricsAttentionMixin
from .patterns import FREE, CodebookPattern, known_beginning

logger = logging.get_logger(__name__)
DEFAULT_FRAMES = 1500


def default_generation_config(config: SongGenConfig) -> GenerationConfig:
    """Return the generation settings of a new model or of a loaded reference checkpoint.

    The reference inherits ``top_k=50`` from transformers 4 and can sample special ids, whose frames
    it drops before decoding. Here ``top_k`` is set, and the ids above the end mark are suppressed.
    """
    decoder = config.decoder
    end = decoder.eos_token_id
    return GenerationConfig(
        max_length=decoder.pattern.stride * DEFAULT_FRAMES,
        do_sample=True,
        top_k=50,
        suppress_tokens=[i for i in range(decoder.codebook_size, decoder.vocab_size) if i != end],
        pad_token_id=decoder.pad_token_id,
        bos_token_id=decoder.bos_token_id,
        eos_token_id=end,
        decoder_start_token_id=config.decoder_start_token_id,
    )


@dataclass
class SongGenGenerateOutput(GenerateEncoderDecoderOutput):
    """Output of ``generate(return_dict_in_generate=True)``, with the codes of the songs.

    Args:
        codes: int64 [B, tracks, K, T].
        sequences: int64 [B * rows, L], the codes in their token pattern.
    """

    codes: Tensor | None = None


class SongGenGenerationMixin(LyricsAttentionMixin, GenerationMixin):
    """Adds the generation of songs with ``generate()`` to a model.

    ``generate()`` takes the arguments of transformers, ``lyrics_ids``, ``lyrics_attention_mask``,
    ``voice_values``, ``voice_attention_mask`` and:

    - ``audio_prompt_codes`` [B, tracks, K, S]: the beginning of each song, which is part of the
      result;
    - ``known_codes`` [B, tracks, K, S] instead: codes that are part of the result wherever they
      are, with -1 for the codes to generate. No song ends before its last known code. The prompt
      is then the longest beginning of which all codes are known in all songs;
    - ``max_new_frames`` and ``min_new_frames``: the largest and the smallest number of frames per
      track, without the prompt;
    - ``guidance_scale``, ``guidance_schedule`` and ``guidance_interval``, see ``Guidance.of``; the
      steps that they count are those of the longest song. Every branch of guidance repeats the
      batch once;
    - ``negative_input_ids`` and ``negative_attention_mask`` [B, L]: a text that guidance leads
      away from, in place of the null text;
    - ``compile``: whether the steps are compiled, see ``compiled_generation``;
    - ``seed``: one int for each song, or one int, from which the songs of the batch count up.

    It returns codes [B * num_return_sequences, tracks, K, T]. Track 0 is the accompaniment or the
    mixture, track 1 the vocal; frames after the end of a row hold the pad id.
    """

    config: SongGenConfig
    output_modalities = ("audio",)

    def generate_batch(self, *_: Any, **__: Any) -> Any:
        """Refused: continuous batching knows no token patterns."""
        raise NotImplementedError(
            "generate_batch (continuous batching) cannot follow the token pattern of a song: call "
            "generate() with a batch"
        )

    @property
    def pattern(self) -> CodebookPattern:
        """The token pattern of the decoder."""
        return self.config.decoder.pattern

    def _prepare_generation_config(
        self, generation_config: GenerationConfig | None, **kwargs: Any
    ) -> tuple[GenerationConfig, dict[str, Any]]:
        if kwargs.pop("compile", False):
            kwargs |= compiled_generation(self.device)
        course = {
            name: kwargs.pop(name, None) for name in ("guidance_schedule", "guidance_interval")
        }
        max_new_frames = kwargs.pop("max_new_frames", None)
        min_new_frames = kwargs.pop("min_new_frames", None)
        for name, value in (("max_new_frames", max_new_frames), ("min_new_frames", min_new_frames)):
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be a whole number from 1 up: got {value!r}")
        if max_new_frames is not None:
            # A placeholder until the length of the prompt is known.
            kwargs["max_new_tokens"] = max_new_frames
        generation_config, model_kwargs = super()._prepare_generation_config(
            generation_config, **kwargs
        )
        check_generation_settings(generation_config, self.config.decoder.vocab_size)
        if generation_config.get_generation_mode() not in (
            GenerationMode.GREEDY_SEARCH,
            GenerationMode.SAMPLE,
        ):
            raise ValueError(
                "songs are generated greedily or by sampling: got mode "
                f"{generation_config.get_generation_mode()}; set num_beams=1 and leave beam, "
                "contrastive and lookup options unset"
            )
        generation_config._max_new_frames = max_new_frames
        generation_config._min_new_frames = min_new_frames
        guidance = Guidance.of_call(generation_config, **course)
        # Encoded conditions cannot be told apart; they are left out together.
        encoded = model_kwargs.get("encoder_outputs") is not None
        null_lyrics = self.config.lyrics_encoder.null_ids
        given = ("text",) if encoded else given_conditions(model_kwargs, null_lyrics)
        branches = guidance.branches(given)
        check_negative(model_kwargs, branches)
        if branches:
            model_kwargs["guidance_branches"] = branches
            dropped = {name for name in given for kept in branches if name not in kept}
            seen = getattr(generation_config, "droppable_conditions", None)
            if seen is not None and (unseen := sorted(dropped - set(seen))):
                logger.warning_once(
                    f"This model was not trained without {' and '.join(unseen)}, which guidance "
                    "leaves out in a part of the batch: guidance may not help."
                )
        generation_config._guidance, generation_config._given_conditions = guidance, given
        return generation_config, model_kwargs

    def _validate_generation_mode(
        self, generation_mode, generation_config, generation_mode_kwargs
    ) -> None:  # type: ignore[no-untyped-def]
        if generation_mode == GenerationMode.ASSISTED_GENERATION:
            raise ValueError(
                "assisted decoding drafts one sequence, a song has several rows: got an assistant "
                "model; call generate without assistant_model"
            )
        super()._validate_generation_mode(
            generation_mode, generation_config, generation_mode_kwargs
        )

    def _maybe_initialize_input_ids_for_generation(
        self, inputs, bos_token_id, model_kwargs
    ) -> Tensor:  # type: ignore[no-untyped-def]
        if inputs is None and model_kwargs.get("encoder_outputs") is None:
            given = [
                model_kwargs.get(name)
                for name in ("lyrics_ids", "voice_values", "audio_prompt_codes")
            ]
            sizes = [tensor.shape[0] for tensor in given if tensor is not None]
            return self.conditioner.null_ids(
                self.config.null_text_ids, sizes[0] if sizes else 1, self.device
            )
        return super()._maybe_initialize_input_ids_for_generation(
            inputs, bos_token_id, model_kwargs
        )

    def _prepare_decoder_input_ids_for_generation(
        self,
        batch_size: int,
        model_input_name: str,
        model_kwargs: dict[str, Any],
        decoder_start_token_id: Tensor,
        device: torch.device | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the first columns, in which nothing has to be predicted: [B, rows, L0]."""
        if model_kwargs.pop("decoder_input_ids", None) is not None:
            raise ValueError(
                "decoder_input_ids is not an argument of generate here; pass the beginning of a "
                "song as audio_prompt_codes [B, tracks, K, S], codes without the token pattern"
            )
        pattern, decoder = self.pattern, self.config.decoder
        start = int(decoder_start_token_id.flatten()[0])
        prompt = self._known_codes(model_kwargs)
        num_prompt_frames = 0
        if prompt is not None:
            # generate() repeats the tensors of the keyword arguments for num_return_sequences.
            model_kwargs["known_codes"] = prompt
            num_prompt_frames = known_beginning(prompt)
            prompt = prompt[..., :num_prompt_frames]
        num_columns = pattern.first_free_step(num_prompt_frames)
        columns = pattern.forced_ids(
            num_columns,
            num_prompt_frames + num_columns,
            start,
            decoder.pad_token_id,
            device,
            prompt,
        )
        return columns.expand(batch_size, -1, -1).contiguous(), model_kwargs

    def _known_codes(self, model_kwargs: dict[str, Any]) -> Tensor | None:
        """The checked known codes [B, tracks, K, S] of a call, -1 where they are free."""
        given = {
            name: value
            for name in ("audio_prompt_codes", "known_codes")
            if (value := model_kwargs.pop(name, None)) is not None
        }
        if not given:
            return None
        if len(given) == 2:
            raise ValueError(
                "audio_prompt_codes and known_codes were both given: give known_codes alone, which "
                "can hold the beginning, too"
            )
        ((name, codes),) = given.items()
        self.pattern.check_codes(codes, name)
        if codes.shape[0] != self._num_songs(model_kwargs):
            raise ValueError(
                f"{name} must hold one entry for each song: got {codes.shape[0]} for "
                f"{self._num_songs(model_kwargs)} songs"
            )
        lowest, size = (FREE if name == "known_codes" else 0), self.config.decoder.codebook_size
        if codes.numel() and not lowest <= int(codes.min()) <= int(codes.max()) < size:
            raise ValueError(
                f"{name} must lie in [{lowest}, {size}): got [{int(codes.min())}, "
                f"{int(codes.max())}]; cut the frames that hold special ids"
            )
        return codes

    @staticmethod
    def _num_songs(model_kwargs: dict[str, Any]) -> int:
        branches = model_kwargs.get("guidance_branches") or ()
        return model_kwargs["encoder_outputs"][0].shape[0] // (1 + len(branches))

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **model_kwargs: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        # The ids are three-dimensional until here, so that num_return_sequences keeps the rows of a
        # song together.
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        return input_ids.reshape(-1, input_ids.shape[-1]), model_kwargs

    def _prepare_generated_length(
        self, generation_config: GenerationConfig, **kwargs: Any
    ) -> GenerationConfig:
        pattern, columns = self.pattern, kwargs["input_ids_length"]
        num_prompt_frames = (columns - 1) // pattern.stride
        max_new_frames = generation_config._max_new_frames
        configured = generation_config.max_length
        if max_new_frames is not None:
            num_frames = num_prompt_frames + max_new_frames
            generation_config.max_new_tokens = pattern.num_steps(num_frames) - columns
            generation_config.max_length = None
            kwargs["has_default_max_length"] = True
            generation_config = super()._prepare_generated_length(generation_config, **kwargs)
        else:
            generation_config = super()._prepare_generated_length(generation_config, **kwargs)
            limit = generation_config.max_length
            num_frames = pattern.num_frames(limit)
            if pattern.num_tracks > 1:
                # Matches upstream: with two tracks the configured length determines where the
                # closing padding begins, also if max_new_tokens is given.
                if generation_config.max_new_tokens is not None and configured is not None:
                    limit = configured
                num_frames = limit - pattern.num_codebooks
        generation_config._num_frames = num_frames
        min_new_frames = generation_config._min_new_frames
        generation_config._min_frames = min_new_frames and num_prompt_frames + min_new_frames
        return generation_config

    def _prepare_cache_for_generation(  # type: ignore[no-untyped-def]
        self, generation_config, model_kwargs, generation_mode, batch_size, max_cache_length
    ) -> None:
        conditions = model_kwargs["encoder_outputs"]
        lyrics = conditions.get("lyrics_hidden_states")
        is_given = model_kwargs.get("past_key_values") is not None
        if lyrics is not None:
            max_cache_length += lyrics.shape[1]
        any_length, kept_in = fits_any_length(generation_config, conditions), None
        if generation_config.compile_config is not None:
            if compile_layers(self.decoder):
                kept_in = torch.bfloat16  # finer than the integers of the weights
            max_cache_length = fit_shapes(model_kwargs, max_cache_length, any_length)
        super()._prepare_cache_for_generation(
            generation_config, model_kwargs, generation_mode, batch_size, max_cache_length
        )
        if (cache := model_kwargs.get("past_key_values")) is not None and not is_given:
            grow_in_place(cache, max_cache_length, conditions["last_hidden_state"].shape[1])
            if any_length:
                grow_between_steps(cache, kept_in)
        num_songs = self._num_songs(model_kwargs)
        model_kwargs[LIVING_SONGS] = living_songs(generation_config, model_kwargs, num_songs)

    def _get_logits_processor(  # type: ignore[no-untyped-def]
        self, generation_config, logits_processor=None, model_kwargs=None, device=None, **kwargs
    ) -> LogitsProcessorList:
        num_songs = self._num_songs(model_kwargs)
        pattern = CodebookPatternLogitsProcessor(
            self.pattern,
            max_steps=generation_config.max_length,
            num_frames=generation_config._num_frames,
            min_frames=generation_config._min_frames or 0,
            bos_token_id=generation_config.decoder_start_token_id,
            pad_token_id=generation_config.pad_token_id,
            eos_token_id=self.config.decoder.eos_token_id,
            known_codes=model_kwargs.get("known_codes"),  # already expanded to one per song
            device=device,
        )
        # With this scale transformers would add guidance for decoder-only models, which runs the
        # model again. Here the batch is doubled instead.
        guidance_scale, generation_config.guidance_scale = generation_config.guidance_scale, None
        try:
            stock = super()._get_logits_processor(
                generation_config=generation_config,
                logits_processor=LogitsProcessorList([pattern, *(logits_processor or [])]),
                model_kwargs=model_kwargs,
                device=device,
                **kwargs,
            )
        finally:
            generation_config.guidance_scale = guidance_scale
        processors = StepProcessors()
        if model_kwargs.get("guidance_branches"):
            processors.append(
                GuidanceLogitsProcessor(
                    generation_config._guidance,
                    generation_config._given_conditions,
                    num_steps=generation_config.max_length,
                    first_step=kwargs.get("input_ids_seq_length", 1),
                )
            )
        processors.extend([*stock, pattern])
        seed = model_kwargs.get("seed")
        if seed is not None and generation_config.do_sample:
            processors.append(
                SeededSamplingLogitsProcessor(
                    song_seeds(seed, num_songs), self.pattern.num_rows, device
                )
            )
            generation_config.do_sample = False  # The loop has nothing left to draw.
        return processors

    def prepare_inputs_for_generation(  # type: ignore[no-untyped-def]
        self,
        input_ids,
        next_sequence_length=None,
        past_key_values=None,
        encoder_outputs=None,
        guidance_branches=(),
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        logits_to_keep=0,
        # Named so that generate() accepts them; they are used before the first step only.
        attention_mask=None,
        lyrics_ids=None,
        lyrics_attention_mask=None,
        voice_values=None,
        voice_attention_mask=None,
        negative_input_ids=None,
        negative_attention_mask=None,
        audio_prompt_codes=None,
        known_codes=None,
        seed=None,
        **kwargs,
    ) -> dict[str, Any]:
        ids = input_ids.view(-1, self.pattern.num_rows, input_ids.shape[-1])
        if (songs := kwargs.get(LIVING_SONGS)) is not None:
            ids, encoder_outputs = songs.select(ids, encoder_outputs, past_key_values)
        length = ids.shape[-1]
        make_room(past_key_values, length)
        if next_sequence_length is not None:
            ids = ids[..., -next_sequence_length:]
        if guidance_branches:
            ids = ids.repeat(1 + len(guidance_branches), 1, 1)
        inputs = {
            "decoder_input_ids": ids.contiguous(),
            "encoder_outputs": encoder_outputs,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
            "logits_to_keep": logits_to_keep,
        }
        lyrics_mask = encoder_outputs.get("lyrics_attention_mask")
        if lyrics_mask is not None:
            # The padding of prepended lyrics is hidden at every step. A static cache gets a mask of
            # its full length, so that the compiler sees constant shapes; the causal mask hides
            # later steps.
            cache = getattr(past_key_values, "self_attention_cache", None)
            if cache is not None and cache.is_compileable:
                length = cache.get_max_length() - lyrics_mask.shape[1]
            inputs["decoder_attention_mask"] = lyrics_mask.new_ones(lyrics_mask.shape[0], length)
            inputs["prepend_lyrics"] = next_sequence_length is None
        return inputs

    def _update_model_kwargs_for_generation(
        self, outputs: Any, model_kwargs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        if (songs := model_kwargs.get(LIVING_SONGS)) is not None:
            outputs.logits = songs.put_back(outputs.logits)
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, **kwargs)

    def _sample(
        self, input_ids: Tensor, *args: Any, **kwargs: Any
    ) -> SongGenGenerateOutput | Tensor:
        """Run the sampling loop of transformers and undo the token pattern."""
        with many_shapes(kwargs["generation_config"]):
            output = super()._sample(input_ids, *args, **kwargs)
        sequences = output if isinstance(output, Tensor) else output.sequences
        codes = self.pattern.revert(sequences.view(-1, self.pattern.num_rows, sequences.shape[-1]))
        if isinstance(output, Tensor):
            return codes
        return SongGenGenerateOutput(codes=codes, **output)


__all__ = ["SongGenGenerateOutput", "SongGenGenerationMixin", "default_generation_config"]
