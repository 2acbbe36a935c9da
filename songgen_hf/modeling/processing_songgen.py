"""The processor converts text, lyrics, reference voices and audio prompts to the model's inputs.

All ids, rates and lengths are those of its parts: two fast tokenizers (of the style text, at the
root of a saved processor, and of the lyrics, in ``lyrics_tokenizer/``) and two feature extractors
(with the sampling rate of the codec, and with the sampling rate and clip length of the voice
encoder). The processor runs neither the codec nor a separator of vocals.
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from transformers import (
    AutoTokenizer,
    BatchFeature,
    DacFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)
from transformers.processing_utils import ProcessorMixin

from .audio_io import AudioSource, is_rated_array, read_audio, warn_of_voice
from .batched_arguments import check_strings, common_batch_size, one_per_song
from .checkpoint_files import reading
from .checkpoint_names import NamedCheckpointMixin
from .lyrics_languages import LANGUAGES
from .lyrics_normalization import normalize_lyrics, resolve_language
from .lyrics_words import TokenizedWord, sung_words
from .tokenization_songgen import (
    LYRICS_SPACE,
    LYRICS_START,
    LYRICS_STOP,
    lyrics_tokenizer_from_vocab,
)

DEFAULT_VOICE_SECONDS = 3.0

_TOKENIZER_ARGUMENTS = ("padding", "truncation", "max_length", "pad_to_multiple_of")


class SongGenProcessor(NamedCheckpointMixin, ProcessorMixin):
    """Processor of style text, lyrics, a reference voice and an audio prompt for one song or more.

    Args:
        tokenizer: tokenizer of the style text.
        lyrics_tokenizer: tokenizer of the normalized lyrics, see
            :func:`lyrics_tokenizer_from_vocab`.
        feature_extractor: feature extractor with the sampling rate of the codec.
        voice_feature_extractor: feature extractor that normalizes the reference voice, with its
            sampling rate and, as ``chunk_length_s``, the seconds of voice that the model uses
            (3 if it is not set).
    Raises:
        ValueError: if the lyrics tokenizer lacks the start token of lyrics.
    """

    lyrics_tokenizer: Any
    voice_feature_extractor: Any

    def __init__(
        self,
        tokenizer: Any,
        lyrics_tokenizer: Any,
        feature_extractor: Any,
        voice_feature_extractor: Any,
    ) -> None:
        super().__init__(
            tokenizer=tokenizer,
            lyrics_tokenizer=lyrics_tokenizer,
            feature_extractor=feature_extractor,
            voice_feature_extractor=voice_feature_extractor,
        )
        # If the folder of the lyrics tokenizer cannot be loaded, transformers uses the text
        # tokenizer in its place, with no more than a warning.
        if LYRICS_START not in lyrics_tokenizer.get_vocab():
            raise ValueError(
                f"the lyrics tokenizer has no {LYRICS_START} token, so it is another tokenizer; "
                "pass one made by lyrics_tokenizer_from_vocab, or restore lyrics_tokenizer/"
            )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None, *args: Any, **kwargs: Any
    ) -> Any:
        """Load a processor; arguments are those of ``from_pretrained`` of transformers.

        Raises:
            ValueError, OSError: naming the folder, if a file is missing or damaged.
        """
        with reading(pretrained_model_name_or_path):
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    @classmethod
    def for_reference_checkpoint(
        cls,
        text_tokenizer: Any = "google/flan-t5-large",
        *,
        lyrics_vocab: str | os.PathLike = "coqui/XTTS-v2",
        **hub_options: Any,
    ) -> "SongGenProcessor":
        """Create the processor of a published SongGen checkpoint, which has no lyrics vocabulary.

        Args:
            text_tokenizer: the T5 tokenizer, or a folder or Hub repository that holds it.
            lyrics_vocab: a JSON file of the tokenizers library, or a Hub repository that holds a
                ``vocab.json``.
            **hub_options: ``cache_dir``, ``token``, ``local_files_only`` for both downloads.
        Raises:
            ValueError: if the vocabulary or the tokenizer cannot be found or is not valid.
        """
        if isinstance(text_tokenizer, str | os.PathLike):
            try:
                text_tokenizer = AutoTokenizer.from_pretrained(text_tokenizer, **hub_options)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"cannot load the text tokenizer {str(text_tokenizer)!r}; pass text_tokenizer= "
                    "with a folder that holds the files of a T5 tokenizer"
                ) from error
        return cls(
            tokenizer=text_tokenizer,
            lyrics_tokenizer=lyrics_tokenizer_from_vocab(lyrics_vocab, **hub_options),
            feature_extractor=DacFeatureExtractor(sampling_rate=16000, hop_length=320),
            voice_feature_extractor=build_voice_feature_extractor(),
        )

    @property
    def model_input_names(self) -> list[str]:
        """Names of the inputs that a call without an audio prompt returns, in their order."""
        return [
            "input_ids",
            "attention_mask",
            "lyrics_ids",
            "lyrics_attention_mask",
            "voice_values",
            "voice_attention_mask",
        ]

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of audio prompts and songs, in Hz."""
        return self.feature_extractor.sampling_rate

    @property
    def voice_seconds(self) -> float:
        """Seconds of reference voice that the model uses."""
        seconds = getattr(self.voice_feature_extractor, "chunk_length_s", None)
        return DEFAULT_VOICE_SECONDS if seconds is None else seconds

    def __call__(
        self,
        text: str | Sequence[str | None] | None = None,
        lyrics: str | Sequence[str | None] | None = None,
        *,
        reference_voice: AudioSource | list[AudioSource | None] | None = None,
        audio: AudioSource | list[AudioSource] | None = None,
        language: str | Sequence[str] = "en",
        voice_start: float | Sequence[float] = 0.0,
        negative_text: str | Sequence[str | None] | None = None,
        sampling_rate: int | None = None,
        return_tensors: str | None = "pt",
        text_kwargs: Mapping[str, Any] | None = None,
        lyrics_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare the inputs of one song or of a batch of songs.

        A list holds one value for each of the B songs of a batch, and all lists must have the same
        length. Any other value belongs to the one song, or is shared by all songs of the batch.
        ``None``, alone or in a list, means that nothing is given.

        Args:
            text: style description of the song.
            lyrics: lyrics of the song; line ends become full stops.
            reference_voice: recording of a voice in one of the forms of ``AudioSource``, of any
                sampling rate, mono or stereo. The seconds from ``voice_start`` to
                ``voice_start + 3`` are used. Silence means no voice.
            audio: beginning of the song to continue; for dual-track models a tuple
                ``(accompaniment, vocal)``.
            language: code of the language of the lyrics.
            voice_start: position, in seconds, at which the used part of the reference voice begins.
            negative_text: description that guidance leads away from.
            sampling_rate: sampling rate, in Hz, of arrays that ``reference_voice`` and ``audio``
                hold without one.
            return_tensors: "pt" or "np".
            text_kwargs: arguments of the text tokenizer, over ``kwargs``.
            lyrics_kwargs: arguments of the lyrics tokenizer, over ``kwargs``.
            kwargs: arguments of both tokenizers: ``padding`` (True unless given), ``truncation``,
                ``max_length``, ``pad_to_multiple_of``.
        Returns:
            ``input_ids``, ``attention_mask`` [B, L] int64; ``lyrics_ids`` and
            ``lyrics_attention_mask`` [B, P] int64; ``voice_values`` [B, S] float32 and
            ``voice_attention_mask`` [B, S] int64 (both zero where no voice is given); with
            ``negative_text`` also ``negative_input_ids`` and ``negative_attention_mask`` [B, N]
            int64; with ``audio`` also ``input_values`` [B, tracks, S] float32 at the codec's rate
            and ``padding_mask`` [B, S] int64.
        Raises:
            TypeError: if an argument is unknown or of the wrong type.
            ValueError: if lists have different lengths, or if audio or a language cannot be used.
        """
        if unknown := sorted(set(kwargs) - set(_TOKENIZER_ARGUMENTS)):
            raise TypeError(
                f"unknown argument of the processor: got {', '.join(unknown)}, expected some of "
                f"{', '.join(_TOKENIZER_ARGUMENTS)}, text_kwargs or lyrics_kwargs besides its own"
            )
        batch_size = common_batch_size(
            text=text, lyrics=lyrics, reference_voice=reference_voice, audio=audio
        )
        languages = one_per_song(language, batch_size, "language")
        starts = one_per_song(voice_start, batch_size, "voice_start")
        text_options = {**kwargs, **(text_kwargs or {})}
        data = self._prepare_text(one_per_song(text, batch_size, "text"), text_options)
        data |= self._prepare_lyrics(
            one_per_song(lyrics, batch_size, "lyrics"),
            languages,
            {**kwargs, **(lyrics_kwargs or {})},
        )
        data |= self.prepare_voice(
            one_per_song(reference_voice, batch_size, "reference_voice"), starts, sampling_rate
        )
        negative = one_per_song(negative_text, batch_size, "negative_text")
        if any(words is not None for words in negative):
            encoded = self._prepare_text(negative, text_options, name="negative_text")
            data |= {f"negative_{name}": values for name, values in encoded.items()}
        if audio is not None:
            data |= self._prepare_audio(one_per_song(audio, batch_size, "audio"), sampling_rate)
        return BatchFeature(data, tensor_type=return_tensors)

    def decode_lyrics(self, lyrics_ids: Any, skip_special_tokens: bool = False) -> str:
        """Decode the lyrics ids of one song to text; the end mark is left out.

        Args:
            lyrics_ids: [P] ids, as an array, a tensor or a list.
            skip_special_tokens: whether to leave out the marks of the start, of the language and of
                unknown characters too.
        """
        ids = np.asarray(lyrics_ids).reshape(-1).tolist()
        tokenizer = self.lyrics_tokenizer
        hidden = {LYRICS_STOP}
        if skip_special_tokens:
            added = tokenizer.added_tokens_decoder.values()
            hidden |= {token.content for token in added if token.special}
        hidden.discard(LYRICS_SPACE)
        pieces = [token for token in tokenizer.convert_ids_to_tokens(ids) if token not in hidden]
        return "".join(" " if piece == LYRICS_SPACE else piece for piece in pieces)

    def batch_decode_lyrics(self, lyrics_ids: Any, skip_special_tokens: bool = False) -> list[str]:
        """Decode the lyrics ids of several songs, [B, P] or a list of rows, to texts.

        See :meth:`decode_lyrics`.
        """
        return [self.decode_lyrics(row, skip_special_tokens) for row in lyrics_ids]

    def tag_lyrics(self, lyrics: str | None, language: str) -> str:
        """Return the text for the lyrics tokenizer: a language tag and the normalized lyrics.

        Spaces are replaced by their mark.

        Raises:
            ValueError: for a language that the tokenizer or the normalization does not support.
        """
        tag = f"[{LANGUAGES[resolve_language(language)].tag}]"
        if tag not in self.lyrics_tokenizer.get_vocab():
            raise ValueError(
                f"the lyrics tokenizer of this model has no {tag} token for language "
                f"{language!r}; choose another language"
            )
        return tag + normalize_lyrics(lyrics or "", language).replace(" ", LYRICS_SPACE)

    def lyrics_words(
        self, lyrics: str, language: str = "en"
    ) -> tuple[list[TokenizedWord], list[str]]:
        """Return the words of lyrics that are to be sung, with their tokens, and the lines."""
        return sung_words(
            lyrics,
            self.tag_lyrics(lyrics, language),
            self.lyrics_tokenizer,
            partial(self.tag_lyrics, language=language),
        )

    def _prepare_text(
        self, texts: Sequence[str | None], options: Mapping[str, Any], *, name: str = "text"
    ) -> dict[str, np.ndarray]:
        check_strings(texts, name)
        encoded = _tokenized(self.tokenizer, [text or "" for text in texts], options)
        return dict(zip(("input_ids", "attention_mask"), encoded, strict=True))

    def _prepare_lyrics(
        self,
        lyrics: Sequence[str | None],
        languages: Sequence[str],
        options: Mapping[str, Any],
    ) -> dict[str, np.ndarray]:
        check_strings(lyrics, "lyrics")
        tagged = [
            self.tag_lyrics(words, language)
            for words, language in zip(lyrics, languages, strict=True)
        ]
        encoded = _tokenized(self.lyrics_tokenizer, tagged, options)
        return dict(zip(("lyrics_ids", "lyrics_attention_mask"), encoded, strict=True))

    def prepare_voice(
        self,
        voices: Sequence[AudioSource | None],
        starts: Sequence[float],
        sampling_rate: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Prepare the reference voices of a batch alone, see :meth:`__call__`.

        Returns:
            ``voice_values`` [B, S] float32 and ``voice_attention_mask`` [B, S] int64.
        """
        extractor = self.voice_feature_extractor
        rate = extractor.sampling_rate
        num_samples = round(self.voice_seconds * rate)
        values = np.zeros((len(voices), num_samples), dtype=np.float32)
        mask = np.zeros((len(voices), num_samples), dtype=np.int64)
        for row, (voice, start) in enumerate(zip(voices, starts, strict=True)):
            if voice is None:
                continue
            if row and voice is voices[row - 1] and start == starts[row - 1]:
                values[row], mask[row] = values[row - 1], mask[row - 1]
                continue
            clip = read_audio(
                voice, rate, sampling_rate=sampling_rate, start=start, duration=self.voice_seconds
            )
            warn_of_voice(clip, rate)
            features = extractor(
                clip,
                sampling_rate=rate,
                padding="max_length",
                max_length=num_samples,
                truncation=True,
                return_attention_mask=True,
                return_tensors="np",
            )
            values[row] = features["input_values"][0]
            mask[row] = features["attention_mask"][0]
        return {"voice_values": values, "voice_attention_mask": mask}

    def _prepare_audio(
        self, prompts: Sequence[AudioSource], sampling_rate: int | None
    ) -> dict[str, np.ndarray]:
        songs: list[np.ndarray] = []
        for row, prompt in enumerate(prompts):
            if prompt is None:
                raise ValueError("audio must be given for every song of a batch or for none")
            if row and prompt is prompts[row - 1]:
                songs.append(songs[-1])
                continue
            is_pair = isinstance(prompt, tuple) and not is_rated_array(prompt)
            tracks = [
                read_audio(track, self.sampling_rate, sampling_rate=sampling_rate)
                for track in (prompt if is_pair else (prompt,))
            ]
            songs.append(_equal_length(tracks, self.sampling_rate))  # [tracks, S]
        if len({len(song) for song in songs}) > 1:
            raise ValueError(
                f"audio prompts of one batch must have the same number of tracks, got "
                f"{[len(song) for song in songs]}"
            )
        longest = max(song.shape[1] for song in songs)
        values = np.zeros((len(songs), len(songs[0]), longest), dtype=np.float32)
        mask = np.zeros((len(songs), longest), dtype=np.int64)
        for row, song in enumerate(songs):
            values[row, :, : song.shape[1]] = song
            mask[row, : song.shape[1]] = 1
        return {"input_values": values, "padding_mask": mask}


def build_voice_feature_extractor(
    sampling_rate: int = 24000, voice_seconds: float = DEFAULT_VOICE_SECONDS
) -> Wav2Vec2FeatureExtractor:
    """Create the feature extractor of the voice encoder.

    It normalizes clips to zero mean and unit variance and pads them with zeros.
    """
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=sampling_rate,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=True,
        chunk_length_s=voice_seconds,
    )


