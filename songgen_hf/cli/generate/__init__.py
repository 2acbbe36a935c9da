"""Generate a song into a sound file, with a JSON file beside it that says how to repeat it.

Both say that the song is AI-generated, by which model, from which seed and under which license.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...checkpoints.codes_files import encode_codes
from ...checkpoints.digests import codec_facts
from ...checkpoints.embedded import MASKED_CHECKPOINT
from ...files import encode_json, safe_name, sound_format, write_files
from ..flags import flag_of
from ..loading import codec_of, load_pipeline
from ..output import CommandResult
from ..song_sources import song_source
from ..timed_lyrics import picture_of, read_lyrics, timed_lyrics
from .arguments import autoregressive_settings, edits_of, masked_settings
from .jobs import check_jobs, run_jobs
from .options import GenerateOptions
from .playing import STDOUT, check_stream, stream
from .whole import check_whole, plan_result, sing_whole

OPTIONS = GenerateOptions
GUIDANCE_SETTINGS = ("guidance_scale", "guidance_schedule", "guidance_interval")
FACTS = ("coverage", "exchanged", "misplaced_seconds", "sections", "line_takes")
"""What the description beside a song says of it, as far as it is known."""
SAMPLING_SETTINGS = (*GUIDANCE_SETTINGS, "temperature", "top_k", "top_p")


def run(options: GenerateOptions) -> CommandResult:
    """Generate songs and write their files."""
    _check(options)
    lyrics = options.lyrics
    if options.lyrics_file is not None:
        lyrics = read_lyrics(options.lyrics_file)
    check_whole(options, lyrics)
    if options.plan:
        return plan_result(options, lyrics)

    if options.model is None and options.mode == "masked":
        options = replace(options, model=MASKED_CHECKPOINT)
    pipeline = load_pipeline(options)
    settings, edits, prompt = _arguments(options, pipeline)
    if options.jobs is not None:
        return run_jobs(options, pipeline, settings)
    songs = _songs(options, pipeline, lyrics, settings, edits, prompt)
    if options.song is not None:  # the description names the files of the song
        edits["song"] = [path.name for path in options.song]
    request = _request(options, lyrics, {**settings, **edits})
    if options.whole:
        request |= {name: songs[0].request.get(name) for name in ("lyrics", "sections")}
    files: dict[Path, bytes] = {}
    facts = []
    for path, song in zip(_paths(options, lyrics, songs), songs, strict=True):
        written = {}
        if path != STDOUT:
            written = _files_of(song, path, options, request, pipeline)
        files |= written
        rate = song["sampling_rate"]
        facts.append(
            {
                "seed": song["seed"],
                "duration": song["audio"].shape[-1] / rate,
                "sampling_rate": rate,
                "files": list(written),
                **_details(song),
            }
        )
    write_files(files)
    return CommandResult({"songs": facts}, "\n".join(map(str, files)))


def _check(options: GenerateOptions) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        ValueError: for options that do not go together, or a number below 1.
    """
    if options.jobs is not None:
        check_jobs(options)
    elif options.text is None:
        raise ValueError("give a description of the song, or --jobs with a file of many")
    elif options.out != STDOUT and not options.out.is_dir():
        sound_format(options.out)
    if options.streamed:
        check_stream(options)
    if options.num_songs < 1:
        raise ValueError(f"--num-songs must be at least 1: got {options.num_songs}")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads must be at least 1: got {options.threads}")


def _songs(
    options: GenerateOptions,
    pipeline: Any,
    lyrics: str | None,
    settings: dict[str, Any],
    edits: dict[str, Any],
    prompt: Any,
) -> list[Any]:
    """Generate the songs, with what :func:`_arguments` returned."""
    if options.whole:
        return [sing_whole(options, pipeline, lyrics, settings)]
    arguments: dict[str, Any] = dict(
        lyrics=lyrics,
        language=options.language,
        reference_voice=options.voice,
        voice_start=options.voice_start,
        separate_voice=options.separate_voice,
        negative_text=options.negative_text,
        audio_prompt=prompt,
        seed=options.seed,
        seconds=options.seconds,
        max_seconds=options.max_seconds,
        min_seconds=options.min_seconds,
        best_of=options.best_of,
        best_of_by=options.best_of_by or "song",
        rank_by=options.rank_by,
        raw=options.raw,
        timestamps=bool(options.timestamps),
        retries=options.retries,
        check_tracks=options.check_tracks,
        progress=options.shows_progress,
        **settings,
        **edits,
    )
    if options.streamed:
        return [stream(pipeline, options, arguments)]
    songs = pipeline(options.text, num_return_sequences=options.num_songs, **arguments)
    return songs if isinstance(songs, list) else [songs]


