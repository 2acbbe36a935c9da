"""The body of a request: its fields with their ranges, and the pipeline's arguments from them."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..pipelines.song import Song
from ..pipelines.song_requests import MAX_SEED, draw_seed
from ..space.settings import MAX_STEPS, clean_text
from .engine import ModelFacts, Order
from .errors import ServiceError
from .limits import ServiceLimits
from .recordings import decoded, recording_of, voice_of

SONG_ID = re.compile(r"song-[0-9a-f]{32}")
TRACKS = ("accompaniment", "vocal")
FILES = ("voice", "song", "audio_prompt") + tuple(
    f"{name}_{track}" for name in ("song", "audio_prompt") for track in TRACKS
)
"""Names of the files that a form may have."""

Weight = Annotated[float, Field(ge=0, le=20)]
Scale = Weight | tuple[Weight, Weight]
Share = Annotated[float, Field(ge=0, le=1)]
Second = Annotated[float, Field(ge=0)]


class Recording(BaseModel):
    """A song as base64: one recording, or both tracks for a model that writes two."""

    model_config = ConfigDict(extra="forbid")

    mixture: str | None = None
    vocal: str | None = None
    accompaniment: str | None = None


class SongRequest(BaseModel):
    """The JSON of ``POST /v1/audio/songs`` and of the WebSocket.

    What is left out has the default of the pipelines, see docs/control.md.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    model: str | None = Field(None, description="name in GET /v1/models; the first by default")
    text: str | None = Field(None, description="style: genre, mood, instruments, voice")
    input: str | None = Field(None, description="another name of text")
    lyrics: str | None = Field(None, description="words to sing")
    language: str = Field("en", max_length=20, description="language of the lyrics")
    negative_text: str | None = Field(None, description="style that guidance leads away from")
    voice: str | None = Field(None, description="recording of a voice to sing with, base64")
    voice_start: Second = Field(0.0, description="second at which its used part begins")
    separate_voice: Literal["auto", "always", "never"] = Field(
        "auto", description="whether the accompaniment is removed from the voice"
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="the same seed gives the same song; drawn by default"
    )
    seconds: Annotated[float, Field(gt=0)] | None = Field(None, description="exact length")
    min_seconds: Annotated[float, Field(gt=0)] | None = Field(None, description="smallest length")
    max_seconds: Annotated[float, Field(gt=0)] | None = Field(None, description="largest length")
    guidance: Scale | dict[Literal["text", "lyrics", "voice"], Scale] | None = Field(
        None, description="weight of the conditions, [first, last], or one for each condition"
    )
    guidance_schedule: Literal["linear", "cosine"] | None = None
    guidance_interval: tuple[Share, Share] | None = None
    temperature: Annotated[float, Field(ge=0.05, le=2)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2048)] | None = Field(
        None, description="autoregressive models only"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = Field(
        None, description="inference steps; masked models only"
    )
    best_of: Annotated[int, Field(ge=1)] | None = Field(
        None, description="takes to generate; the best one is returned"
    )
    timestamps: bool = Field(False, description="whether the times of the words are read")
    retries: Annotated[int, Field(ge=0, le=3)] = Field(
        0, description="how often a song that leaves out lyrics is generated again"
    )
    audio_prompt: str | Recording | None = Field(
        None, description="song to continue: the id of a kept song, or a recording"
    )
    song: str | Recording | None = Field(
        None, description="song to edit: the id of a kept song, or a recording"
    )
    regions: list[tuple[Second, Second | None]] | None = Field(
        None, description="[start, end] in seconds of what is generated again; null is the end"
    )
    keep_track: Literal["accompaniment", "vocal"] | None = None
    keep_codebooks: Annotated[int, Field(ge=0)] = 0
    response_format: Literal["wav", "flac", "mp3", "ogg", "pcm", "json"] = "wav"
    stream: bool = Field(False, description="send wav or pcm while it is generated")


TEXT_FIELDS = frozenset(
    ("model", "text", "input", "lyrics", "language", "negative_text", "voice", "separate_voice")
    + ("response_format", "guidance_schedule", "keep_track")
)


def read_request(body: bytes | str) -> SongRequest:
    """Read the JSON of a request.

    Raises:
        ServiceError: 400, with the name of the first wrong field.
    """
    try:
        return SongRequest.model_validate_json(body)
    except ValidationError as error:
        raise _validation_error(error) from None


def read_form(fields: Mapping[str, str]) -> SongRequest:
    """Read the text fields of a form, whose values other than texts are JSON.

    Raises:
        ServiceError: 400, with the name of the first wrong field.
    """
    values: dict[str, Any] = {}
    for name, text in fields.items():
        values[name] = text
        if name not in TEXT_FIELDS:
            try:
                values[name] = json.loads(text)
            except ValueError:
                pass  # the id of a song, or an error that names the field
    return read_request(json.dumps(values))


def _validation_error(error: ValidationError) -> ServiceError:
    """The first error of pydantic in one line."""
    errors = error.errors(include_url=False)
    # Of the errors of a union, the one deepest in the value says most.
    first = errors[0]
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error", "it cannot be read"))
        return ServiceError(400, f"The request is not JSON: {reason}.", code="invalid_json")
    if not first["loc"]:
        return ServiceError(400, "The request must be a JSON object.", code="invalid_json")
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        known = ", ".join(sorted(SongRequest.model_fields))
        return ServiceError(
            400,
            f"There is no field {name[:40]!r}: expected some of {known}.",
            param=name[:40],
            code="unknown_field",
        )
    shown = json.dumps(first["input"], ensure_ascii=True, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    alternatives = list(dict.fromkeys(one["msg"] for one in errors if one["loc"][0] == name))
    expected = " or ".join(text[:1].lower() + text[1:] for text in alternatives[:3])
    return ServiceError(400, f"{name}: {expected}; got {shown}.", param=name, code="invalid_value")


def make_order(
    request: SongRequest,
    models: Mapping[str, ModelFacts],
    limits: ServiceLimits,
    *,
    kept_song: Callable[[str], Song],
    files: Mapping[str, bytes] | None = None,
) -> Order:
    """Check a request against the model and the limits, and make the pipeline's arguments.

    Args:
        request: the request.
        models: the models of the service, the default first.
        limits: limits of the service.
        kept_song: returns the song of an id.
        files: uploaded files by their name, one of ``FILES``.
    Raises:
        ServiceError: 404 for a model or a song that does not exist.
        ValueError: for anything else that the client can correct.
    """
    files = dict(files or {})
    facts = _model_of(request, models)
    text, lyrics = _words(request, limits)
    arguments: dict[str, Any] = {
        "text": text,
        "lyrics": lyrics or None,
        "language": request.language,
        "seed": draw_seed() if request.seed is None else request.seed,
        **_sampling(request, facts, limits),
    }
    if request.negative_text is not None:
        arguments["negative_text"] = clean_text(
            "negative_text", request.negative_text, limits.text_characters
        )
    voice = _content("voice", request.voice, files, limits)
    if voice is not None:
        arguments["reference_voice"] = voice_of(voice, request.voice_start, limits)
        arguments["separate_voice"] = request.separate_voice
    for name in ("song", "audio_prompt"):
        source = _song_source(name, getattr(request, name), files, facts, limits, kept_song)
        if source is not None:
            arguments[name] = source
    if request.regions is not None:
        arguments["regions"] = request.regions
    if request.keep_track is not None:
        arguments["keep_track"] = request.keep_track
    if request.keep_codebooks:
        arguments["keep_codebooks"] = request.keep_codebooks
    if "song" not in arguments and (given := _edits(request)):
        raise ValueError(f"{given[0]} needs a song to edit: give song")
    arguments |= _durations(request, facts, limits, is_edit="song" in arguments)
    if request.stream and request.response_format not in ("wav", "pcm"):
        raise ValueError(
            f"response_format is {request.response_format!r}: a stream is wav or pcm; leave stream "
            "out for the other formats"
        )
    return Order(facts.name, arguments, stream=request.stream)


def _edits(request: SongRequest) -> list[str]:
    names = ("regions", "keep_track", "keep_codebooks")
    return [name for name in names if getattr(request, name)]


def _model_of(request: SongRequest, models: Mapping[str, ModelFacts]) -> ModelFacts:
    if request.model is None:
        return next(iter(models.values()))
    if request.model not in models:
        raise ServiceError(
            404,
            f"There is no model {request.model[:60]!r}: expected {' or '.join(models)}.",
            param="model",
            code="model_not_found",
        )
    return models[request.model]


def _words(request: SongRequest, limits: ServiceLimits) -> tuple[str, str]:
    """The cleaned style description and lyrics."""
    if request.text is not None and request.input is not None:
        raise ValueError("text and input were both given: they are the same; give one")
    text = clean_text("the text", request.text or request.input or "", limits.text_characters)
    lyrics = clean_text("the lyrics", request.lyrics or "", limits.lyrics_characters).strip()
    if not text.strip() and not lyrics:
        raise ValueError("there is nothing to sing: give text, lyrics or both")
    return " ".join(text.split()), lyrics


def _sampling(request: SongRequest, facts: ModelFacts, limits: ServiceLimits) -> dict[str, Any]:
    """The sampling arguments that fit the kind of the model."""
    is_masked = facts.mode == "masked"
    if not is_masked and request.steps is not None:
        raise ValueError(f"steps is for masked models: leave it out for {facts.name}")
    if is_masked and request.top_k is not None:
        raise ValueError(f"top_k is for autoregressive models: leave it out for {facts.name}")
    if request.best_of is not None and request.best_of > limits.variations:
        raise ValueError(f"best_of must be at most {limits.variations}: got {request.best_of}")
    given: dict[str, Any] = {
        "guidance_scale": request.guidance,
        "guidance_schedule": request.guidance_schedule,
        "guidance_interval": request.guidance_interval,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "num_inference_steps": request.steps,
        "best_of": request.best_of,
    }
    arguments = {name: value for name, value in given.items() if value is not None}
    if request.timestamps:
        arguments["timestamps"] = True
    if request.retries:
        arguments["retries"] = request.retries
    return arguments


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
    kept_song: Callable[[str], Song],
) -> Any:
    """A song in the form that pipelines take: a song dict, a recording or both tracks."""
    if isinstance(given, str) and SONG_ID.fullmatch(given):
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
    _check_parts(name, present, facts)
    waves = {
        part: recording_of(f"{name} ({part})", content, facts.sampling_rate, limits)
        for part, content in present.items()
    }
    return waves["mixture"] if "mixture" in waves else tuple(waves[track] for track in TRACKS)


def _check_parts(name: str, present: Mapping[str, bytes], facts: ModelFacts) -> None:
    """Check that the tracks of a recording are those that a model writes."""
    expected = {"mixture"} if facts.num_tracks == 1 else set(TRACKS)
    if set(present) != expected:
        wanted = "one mixture" if facts.num_tracks == 1 else "vocal and accompaniment"
        raise ValueError(
            f"{name} has {' and '.join(sorted(present))}: {facts.name} writes {wanted}; give that, "
            "or the id of a kept song of this model"
        )


__all__ = ["FILES", "SongRequest", "make_order", "read_form", "read_request"]