def _equal_length(tracks: list[np.ndarray], rate: int) -> np.ndarray:
    """Cut the tracks of an audio prompt to the shortest one and stack them, [tracks, S].

    Raises:
        ValueError: for more than two tracks, or if their lengths differ by more than 0.1 seconds.
    """
    if len(tracks) > 2:
        raise ValueError(
            f"an audio prompt is one recording or (accompaniment, vocal), got {len(tracks)} tracks"
        )
    lengths = [len(track) for track in tracks]
    if max(lengths) - min(lengths) > rate / 10:
        seconds = " and ".join(f"{length / rate:.2f} s" for length in lengths)
        raise ValueError(f"the two tracks of an audio prompt must last equally long, got {seconds}")
    return np.stack([track[: min(lengths)] for track in tracks])


def _tokenized(
    tokenizer: Any, texts: list[str], options: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and attention mask [B, L] of a batch.

    Raises:
        ValueError: if the texts have different lengths and padding is off.
    """
    encoded = tokenizer(texts, return_attention_mask=True, **{"padding": True, **options})
    lengths = {len(row) for row in encoded["input_ids"]}
    if len(lengths) > 1:
        raise ValueError(
            f"padding is off and the rows have {min(lengths)} to {max(lengths)} ids, expected one "
            "length; leave padding at True"
        )
    ids, mask = (np.asarray(encoded[name], np.int64) for name in ("input_ids", "attention_mask"))
    return ids, mask


__all__ = ["SongGenProcessor", "build_voice_feature_extractor"]