def _arguments(
    options: GenerateOptions, pipeline: Any
) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The pipeline's sampling settings, its arguments for edits, and the audio prompt.

    Raises:
        ValueError: for options that the model does not take.
    """
    is_masked = pipeline.mode == "masked"
    sizes = pipeline.transformer.config if is_masked else pipeline.model.config.decoder
    tracks = sizes.num_tracks
    if options.stems and tracks == 1:
        pattern = "masked" if is_masked else sizes.track_pattern
        raise ValueError(
            f"--stems needs a two-track model: this one's track pattern is {pattern}, which "
            "generates one mixture"
        )
    given = {name: getattr(options, name) for name in SAMPLING_SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    if options.greedy and (clash := [name for name in settings if name not in GUIDANCE_SETTINGS]):
        raise ValueError(f"--greedy does not sample: drop {flag_of(clash[0])}")
    if is_masked:
        settings |= masked_settings(options) | ({"temperature": 0.0} if options.greedy else {})
    else:
        settings |= autoregressive_settings(options)
    prompt = song_source(options.prompt_audio, tracks, "--prompt-audio")
    return settings, edits_of(options, tracks), prompt


def _request(
    options: GenerateOptions, lyrics: str | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """The request as the description of a song holds it: files by their names, without folders."""
    return {
        "text": options.text,
        "lyrics": lyrics,
        "language": options.language,
        "voice": None if options.voice is None else options.voice.name,
        "voice_start": options.voice_start,
        "separate_voice": options.separate_voice,
        "prompt_audio": [prompt.name for prompt in options.prompt_audio or []],
        "negative_text": options.negative_text,
        "seconds": options.seconds,
        "max_seconds": options.max_seconds,
        "min_seconds": options.min_seconds,
        **({"check_tracks": True} if options.check_tracks else {}),
        "settings": settings,
    }


def _paths(options: GenerateOptions, lyrics: str | None, songs: list[dict[str, Any]]) -> list[Path]:
    """song.wav, or song-1.wav, song-2.wav, ...; in a folder the-first-line-SEED.wav."""
    out = options.out
    if out.is_dir():
        lines = (lyrics or options.text or "").strip().splitlines()
        title = safe_name(lines[0] if lines else "")
        return [out / f"{title}-{song['seed']}.wav" for song in songs]
    if len(songs) == 1:
        return [out]
    return [out.with_stem(f"{out.stem}-{i}") for i in range(1, len(songs) + 1)]


def _files_of(
    song: Any,
    path: Path,
    options: GenerateOptions,
    request: dict[str, Any],
    pipeline: Any,
) -> dict[Path, bytes]:
    """The sound files of one song and the JSON that describes it."""
    from ...pipelines.adapters import named_adapters
    from ...provenance import encode_song, library_versions, provenance

    # A masked pipeline is its own model, with its own configuration, device and precision.
    is_masked = pipeline.mode == "masked"
    model = pipeline if is_masked else pipeline.model
    config = model.config
    codec = pipeline.codec.config if is_masked else config
    sounds = {path: song["audio"]}
    if options.stems:
        for name in ("vocal", "accompaniment"):
            sounds[path.with_stem(f"{path.stem}.{name}")] = song[name]
    # One gain for all files, so that the stems still add up to the mixture.
    gain = song.gain(options.loudness, stems=options.stems)
    rate = song["sampling_rate"]
    adapters = named_adapters(options.adapter) or ()
    record = provenance(model, seed=song["seed"], options=request, adapters=adapters)
    files = {
        name: encode_song(wave, rate, name, record, gain=gain) for name, wave in sounds.items()
    }
    if options.save_codes:
        codes_path = path.with_name(f"{path.stem}.codes.npz")
        facts = {
            "sampling_rate": rate,
            "hop_length": codec.hop_length,
            **codec_facts(codec_of(pipeline)),
        }
        files[codes_path] = encode_codes(codes_path, song["codes"], **facts)
    if options.timestamps:
        files |= timed_lyrics(song, path, options.timestamps)
    if options.plot:
        files |= picture_of(song, path)
    description = {
        **request,
        "mode": pipeline.mode,
        "seed": song["seed"],
        "model": options.model,
        "adapter": options.adapters,
        "revision": getattr(config, "_commit_hash", None) or options.revision,
        "trained": getattr(config, "trained", True),
        "track_pattern": None if is_masked else config.decoder.track_pattern,
        "sampling_rate": rate,
        "duration": song["audio"].shape[-1] / rate,
        "gain": gain,
        "raw": options.raw,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "files": [name.name for name in sounds],
        **_details(song),
        "provenance": record,
        "versions": library_versions(),
    }
    return {**files, path.with_suffix(".json"): encode_json(description)}


def _details(song: Any) -> dict[str, Any]:
    """Seeds and scores of all takes, best first, and the facts about a song, as far as known."""
    names = ("seed", "score", "score_parts")
    takes = [{name: take[name] for name in names if name in take} for take in song.get("takes", ())]
    details = {name: song[name] for name in FACTS if name in song}
    return {"takes": takes, **details} if takes else details
