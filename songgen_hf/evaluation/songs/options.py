"""Options of measuring a folder of songs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...data.preparation.option_checks import check_at_least


@dataclass(frozen=True, kw_only=True)
class SongsOptions:
    """What is measured, and with which models; a metric without its model is left out.

    Models are folders or Hub ids, which may end in ``@`` and a branch, tag or commit.

    Args:
        generated: folder of the songs.
        out: JSON card to write; beside it, the same with the ending .md and the rows of all songs,
            .rows.jsonl.
        reference: folder of real songs; those with the name of a generated song are its pair.
        prompts: JSON or JSON lines with the id of each song (its file name), text, lyrics, voice (a
            sound file), tempo and key (default: the JSON and text files beside the songs).
        clap: CLAP model for the score of descriptions and a Frechet distance, such as
            laion/larger_clap_music.
        clap_hop: seconds from one window of CLAP to the next; fadtk uses 1 (default: the window's
            length).
        frames: MERT, HuBERT or WavLM model for a Frechet distance, such as m-a-p/MERT-v1-95M.
        frames_layer: layer of that model (default: the last).
        vggish: weights of VGGish for a Frechet distance, a file or folder.
        tagger: classifier of sounds for the divergence of tags, such as
            MIT/ast-finetuned-audioset-10-10-0.4593.
        recognizer: speech recognition model for the word and phoneme error rate, such as
            openai/whisper-large-v3; recognizer-mini (in the package) for that of phonemes alone.
        normalizer: what is done with both texts before words are counted.
        language: language that a multilingual recognizer is told.
        singer: x-vector model for the similarity of the voice, such as
            microsoft/wavlm-base-plus-sv.
        resemblyzer: weights of Resemblyzer's voice encoder for the same, a file or folder.
        aesthetics: Audiobox Aesthetics model, such as facebook/audiobox-aesthetics.
        voice_separator: finds the voice in both tracks of songs with stems; mini (in the package),
            a folder, or a Demucs model.
        voice_from: what the recognizer and the voice models hear; vocal needs stems.
        separator: what separated the vocals beside the songs, for the card (default: the song
            model wrote them itself).
        loudness: LUFS that every song gets before a model hears it.
        normalize: whether it gets it.
        replacement: draw the frames of FAD-infinity with replacement, as fadtk does.
        draws: draws of the bootstrap.
        fad_draws: draws of the bootstrap of a Frechet distance; 0 for no interval.
        seed: seed of all draws.
        cache: folder in which every result of a model is kept (default: beside the card).
        device: device of the models.
        batch_size: windows that a model hears at once.
        progress: whether to show progress bars.
    Raises:
        ValueError: for numbers out of range.
    """

    generated: str = field(metadata={"positional": True})
    out: Path
    reference: str | None = None
    prompts: Path | None = None
    clap: str | None = None
    clap_hop: float | None = None
    frames: str | None = None
    frames_layer: int | None = None
    vggish: str | None = None
    tagger: str | None = None
    recognizer: str | None = None
    normalizer: Literal["english", "basic", "none"] = "english"
    language: str = "en"
    singer: str | None = None
    resemblyzer: str | None = None
    aesthetics: str | None = None
    voice_separator: str = "mini"
    voice_from: Literal["mixture", "vocal"] = "mixture"
    separator: str | None = None
    loudness: float = -14.0
    normalize: bool = field(
        default=True, metadata={"help": "let models hear songs as loud as they are"}
    )
    replacement: bool = False
    draws: int = 1000
    fad_draws: int = 100
    seed: int = 0
    cache: Path | None = None
    device: str = "cpu"
    batch_size: int = 8
    progress: bool = field(
        default=True, metadata={"flag": "--quiet", "help": "show no progress bars"}
    )

    def __post_init__(self) -> None:
        check_at_least(self, 1, "draws", "batch_size")
        check_at_least(self, 0, "fad_draws", "seed")
        if self.clap_hop is not None and self.clap_hop <= 0:
            raise ValueError(f"clap_hop must be more than 0 seconds: got {self.clap_hop}")
        if self.out.suffix != ".json":
            raise ValueError(f"the card must end in .json: got {self.out}")

    @property
    def cache_folder(self) -> Path:
        """The folder in which results are kept."""
        return self.cache or self.out.with_suffix(".cache")


__all__ = ["SongsOptions"]
