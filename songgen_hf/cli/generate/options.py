"""The options of ``songgen-hf generate``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..flags import option
from ..loading import QUANTIZATIONS, ModelOptions
from ..timed_lyrics import FORMATS

MASKED = ("masked models", "generate in a few steps; see docs/masked.md")
WHOLE = (
    "whole songs",
    "sections such as [verse] one after another, of any length; see docs/control.md",
)
EDITS = ("edits", "generate parts of a song again, and keep the rest; see docs/control.md")


Scale = float | tuple[float, ...]


def guidance(word: str) -> Scale | dict[str, Scale]:
    """Read a guidance scale: a number, FIRST,LAST or text=3,lyrics=1.5 (each may be FIRST:LAST)."""
    if "=" not in word:
        return _scale(word, ",")
    named = (part.partition("=") for part in word.split(","))
    return {name.strip(): _scale(numbers, ":") for name, _, numbers in named}


def _scale(word: str, mark: str) -> Scale:
    numbers = tuple(float(number) for number in word.split(mark))
    return numbers[0] if len(numbers) == 1 else numbers


def region_end(word: str) -> float | None:
    """Read a place of a song in seconds; None for the word "end"."""
    return None if word == "end" else float(word)


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(ModelOptions):
    """Options of ``songgen-hf generate``."""

    text: str | None = option(None, "style: genre, mood, instruments, voice", positional=True)
    lyrics: str | None = option(None, "words to sing", exclusive="lyrics")
    lyrics_file: Path | None = option(
        None, "UTF-8 text file of the words to sing", exclusive="lyrics"
    )
    language: str = option("en", "language of the lyrics")
    voice: Path | None = option(None, "sound file of the voice to sing with")
    voice_start: float = option(0.0, "second at which the used part of the voice begins")
    separate_voice: str = option(
        "auto",
        "whether the accompaniment is removed from the voice: auto if both are audible in the used "
        "part, always, never, or the name of a separator, such as htdemucs",
    )
    prompt_audio: list[Path] | None = option(
        None,
        "sound file to continue; for a two-track model also two: accompaniment, then vocal (one is "
        "separated); or a .codes.npz",
    )
    seed: int | None = option(
        None, "seed, which gives the same song again (default: drawn, and reported)"
    )
    seconds: float | None = option(
        None, "exact length to generate, without the prompt (default: the model chooses)"
    )
    max_seconds: float | None = option(None, "largest length to generate, without the prompt")
    min_seconds: float | None = option(None, "smallest length to generate, without the prompt")
    mode: str | None = option(
        None,
        "masked: generate in a few steps with songgen-mini/masked (default: the mode of --model)",
        choices=("autoregressive", "masked"),
    )
    guidance_scale: Scale | dict[str, Scale] | None = option(
        None,
        "weight of the conditions, 1 for no guidance; FIRST,LAST for those of the first and the "
        "last step; or one for each condition, such as text=3,lyrics=1.5,voice=1",
        type=guidance,
    )
    guidance_schedule: str | None = option(
        None, "how guidance moves from FIRST to LAST", choices=("linear", "cosine")
    )
    guidance_interval: list[float] | None = option(
        None,
        "shares of the steps, from 0 to 1, between which guidance is on",
        type=float,
        nargs=2,
        metavar=("START", "END"),
    )
    negative_text: str | None = option(None, "description that guidance leads away from")
    temperature: float | None = option(None, "sampling temperature")
    top_k: int | None = option(None, "sample from the k most probable codes")
    top_p: float | None = option(None, "sample from the most probable codes of this total")
    greedy: bool = option(False, "always take the most probable code")
    num_songs: int = option(1, "number of songs; their files are numbered")
    best_of: int | None = option(
        None, "generate so many takes, and write the one that the listener ranks first"
    )
    best_of_by: str | None = option(
        None,
        "what --best-of ranks takes of: whole songs (the default), or one line after the other",
        choices=("song", "line"),
    )
    rank_by: list[str] | None = option(
        None,
        "listener that ranks the takes: recognizer-mini (the default), or the folder or Hub id of "
        "a phoneme recognizer, a Whisper or a CLAP model; or several",
        metavar="NAME",
    )
    timestamps: list[str] | None = option(
        None,
        "also write when the words are sung: lrc, vtt, json, or several",
        choices=FORMATS,
        metavar="FORMAT",
    )
    retries: int = option(
        0,
        "how often a song is generated again, with the next seeds, that leaves out lyrics or, with "
        "--check-tracks, has instruments in its vocal or a voice in its accompaniment",
    )
    check_tracks: bool = option(
        False, "exchange the tracks where voice and instruments have changed places"
    )
    plot: bool = option(
        False, "also draw the song (.png): spectrograms and, with --timestamps, words and attention"
    )
    loudness: float | None = option(
        None, "integrated loudness of the song in LUFS, such as -14 (default: as generated)"
    )
    stems: bool = option(False, "also write vocal and accompaniment")
    raw: bool = option(
        False, "write the samples as they were decoded, also where the song begins or ends loudly"
    )
    save_codes: bool = option(
        False, "also write the codes (.codes.npz), to edit the song later (--song)"
    )
    out: Path = option(
        Path("song.wav"),
        ".wav, .flac, .mp3 or .ogg file, or a folder, where the song is named after its first "
        "line and its seed; or - for raw 16-bit samples on standard output, as they are generated",
    )
    play: bool = option(
        False, "play the song while it is generated (with sounddevice, ffplay or aplay)"
    )
    jobs: Path | None = option(
        None,
        "file of many songs instead: one JSON object in each line, with text, lyrics, seed, voice "
        "and others; --out is a folder, in which an interrupted run goes on; see docs/speed.md",
    )
    batch_size: int | None = option(
        None, "songs of --jobs that are generated together (default: what fits in free memory)"
    )
    quantize: str | None = option(
        None,
        "compute with weights of 8 bits: faster for large models on CPUs",
        choices=QUANTIZATIONS,
    )
    threads: int | None = option(
        None, "CPU threads (default: 1 below 100 M weights, where more are slower, else all cores)"
    )
    progress: bool = option(True, "show no progress bar", flag="--quiet")
    compile: bool = option(
        False, "compile the steps of an autoregressive model; the first song waits for the compiler"
    )
    adapter: list[str] | None = option(
        None,
        "LoRA adapters to use: directories or Hub ids, with commas, and with weights such as "
        "my-voice:0.7,other; may be repeated",
        append=True,
    )

    steps: int | None = option(None, "number of inference steps (default: 28)", group=MASKED)
    reveal: str | None = option(
        None, "which codes are kept at each step", choices=("confidence", "random"), group=MASKED
    )
    schedule: str | None = option(
        None,
        "how many codes are kept at each step",
        choices=("circle", "cosine", "linear", "exp"),
        group=MASKED,
    )
    song: list[Path] | None = option(
        None,
        "song to edit: the .codes.npz that --save-codes wrote, whose kept codes do not change, or "
        "sound files as for --prompt-audio",
        group=EDITS,
    )
    region: list[list[float | None]] | None = option(
        None,
        "seconds of --song to generate anew; END can be the word end; may be repeated (default: "
        "all)",
        type=region_end,
        nargs=2,
        append=True,
        metavar=("START", "END"),
        group=EDITS,
    )
    keep_track: str | None = option(
        None, "track of --song to keep", choices=("accompaniment", "vocal"), group=EDITS
    )
    keep_codebooks: int | None = option(
        None, "number of coarse codebooks of --song to keep: 3 refines the rest", group=EDITS
    )
    takes: int | None = option(
        None,
        "how often an autoregressive model generates the edit; the take that fits best to what "
        "follows is written (default: 4 if something follows)",
        group=EDITS,
    )

    whole: bool = option(
        False, "sing lyrics with tags ([verse], [chorus 2], [inst 8s]) in sections", group=WHOLE
    )
    plan: bool = option(False, "print the sections of --whole and generate nothing", group=WHOLE)
    context: float | None = option(
        None, "seconds of the song that a section continues (default: 4)", group=WHOLE
    )
    window: float | None = option(
        None, "seconds that the model hears and generates at a time (default: 20)", group=WHOLE
    )
    extend_stride: float | None = option(
        None,
        "seconds by which the window moves within longer sections (default: they are refused)",
        group=WHOLE,
    )
    repeat_chorus: bool | None = option(
        None,
        "whether a chorus with the words of an earlier one repeats its codes (default: it does)",
        group=WHOLE,
    )
    folder: Path | None = option(
        None,
        "folder that keeps finished sections, so that an interrupted song goes on",
        group=WHOLE,
    )
    redo: int | None = option(
        None,
        "number of the section of the song in --folder to generate anew, from 1",
        metavar="N",
        group=WHOLE,
    )

    @property
    def adapters(self) -> str | None:
        """All adapters as one ``--adapter`` may have them, with commas."""
        return None if self.adapter is None else ",".join(self.adapter)

    @property
    def streamed(self) -> bool:
        """Whether the song is heard or piped while it is generated."""
        return self.play or str(self.out) == "-"

    @property
    def shows_progress(self) -> bool:
        """Whether progress bars are shown: in terminals, unless they are turned off."""
        return self.progress and sys.stderr.isatty()
