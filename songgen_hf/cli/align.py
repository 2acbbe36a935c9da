"""Find when the words of known lyrics are sung in a recording, and write them as LRC, WebVTT, JSON.

The song model reads the recording; see docs/control.md.
"""

from dataclasses import dataclass
from pathlib import Path

from ..files import write_files
from .flags import option
from .loading import ModelOptions, use_threads
from .output import CommandResult
from .song_sources import song_source
from .timed_lyrics import FORMATS, picture_of, read_lyrics, timed_lyrics


@dataclass(frozen=True, kw_only=True)
class AlignOptions(ModelOptions):
    """Options of ``songgen-hf align``."""

    recording: list[Path] = option(
        help="sound file; for a two-track model: accompaniment, then vocal; or a .codes.npz of "
        "songgen-hf generate",
        positional=True,
    )
    lyrics: str | None = option(None, "words that are sung", exclusive="lyrics")
    lyrics_file: Path | None = option(
        None, "UTF-8 text file of the words that are sung", exclusive="lyrics"
    )
    language: str = option("en", "language of the lyrics")
    text: str = option("", "style description of the recording, if there is one")
    timestamps: list[str] | None = option(
        None, "files to write (default: lrc)", choices=FORMATS, metavar="FORMAT"
    )
    plot: bool = option(False, "also draw spectrograms, words and attention (.png)")
    out: Path | None = option(
        None, "path of the files, whose ending is replaced (default: that of the recording)"
    )
    threads: int | None = option(
        None, "CPU threads (default: 1 below 100 M weights, where more are slower, else all cores)"
    )


OPTIONS = AlignOptions


def run(options: AlignOptions) -> CommandResult:
    """Align the lyrics and write the files."""
    lyrics = options.lyrics
    if options.lyrics_file is not None:
        lyrics = read_lyrics(options.lyrics_file)
    if lyrics is None or not lyrics.strip():
        raise ValueError("align needs the words that are sung: give --lyrics or --lyrics-file")
    from ..checkpoints import loading

    pipeline = loading.load_pipeline(
        options.model, revision=options.revision, device=options.device, dtype=options.dtype
    )
    use_threads(options.threads, pipeline)
    sizes = (
        pipeline.transformer.config if pipeline.mode == "masked" else pipeline.model.config.decoder
    )
    recording = song_source(options.recording, sizes.num_tracks, "RECORDING")
    song = pipeline.align(recording, lyrics, text=options.text, language=options.language)
    path = options.recording[-1] if options.out is None else options.out
    files = timed_lyrics(song, path, options.timestamps or ["lrc"])
    if options.plot:
        files |= picture_of(song, path)
    write_files(files)
    return CommandResult(
        {"files": list(files), "lines": song.lines, "coverage": song.coverage},
        "\n".join(map(str, files)),
    )
