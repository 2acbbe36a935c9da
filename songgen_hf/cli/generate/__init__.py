"""Sing a song to a sound file, with a JSON file beside it that says how to sing it again.

Both say that the song is AI-generated, by which model, from which seed and under which license.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ...files import encode_json, safe_gain, safe_name, sound_format, write_files
from ..loading import add_model_arguments, load_pipeline
from ..output import CommandResult
from .masked import (
    add_masked_arguments,
    encode_codes,
    guidance,
    known_song,
    masked_settings,
    refuse_masked_flags,
)

HELP = "sing a song"

SAMPLING_SETTINGS = ("guidance_scale", "temperature", "top_k", "top_p")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf generate``."""
    parser.add_argument("text", help="style: genre, mood, instruments, voice")
    lyrics = parser.add_mutually_exclusive_group()
    lyrics.add_argument("--lyrics", help="words to sing")
    lyrics.add_argument("--lyrics-file", type=Path, help="UTF-8 text file of the words to sing")
    parser.add_argument("--language", default="en", help="language of the lyrics (default: en)")
    parser.add_argument("--voice", type=Path, help="sound file of the voice to sing with")
    parser.add_argument(
        "--voice-start", type=float, default=0.0, help="second at which its used part begins"
    )
    parser.add_argument(
        "--prompt-audio",
        type=Path,
        nargs="+",
        help="sound file to continue; for a two-track model: accompaniment, then vocal; for a "
        "masked model also a .codes.npz",
    )
    parser.add_argument("--seed", type=int, help="sing the same song again (default: drawn, told)")
    parser.add_argument("--max-seconds", type=float, help="longest song, prompt excluded")
    parser.add_argument("--min-seconds", type=float, help="shortest song, prompt excluded")
    parser.add_argument(
        "--mode",
        choices=("autoregressive", "masked"),
        help="masked: sing with songgen-mini/masked, in a few steps (default: what --model is)",
    )
    parser.add_argument(
        "--guidance-scale",
        type=guidance,
        help="weight of the conditions; 1 is off; for a masked model also FIRST,LAST step's",
    )
    parser.add_argument("--temperature", type=float, help="sampling temperature")
    parser.add_argument("--top-k", type=int, help="sample from the k likeliest codes")
    parser.add_argument("--top-p", type=float, help="sample from this much probability")
    parser.add_argument("--greedy", action="store_true", help="take the likeliest code always")
    parser.add_argument("--num-songs", type=int, default=1, help="songs, numbered (default: 1)")
    parser.add_argument("--stems", action="store_true", help="also write vocal and accompaniment")
    parser.add_argument(
        "--save-codes",
        action="store_true",
        help="also write the codes (.codes.npz), to sing the song anew in part (--song)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("song.wav"),
        help=".wav, .flac or .ogg, or a folder, where the song is named after its first line and "
        "its seed (default: song.wav)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--adapter", help="LoRA adapter to sing with: a directory or a Hub id")
    add_model_arguments(parser)
    add_masked_arguments(parser)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Sing and write the files."""
    if not arguments.out.is_dir():
        sound_format(arguments.out)
    if arguments.num_songs < 1:
        raise ValueError(f"--num-songs must be at least 1: got {arguments.num_songs}")
    lyrics = arguments.lyrics
    if arguments.lyrics_file is not None:
        lyrics = _read_words(arguments.lyrics_file)

    sing = load_pipeline(arguments)
    is_masked = sing.mode == "masked"
    tracks = sing.transformer.config.num_tracks if is_masked else _decoder(sing).num_tracks
    if arguments.stems and tracks == 1:
        pattern = "masked" if is_masked else _decoder(sing).track_pattern
        raise ValueError(
            f"--stems needs a two-track model: this one's track pattern is {pattern}, which sings "
            "one mixture"
        )
    settings = _settings(arguments)
    edits: dict[str, Any] = {}
    if is_masked:
        edits = masked_settings(arguments, tracks)
        prompt = known_song(arguments.prompt_audio, tracks, "--prompt-audio")
        if settings.pop("do_sample", True) is False:
            settings["temperature"] = 0.0
    else:
        refuse_masked_flags(arguments)
        prompt = _prompt(arguments.prompt_audio, tracks)
    songs = sing(
        arguments.text,
        lyrics=lyrics,
        language=arguments.language,
        reference_voice=arguments.voice,
        voice_start=arguments.voice_start,
        audio_prompt=prompt,
        seed=arguments.seed,
        max_seconds=arguments.max_seconds,
        min_seconds=arguments.min_seconds,
        num_return_sequences=arguments.num_songs,
        progress=not arguments.quiet and sys.stderr.isatty(),
        **settings,
        **edits,
    )
    # What is said of a song names its files instead of holding them.
    if arguments.song is not None:
        edits["song"] = [path.name for path in arguments.song]
    settings = {**settings, **edits}
    songs = songs if isinstance(songs, list) else [songs]
    files: dict[Path, bytes] = {}
    facts = []
    for path, song in zip(_paths(arguments, lyrics, songs), songs, strict=True):
        written = _files_of(song, path, arguments, lyrics, settings, sing)
        files |= written
        rate = song["sampling_rate"]
        facts.append(
            {
                "seed": song["seed"],
                "duration": song["audio"].shape[-1] / rate,
                "sampling_rate": rate,
                "files": list(written),
            }
        )
    write_files(files)
    return CommandResult({"songs": facts}, "\n".join(map(str, files)))


def _decoder(sing: Any) -> Any:
    """The decoder's sizes of an autoregressive pipeline."""
    return sing.model.config.decoder


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Generation settings that the caller gave."""
    given = {name: getattr(arguments, name) for name in SAMPLING_SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.greedy:
        if clash := [name for name in settings if name != "guidance_scale"]:
            raise ValueError(f"--greedy does not sample: drop --{clash[0].replace('_', '-')}")
        settings["do_sample"] = False
    return settings


def _prompt(paths: list[Path] | None, tracks: int) -> Path | tuple[Path, ...] | None:
    """The audio prompt as the pipeline takes it."""
    if paths is None:
        return None
    if len(paths) != tracks:
        raise ValueError(f"--prompt-audio takes {tracks} file(s) for this model: got {len(paths)}")
    return paths[0] if tracks == 1 else tuple(paths)


def _read_words(path: Path) -> str:
    """The words of a UTF-8 file, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: save it as UTF-8 ({error})") from error


