"""Makes orders from requests: the arguments of a pipeline, checked against model and limits."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..checkpoints.embedded import RECOGNIZER_NAME
from ..modeling.lyrics_normalization import resolve_language
from ..pipelines.song_plan import DEFAULT_CONTEXT, DEFAULT_WINDOW, PLANNED, SongPlan, plan
from ..pipelines.song_requests import check_lyrics, check_voices, draw_seed
from ..pipelines.whole_requests import check_section_settings
from ..space.settings import clean_text
from .engine import ModelFacts, Order
from .errors import ServiceError, at_fault
from .fields import PIPELINE_NAMES, TRACKS, PlanRequest, Recording, SongRequest
from .limits import ServiceLimits
from .recordings import codes_of, decoded, recording_of, voice_of
from .store import StoredSong

SONG_ID = re.compile(r"song-[0-9a-f]{32}")
EDITS = ("regions", "keep_track", "keep_codebooks", "takes")
MASKED_ONLY = ("steps", "reveal", "schedule")
AUTOREGRESSIVE_ONLY = ("top_k", "takes")
SAMPLING = (
    *("guidance", "guidance_schedule", "guidance_interval", "temperature", "top_k", "top_p"),
    *("steps", "reveal", "schedule", "best_of", "best_of_by", "rank_by"),
)
OF_THE_SONG = (
    *("text", "input", "negative_text", "lyrics", "language", "audio_prompt", "whole"),
    *("voice", "voice_start", "separate_voice"),
    *("best_of", "best_of_by", "rank_by"),
)
"""Fields that ``redo`` does not take: words and voice are those of the song."""
KeptSong = Callable[[str], StoredSong]


def make_order(
    request: SongRequest,
    models: Mapping[str, ModelFacts],
    limits: ServiceLimits,
    *,
    kept_song: KeptSong,
    files: Mapping[str, bytes] | None = None,
) -> Order:
    """Check a request against the model and the limits, and make the pipeline's arguments.

    Args:
        request: the request.
        models: the models of the service, the default first.
        limits: limits of the service.
        kept_song: returns the kept song of an id.
        files: uploaded files by their name, one of ``fields.FILES``.
    Raises:
        ServiceError: 404 for a model or a song that does not exist, 400 for words, a language or a
            voice that cannot be sung.
        ValueError: for anything else that the client can correct.
    """
    files = dict(files or {})
    facts = _model_of(request, models, kept_song)
    if request.stream and request.response_format not in ("wav", "pcm"):
        raise ValueError(
            f"response_format is {request.response_format!r}: a stream is wav or pcm; leave stream "
            "out for the other formats"
        )
    seed = draw_seed() if request.seed is None else request.seed
    if request.redo is not None:
        return _redo(request, facts, limits, kept_song, files, seed)
    text, lyrics = _words(request, limits)
    with at_fault("language"):
        resolve_language(request.language)
    arguments: dict[str, Any] = {
        "text": text,
        "lyrics": lyrics or None,
        "language": request.language,
        "seed": seed,
        **_sampling(request, facts, limits),
        **_voice(request, files, limits),
    }
    if request.negative_text is not None:
        with at_fault("negative_text"):
            arguments["negative_text"] = clean_text(
                "negative_text", request.negative_text, limits.text_characters
            )
    for name in ("song", "audio_prompt"):
        source = _song_source(name, getattr(request, name), files, facts, limits, kept_song)
        if isinstance(source, StoredSong):
            if models[source.model].codec != facts.codec:
                raise ValueError(
                    f"{name} was sung by {source.model}, whose codec is not that of {facts.name}: "
                    "leave model out, or send the recording"
                )
            source = source.song
        if source is not None:
            arguments[name] = source
    arguments |= {name: value for name in EDITS if (value := getattr(request, name))}
    if request.whole:
        return _whole(request, arguments, facts, limits)
    if given := [name for name in PLANNED if getattr(request, name) is not None]:
        raise ValueError(f"{given[0]} is for whole songs: give whole true")
    if "song" not in arguments and (given := [name for name in EDITS if name in arguments]):
        raise ValueError(f"{given[0]} needs a song to edit: give song")
    arguments |= _durations(request, facts, limits, is_edit="song" in arguments)
    return Order(facts.name, arguments, stream=request.stream)


def make_plan(request: PlanRequest, limits: ServiceLimits, *, longest: float) -> SongPlan:
    """Plan a whole song.

    Args:
        request: lyrics, and how sections follow each other.
        limits: limits of the service.
        longest: longest window of the model in seconds.
    Raises:
        ValueError: for lyrics that cannot be planned, or a song or window that is too long.
    """
    lyrics = _lyrics(request, limits)
    longest = min(longest, limits.seconds)
    given = {name: value for name in PLANNED if (value := getattr(request, name)) is not None}
    given.setdefault("window", min(DEFAULT_WINDOW, longest))
    if "extend_stride" not in given:
        given.setdefault("context", min(DEFAULT_CONTEXT, longest / 4))
    made = plan(lyrics, **given)
    if made.window > longest:
        raise ValueError(f"window must be at most {longest:g}: got {made.window:g}")
    if made.seconds > limits.whole_seconds:
        raise ValueError(
            f"the song takes {made.seconds:.0f} s: up to {limits.whole_seconds:g} s are accepted; "
            "leave sections out"
        )
    return made


def _whole(
    request: SongRequest, arguments: dict[str, Any], facts: ModelFacts, limits: ServiceLimits
) -> Order:
    """The order of a whole song, whose plan decides all lengths."""
    names = ("seconds", "min_seconds", "max_seconds")
    given = {name: value for name in names if (value := getattr(request, name)) is not None}
    given |= {name: value for name in ("raw", "retries") if (value := getattr(request, name))}
    check_section_settings({**arguments, **given})
    made = make_plan(request, limits, longest=facts.longest)
    arguments = {**arguments, "lyrics": None, "plan": made}
    return Order(facts.name, arguments, stream=request.stream, method="whole_song")


def _redo(
    request: SongRequest,
    facts: ModelFacts,
    limits: ServiceLimits,
    kept_song: KeptSong,
    files: Mapping[str, bytes],
    seed: int,
) -> Order:
    """The order that generates a section of a kept whole song again."""
    if not isinstance(request.song, str) or not SONG_ID.fullmatch(request.song):
        raise ValueError("redo needs the id of a kept whole song: give it as song")
    fields = (*OF_THE_SONG, *PLANNED, "regions", "keep_track", "keep_codebooks")
    lengths = ("seconds", "min_seconds", "max_seconds", "retries", "raw", "timestamps")
    defaults = {name: SongRequest.model_fields[name].default for name in (*fields, *lengths)}
    given = [name for name in defaults if getattr(request, name) not in (defaults[name], "", [])]
    if given := given or list(files):
        raise ValueError(f"redo takes {given[0]} from the song: leave it out")
    stored = kept_song(request.song)
    if stored.model != facts.name:
        raise ValueError(f"{request.song} was sung by {stored.model}: leave model out, or give it")
    assert request.redo is not None
    arguments: dict[str, Any] = {
        "song": stored.song,
        "index": request.redo - 1,
        "seed": seed,
        **_sampling(request, facts, limits),
    }
    if request.takes is not None:
        arguments["takes"] = request.takes
    if stored.song.whole is None:
        raise ValueError(f"{request.song} is no whole song: give regions in place of redo")
    sections = len(stored.song["sections"])
    if request.redo > sections:
        raise ValueError(f"the song has sections 1 to {sections}: got {request.redo}")
    return Order(facts.name, arguments, stream=request.stream, method="redo_section")


def _model_of(
    request: SongRequest, models: Mapping[str, ModelFacts], kept_song: KeptSong
) -> ModelFacts:
    """The model that is named, that of the kept song to edit, or the default."""
    name = request.model
    if name is None:
        kept = request.song if request.song is not None else request.audio_prompt
        if not isinstance(kept, str) or not SONG_ID.fullmatch(kept):
            return next(iter(models.values()))
        name = kept_song(kept).model
    if name not in models:
        raise ServiceError(
            404,
            f"There is no model {name[:60]!r}: expected {' or '.join(models)}.",
            param="model",
            code="model_not_found",
        )
    return models[name]


def _words(request: SongRequest, limits: ServiceLimits) -> tuple[str, str]:
    """The cleaned style description and lyrics."""
    if request.text is not None and request.input is not None:
        raise ValueError("text and input were both given: they are the same; give one")
    with at_fault("text" if request.input is None else "input"):
        text = clean_text("the text", request.text or request.input or "", limits.text_characters)
    lyrics = _lyrics(request, limits).strip()
    if not text.strip() and not lyrics:
        raise ValueError("there is nothing to sing: give text, lyrics or both")
    return " ".join(text.split()), lyrics


def _lyrics(request: PlanRequest, limits: ServiceLimits) -> str:
    """The cleaned lyrics."""
    with at_fault("lyrics"):
        lyrics = clean_text("the lyrics", request.lyrics or "", limits.lyrics_characters)
        check_lyrics(lyrics)
        return lyrics


def _sampling(request: SongRequest, facts: ModelFacts, limits: ServiceLimits) -> dict[str, Any]:
    """The sampling arguments that fit the kind of the model."""
    is_masked = facts.mode == "masked"
    others = AUTOREGRESSIVE_ONLY if is_masked else MASKED_ONLY
    kind = "autoregressive" if is_masked else "masked"
    if wrong := [name for name in others if getattr(request, name) is not None]:
        raise ValueError(f"{wrong[0]} is for {kind} models: leave it out for {facts.name}")
    for name, most in (("best_of", limits.variations), ("takes", limits.takes)):
        if (value := getattr(request, name)) is not None and value > most:
            raise ValueError(f"{name} must be at most {most}: got {value}")
    given = {name: getattr(request, name) for name in SAMPLING}
    arguments = {
        PIPELINE_NAMES.get(name, name): value for name, value in given.items() if value is not None
    }
    if "rank_by" in arguments:
        arguments["rank_by"] = _listeners(arguments["rank_by"], limits)
    if request.greedy:
        if clash := [name for name in ("temperature", "top_k", "top_p") if name in arguments]:
            raise ValueError(f"greedy does not sample: leave {clash[0]} out")
        arguments |= {"temperature": 0.0} if is_masked else {"do_sample": False}
    flags = ("timestamps", "raw", "check_tracks")
    arguments |= {name: True for name in flags if getattr(request, name)}
    if request.retries:
        arguments["retries"] = request.retries
    return arguments


def _listeners(given: str | list[str], limits: ServiceLimits) -> list[str]:
    """The names of listeners, which are those that the service was started with."""
    names = [given] if isinstance(given, str) else given
    known = (RECOGNIZER_NAME, *limits.listeners)
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"rank_by is {wrong[0][:60]!r}: expected {' or '.join(known)}")
    return names


def _voice(request: SongRequest, files: dict[str, bytes], limits: ServiceLimits) -> dict[str, Any]:
    """The arguments of the reference voice; {} without one."""
    content = _content("voice", request.voice, files, limits)
    if content is None:
        check_voices([request.model_dump(include={"voice_start", "separate_voice"})])
        return {}
    with at_fault("voice"):
        voice = voice_of(content, request.voice_start, limits)
    return {"reference_voice": voice, "separate_voice": request.separate_voice}


def _durations(
    request: SongRequest, facts: ModelFacts, limits: ServiceLimits, *, is_edit: bool
) -> dict[str, Any]:
    """The lengths; without any, a new song is at most as long as the model and the limits allow."""
    longest = min(limits.seconds, facts.longest)
    names = ("seconds", "min_seconds", "max_seconds")
    given = {name: value for name in names if (value := getattr(request, name)) is not None}
    for name, value in given.items():
        if value > longest:
            raise ValueError(f"{name} must be at most {longest:g}: got {value:g}")
    if "seconds" in given or is_edit:
        return given
    return {"max_seconds": longest, **given}


def _content(
    name: str, text: str | None, files: dict[str, bytes], limits: ServiceLimits
) -> bytes | None:
    """The bytes of a recording: an uploaded file, or base64."""
    if name in files:
        if text is not None:
            raise ValueError(f"{name} was given as a file and as text: give one")
        return files.pop(name)
    return None if text is None else decoded(name, text, limits)


def _song_source(
    name: str,
    given: str | Recording | None,
    files: dict[str, bytes],
    facts: ModelFacts,
    limits: ServiceLimits,
    kept_song: KeptSong,
) -> Any:
    """A kept song, or one in a form that pipelines take: codes, a recording or both tracks."""
    if isinstance(given, str) and SONG_ID.fullmatch(given):
        if uploaded := [f"{name}_{track}" for track in TRACKS if f"{name}_{track}" in files]:
            raise ValueError(f"{name} was given as an id and {uploaded[0]} as a file: give one")
        return kept_song(given)
    parts: dict[str, str | None] = {}
    if isinstance(given, Recording):
        parts = {"mixture": given.mixture, **{track: getattr(given, track) for track in TRACKS}}
    elif given is not None:
        parts = {"mixture": given}
    contents = {"mixture": _content(name, parts.get("mixture"), files, limits)}
    for track in TRACKS:
        key = f"{name}_{track}"
        contents[track] = _content(key, parts.get(track), files, limits)
    present = {part: content for part, content in contents.items() if content is not None}
    if not present:
        if isinstance(given, Recording):
            raise ValueError(f"{name} is empty: give mixture, or vocal and accompaniment")
        return None
    if set(present) == {"mixture"}:
        codes = codes_of(name, present["mixture"], facts, limits)
        if codes is not None:
            return codes
    _check_parts(name, present, facts)
    waves = {
        part: recording_of(f"{name} ({part})", content, facts.sampling_rate, limits)
        for part, content in present.items()
    }
    return waves["mixture"] if "mixture" in waves else tuple(waves[track] for track in TRACKS)


def _check_parts(name: str, present: Mapping[str, bytes], facts: ModelFacts) -> None:
    """Check that the tracks of a recording are those that a model writes, or their mixture."""
    if set(present) != {"mixture"} and (facts.num_tracks == 1 or set(present) != set(TRACKS)):
        wanted = "one mixture" if facts.num_tracks == 1 else "vocal and accompaniment"
        raise ValueError(
            f"{name} has {' and '.join(sorted(present))}: {facts.name} writes {wanted}; give that, "
            "or the id of a kept song of this model"
        )


__all__ = ["make_order", "make_plan"]
