"""The nodes: load a model, sing, sing a part again. Sounds are AUDIO values of ComfyUI.

An AUDIO is ``{"waveform": float32 [batch, channels, samples], "sample_rate": Hz}``, which the nodes
PreviewAudio and SaveAudio of ComfyUI take. The nodes need nothing of ComfyUI but its progress bar.
"""

import importlib
from collections.abc import Callable
from typing import Any

import torch

CATEGORY = "audio/songgen"
MODEL, SONG = "SONGGEN_MODEL", "SONGGEN_SONG"
LARGEST_SEED = 2**53 - 1  # the largest integer that the page of ComfyUI represents exactly
Audio = dict[str, Any]


class LoadSongModel:
    """Loads a song model: a folder, a Hub id, or a model of songgen-hf."""

    CATEGORY = CATEGORY
    RETURN_TYPES = (MODEL,)
    RETURN_NAMES = ("model",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The inputs of the node."""
        return {
            "required": {
                "model": ("STRING", {"default": "songgen-mini"}),
                "device": (["auto", "cpu", "cuda", "mps"], {"default": "auto"}),
                "dtype": (["auto", "float32", "bfloat16", "float16"], {"default": "auto"}),
            }
        }

    def load(self, model: str, device: str, dtype: str) -> tuple[Any]:
        """Return the pipeline of a model.

        Raises:
            ValueError: if the model cannot be found.
        """
        from songgen_hf.checkpoints.loading import load_pipeline

        return (load_pipeline(model, device=device, dtype=dtype),)


class Sing:
    """Sings lyrics."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("AUDIO", "AUDIO", "AUDIO", SONG, "STRING")
    RETURN_NAMES = ("mixture", "vocal", "accompaniment", "song", "lrc")
    FUNCTION = "sing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The inputs of the node."""
        text = {"multiline": True, "default": ""}
        return {
            "required": {
                "model": (MODEL,),
                "text": ("STRING", {**text, "default": "a calm ballad, female voice"}),
                "lyrics": ("STRING", text),
                "seed": ("INT", {"default": 0, "min": 0, "max": LARGEST_SEED}),
                "max_seconds": (
                    "FLOAT",
                    {"default": 12.0, "min": 0.5, "max": 300.0, "step": 0.5},
                ),
                "guidance": ("FLOAT", {"default": 2.0, "min": 1.0, "max": 10.0, "step": 0.1}),
                "temperature": ("FLOAT", {"default": 1.0, "min": 0.05, "max": 2.0, "step": 0.05}),
                "steps": ("INT", {"default": 28, "min": 1, "max": 64}),
                "best_of": ("INT", {"default": 1, "min": 1, "max": 16}),
                "timestamps": ("BOOLEAN", {"default": False}),
            },
            "optional": {
                "negative_text": ("STRING", text),
                "voice": ("AUDIO",),
                "continues": (SONG,),
            },
        }

    def sing(
        self,
        model: Any,
        text: str,
        lyrics: str,
        seed: int,
        max_seconds: float,
        guidance: float,
        temperature: float,
        steps: int,
        best_of: int,
        timestamps: bool,
        negative_text: str = "",
        voice: Audio | None = None,
        continues: Any = None,
    ) -> tuple[Audio, Audio, Audio, Any, str]:
        """Generate a song.

        Args:
            model: pipeline of the node LoadSongModel.
            text: style description.
            lyrics: words to sing.
            seed: the same seed gives the same song.
            max_seconds: largest length, in seconds.
            guidance: weight of the conditions; 1 for none.
            temperature: sampling temperature.
            steps: inference steps of a masked model; other models have none.
            best_of: number of takes, of which the best one is returned.
            timestamps: whether the times of the words are read.
            negative_text: style that guidance leads away from; "" for none.
            voice: recording of a voice to sing with.
            continues: song to continue.
        Returns:
            The mixture, vocal and accompaniment (silence for a model of one track), the song for
            other nodes, and its lyrics as LRC, "" without ``timestamps``.
        Raises:
            ValueError: for values that the model refuses.
        """
        arguments = _arguments(model, seed, guidance, temperature, steps, lyrics)
        if negative_text.strip():
            arguments["negative_text"] = negative_text
        if voice is not None:
            arguments |= {"reference_voice": _recording(voice), "separate_voice": "auto"}
        if continues is not None:
            arguments["audio_prompt"] = continues
        if best_of > 1:
            arguments["best_of"] = best_of
        song = model(text, max_seconds=max_seconds, timestamps=timestamps, **arguments)
        return (*_sounds(song), song, song.lrc() if timestamps else "")


class SingAgain:
    """Sings a part or a track of a song again, and keeps the rest."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("AUDIO", "AUDIO", "AUDIO", SONG)
    RETURN_NAMES = ("mixture", "vocal", "accompaniment", "song")
    FUNCTION = "sing_again"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The inputs of the node."""
        second = {"default": 0.0, "min": 0.0, "max": 300.0, "step": 0.1}
        sing = Sing.INPUT_TYPES()["required"]
        names = ("model", "text", "lyrics", "seed", "guidance", "temperature", "steps")
        return {
            "required": {
                **{name: sing[name] for name in names},
                "song": (SONG,),
                "start": ("FLOAT", second),
                "end": ("FLOAT", second),
                "keep_track": (["none", "vocal", "accompaniment"], {"default": "none"}),
            }
        }

    def sing_again(
        self,
        model: Any,
        text: str,
        lyrics: str,
        seed: int,
        guidance: float,
        temperature: float,
        steps: int,
        song: Any,
        start: float,
        end: float,
        keep_track: str,
    ) -> tuple[Audio, Audio, Audio, Any]:
        """Generate a part of a song again.

        Args:
            model, text, lyrics, seed, guidance, temperature, steps: as of :meth:`Sing.sing`.
            song: song of the node Sing, of the same model.
            start, end: region to sing again, in seconds; an end of 0 is the end of the song.
            keep_track: track that stays, "none" for a region of both.
        Returns:
            As :meth:`Sing.sing`, without the lyrics.
        Raises:
            ValueError: for a region outside of the song, or a model of one track.
        """
        arguments = _arguments(model, seed, guidance, temperature, steps, lyrics)
        if keep_track != "none":
            arguments["keep_track"] = keep_track
        again = model(text, song=song, regions=[(start, end or None)], **arguments)
        return (*_sounds(again), again)


def _arguments(
    model: Any, seed: int, guidance: float, temperature: float, steps: int, lyrics: str
) -> dict[str, Any]:
    """The arguments of a pipeline that all nodes share."""
    arguments: dict[str, Any] = {
        "lyrics": lyrics.strip() or None,
        "seed": seed,
        "temperature": temperature,
        "progress": _progress(),
    }
    if guidance != 1.0:
        arguments["guidance_scale"] = guidance
    if model.mode == "masked":
        arguments["num_inference_steps"] = steps
    return arguments


def _progress() -> Callable[[int, int | None], None] | bool:
    """The progress bar of ComfyUI, which also ends a song that was interrupted; False without."""
    try:
        bar_of = importlib.import_module("comfy.utils").ProgressBar
        interrupted = importlib.import_module("comfy.model_management")
    except ImportError:
        return False
    bar: Any = None

    def report(done: int, total: int | None) -> None:
        nonlocal bar
        interrupted.throw_exception_if_processing_interrupted()
        bar = bar_of(total or 1000) if bar is None else bar
        bar.update_absolute(done, total)

    return report


def _sounds(song: Any) -> tuple[Audio, Audio, Audio]:
    """The mixture and the tracks of a song as AUDIO values; a missing track is silence."""
    mixture = torch.from_numpy(song["audio"])
    waves = [mixture] + [
        torch.zeros_like(mixture) if song[name] is None else torch.from_numpy(song[name])
        for name in ("vocal", "accompaniment")
    ]
    rate = song["sampling_rate"]
    first, second, third = ({"waveform": wave[None].float(), "sample_rate": rate} for wave in waves)
    return first, second, third


def _recording(audio: Audio) -> tuple[Any, int]:
    """An AUDIO value in the form that pipelines take: (array [channels, samples], rate)."""
    waveform = audio["waveform"]
    if waveform.ndim != 3 or len(waveform) != 1:
        raise ValueError(
            f"the voice has shape {list(waveform.shape)}: expected one recording, [1, channels, "
            "samples]"
        )
    return waveform[0].cpu().float().numpy(), int(audio["sample_rate"])


NODE_CLASS_MAPPINGS = {
    "SonggenLoadModel": LoadSongModel,
    "SonggenSing": Sing,
    "SonggenSingAgain": SingAgain,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "SonggenLoadModel": "Load Song Model",
    "SonggenSing": "Sing",
    "SonggenSingAgain": "Sing Again",
}

__all__ = [
    "NODE_CLASS_MAPPINGS",
    "NODE_DISPLAY_NAME_MAPPINGS",
    "LoadSongModel",
    "Sing",
    "SingAgain",
]