def _paths(
    arguments: argparse.Namespace, lyrics: str | None, songs: list[dict[str, Any]]
) -> list[Path]:
    """song.wav, or song-1.wav, song-2.wav, ...; in a folder the-first-line-SEED.wav."""
    out = arguments.out
    if out.is_dir():
        lines = (lyrics or arguments.text).strip().splitlines()
        title = safe_name(lines[0] if lines else "")
        return [out / f"{title}-{song['seed']}.wav" for song in songs]
    if len(songs) == 1:
        return [out]
    return [out.with_stem(f"{out.stem}-{i}") for i in range(1, len(songs) + 1)]


def _files_of(
    song: dict[str, Any],
    path: Path,
    arguments: argparse.Namespace,
    lyrics: str | None,
    settings: dict[str, Any],
    sing: Any,
) -> dict[Path, bytes]:
    """The sound files of one song and the JSON that describes it."""
    from ...provenance import encode_song, library_versions, provenance

    # A masked pipeline is its own model: it knows where it came from, its device and precision.
    is_masked = sing.mode == "masked"
    model = sing if is_masked else sing.model
    config = model.config
    codec = sing.codec.config if is_masked else config.audio_encoder
    sounds = {path: song["audio"]}
    if arguments.stems:
        for name in ("vocal", "accompaniment"):
            sounds[path.with_stem(f"{path.stem}.{name}")] = song[name]
    # One gain for all files, so that the stems still add up to the mixture.
    gain = safe_gain(*sounds.values())
    rate = song["sampling_rate"]
    asked = {
        "text": arguments.text,
        "lyrics": lyrics,
        "language": arguments.language,
        "voice": None if arguments.voice is None else arguments.voice.name,
        "voice_start": arguments.voice_start,
        "prompt_audio": [prompt.name for prompt in arguments.prompt_audio or []],
        "max_seconds": arguments.max_seconds,
        "min_seconds": arguments.min_seconds,
        "settings": settings,
    }
    adapters = () if arguments.adapter is None else arguments.adapter
    record = provenance(model, seed=song["seed"], options=asked, adapters=adapters)
    files = {
        name: encode_song(wave, rate, name, record, gain=gain) for name, wave in sounds.items()
    }
    if arguments.save_codes:
        codes = encode_codes(song["codes"], rate, codec.hop_length)
        files[path.with_name(f"{path.stem}.codes.npz")] = codes
    description = {
        **asked,
        "mode": sing.mode,
        "seed": song["seed"],
        "model": arguments.model,
        "adapter": arguments.adapter,
        "revision": getattr(config, "_commit_hash", None) or arguments.revision,
        "trained": getattr(config, "trained", True),
        "track_pattern": None if is_masked else config.decoder.track_pattern,
        "sampling_rate": rate,
        "duration": song["audio"].shape[-1] / rate,
        "gain": gain,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "files": [name.name for name in sounds],
        "provenance": record,
        "versions": library_versions(),
    }
    return {**files, path.with_suffix(".json"): encode_json(description)}
