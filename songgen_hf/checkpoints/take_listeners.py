"""Listeners that score takes of a song: phoneme recognizers, Whisper models and CLAP models.

A take is heard by networks that the song model was not trained with. The default listener is
``recognizer-mini``, which needs no network connection. It is the first recognizer of the judges, so
songs that it has chosen are to be evaluated by another one (see docs/control.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..data.listening.edit_distance import edit_distance
from ..modeling.audio_io import resample
from ..modeling.checkpoint_files import reading
from .devices import checked_device
from .embedded import RECOGNIZER_NAME, find_checkpoint

Parts = dict[str, float]
Listener = Callable[[Mapping[str, Any]], Parts]
_EXPECTED = (
    f"{RECOGNIZER_NAME}, or the folder or Hub id of a phoneme recognizer, of a Whisper model such "
    "as openai/whisper-small, or of a CLAP model"
)


def take_listener(
    request: Mapping[str, Any],
    rank_by: str | Sequence[str] | None = None,
    *,
    device: str = "cpu",
) -> Listener:
    """Return a function that scores takes of a request.

    Args:
        request: ``text``, ``lyrics`` and ``language`` of the song, and ``keep_track``, if given.
        rank_by: a listener or several: ``recognizer-mini``, a folder or a Hub id; None for
            ``recognizer-mini``.
        device: device of Whisper and CLAP models.
    Returns:
        Function of a song dict: ``phoneme_error_rate`` or ``word_error_rate`` of its vocal, or of
        its mixture if it has no vocal track, and ``clap``, the cosine of text and mixture; with
        ``keep_track`` also ``harmony``, the correlation of the pitch classes of both tracks. What
        does not apply to the request, such as lyrics that it does not have, is left out.
    Raises:
        TypeError: if a name is not a string.
        ValueError: for an unknown listener, or lyrics in a language that it does not know.
        ImportError: if espeak-ng is missing, which pronounces the lyrics for a phoneme recognizer.
    """
    names = [RECOGNIZER_NAME if rank_by is None else rank_by]
    if isinstance(rank_by, Sequence) and not isinstance(rank_by, str):
        names = list(rank_by)
    listeners = [_load(_checked(name), device)(request) for name in names]
    if request.get("keep_track") is not None:
        listeners.append(_hear_harmony)

    def score(take: Mapping[str, Any]) -> Parts:
        parts: Parts = {}
        for listener in listeners:
            parts |= listener(take)
        return parts

    return score


def _checked(name: Any) -> str:
    """Return the folder or Hub id of a listener."""
    if not isinstance(name, str | Path):
        raise TypeError(f"rank_by must be the name of a listener, or a list: got {name!r}")
    found = find_checkpoint(str(name))
    if not Path(found).is_dir() and found.count("/") != 1:
        raise ValueError(f"rank_by is {name!r}: expected {_EXPECTED}")
    return found


@cache
def _load(name: str, device: str) -> Callable[[Mapping[str, Any]], Listener]:
    """Load a listener once per process, by the ``model_type`` of its config."""
    from transformers import PreTrainedConfig

    with reading(name):
        fields, _ = PreTrainedConfig.get_config_dict(name)
    kind = fields.get("model_type")
    if kind in ("songgen_phoneme_recognizer", "songgen_spectrogram_recognizer"):
        return _PhonemeListener(name, kind)
    if kind == "whisper":
        return _WordListener(name, device)
    if kind == "clap":
        return _ClapListener(name, device)
    raise ValueError(f"rank_by is {name!r}, a model of type {kind!r}: expected {_EXPECTED}")


def _sound(take: Mapping[str, Any], key: str, rate: int) -> np.ndarray:
    """A waveform of a take as float32 [S] at a sampling rate; the mixture if there is no other."""
    sound = take["audio"] if take.get(key) is None else take[key]
    mono = np.asarray(sound, np.float32).mean(axis=0)
    return np.ascontiguousarray(resample(mono, int(take["sampling_rate"]), rate))


def _rate(name: str, reference: Sequence[str], heard: Sequence[str]) -> Parts:
    """The share of errors, without anything that is to be heard none at all."""
    return {name: edit_distance(reference, heard) / len(reference)} if reference else {}


def _hear_harmony(take: Mapping[str, Any]) -> Parts:
    """Compare the pitch classes of the vocal with those of the band."""
    from ..data.listening.key import harmony
    from ..data.listening.log_mels import SAMPLING_RATE

    vocal, band = (_sound(take, name, SAMPLING_RATE) for name in ("vocal", "accompaniment"))
    return {"harmony": harmony(vocal, band)}


class _PhonemeListener:
    """Compares the phonemes that a recognizer hears with those of the lyrics."""

    def __init__(self, folder: str, kind: str) -> None:
        from ..data.listening.phoneme_recognizer import PhonemeRecognizer, SpectrogramRecognizer

        networks = (PhonemeRecognizer, SpectrogramRecognizer)
        network = {one.config_class.model_type: one for one in networks}[kind]
        self.name, self.network = folder, network.from_pretrained(folder)

    def __call__(self, request: Mapping[str, Any]) -> Listener:
        from ..data.listening.log_mels import SAMPLING_RATE, log_mels
        from ..data.listening.spelling import ENGLISH, lyrics_words

        reference: list[str] = []
        if (request["lyrics"] or "").strip():
            if (language := request["language"]) not in ENGLISH:
                raise ValueError(
                    f"{Path(self.name).name} hears English lyrics: got language {language!r}; give "
                    "rank_by with a Whisper model, such as openai/whisper-small"
                )
            words = lyrics_words(request["lyrics"])
            reference = [phoneme for word in words for phoneme in word.phonemes]

        def listen(take: Mapping[str, Any]) -> Parts:
            if not reference:
                return {}
            mels = log_mels(_sound(take, "vocal", SAMPLING_RATE))
            return _rate("phoneme_error_rate", reference, self.network.recognize(mels))

        return listen


class _WordListener:
    """Compares the words that a Whisper model hears with the lyrics."""

    def __init__(self, name: str, device: str) -> None:
        from transformers import pipeline
        from transformers.models.whisper.english_normalizer import BasicTextNormalizer

        with reading(name):
            self.pipeline = pipeline(
                "automatic-speech-recognition", model=name, device=checked_device(device)
            )
        self.normalize = BasicTextNormalizer()  # removes the marks of sections, too
        self.multilingual = hasattr(self.pipeline.model.generation_config, "lang_to_id")

    def __call__(self, request: Mapping[str, Any]) -> Listener:
        reference = self.normalize(request["lyrics"] or "").split()
        told = {"language": request["language"], "task": "transcribe"} if self.multilingual else {}
        rate = int(self.pipeline.feature_extractor.sampling_rate)

        def listen(take: Mapping[str, Any]) -> Parts:
            if not reference:
                return {}
            sound = {"raw": _sound(take, "vocal", rate), "sampling_rate": rate}
            # With timestamps, by which Whisper divides songs of more than 30 s.
            options = {**told, "num_beams": 1, "do_sample": False}
            heard = self.pipeline(sound, return_timestamps=True, generate_kwargs=options)
            return _rate("word_error_rate", reference, self.normalize(heard["text"]).split())

        return listen


class _ClapListener:
    """Compares the description with the mixture by the embeddings of a CLAP model."""

    def __init__(self, name: str, device: str) -> None:
        from ..data.listening.clap import ClapEmbedder

        with reading(name):
            self.clap = ClapEmbedder(name, checked_device(device))

    def __call__(self, request: Mapping[str, Any]) -> Listener:
        wanted = self.clap.text([request["text"]])[0] if request["text"].strip() else None

        def listen(take: Mapping[str, Any]) -> Parts:
            if wanted is None:
                return {}
            heard = self.clap.audio(_sound(take, "audio", self.clap.sampling_rate)).mean(axis=0)
            norms = np.linalg.norm(heard) * np.linalg.norm(wanted)
            return {"clap": float(heard @ wanted / max(norms, 1e-9))}

        return listen


__all__ = ["take_listener"]
