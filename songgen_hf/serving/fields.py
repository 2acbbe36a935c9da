"""The fields of requests with their ranges, in the words of ``songgen-hf generate``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..pipelines.song_requests import MAX_SEED
from ..space.settings import MAX_STEPS

Weight = Annotated[float, Field(ge=0, le=20)]
Scale = Weight | tuple[Weight, Weight]
Share = Annotated[float, Field(ge=0, le=1)]
Second = Annotated[float, Field(ge=0)]
Duration = Annotated[float, Field(gt=0)]


class Recording(BaseModel):
    """A song as base64: one recording, or both tracks for a model that writes two."""

    model_config = ConfigDict(extra="forbid")

    mixture: str | None = None
    vocal: str | None = None
    accompaniment: str | None = None


class PlanRequest(BaseModel):
    """The JSON of ``POST /v1/audio/songs/plan``: what decides the sections of a whole song."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    lyrics: str | None = Field(None, description="words to sing")
    context: Second | None = Field(
        None, description="seconds of a whole song that a section continues"
    )
    window: Duration | None = Field(
        None, description="seconds that the model hears and generates at a time in a whole song"
    )
    extend_stride: Duration | None = Field(
        None, description="seconds by which the window moves within longer sections"
    )
    repeat_chorus: bool | None = Field(
        None, description="whether a chorus with the words of an earlier one repeats it"
    )


class SongRequest(PlanRequest):
    """The JSON of ``POST /v1/audio/songs`` and of the WebSocket.

    What is left out has the default of the pipelines, see docs/control.md.
    """

    model: str | None = Field(
        None, description="name in GET /v1/models; the first, or that of a kept song, by default"
    )
    text: str | None = Field(None, description="style: genre, mood, instruments, voice")
    input: str | None = Field(None, description="another name of text")
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
    seconds: Duration | None = Field(None, description="exact length")
    min_seconds: Duration | None = Field(None, description="smallest length")
    max_seconds: Duration | None = Field(None, description="largest length")
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
    greedy: bool = Field(False, description="always take the most probable code")
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = Field(
        None, description="inference steps; masked models only"
    )
    reveal: Literal["confidence", "random"] | None = Field(
        None, description="which codes are kept at each step; masked models only"
    )
    schedule: Literal["circle", "cosine", "linear", "exp"] | None = Field(
        None, description="how many codes are kept at each step; masked models only"
    )
    best_of: Annotated[int, Field(ge=1)] | None = Field(
        None, description="takes to generate; the best one is returned"
    )
    best_of_by: Literal["song", "line"] | None = Field(
        None, description="what the takes are of: the whole song, or one line after the other"
    )
    rank_by: str | list[str] | None = Field(
        None, description="listener that ranks them, or several: recognizer-mini by default"
    )
    timestamps: bool = Field(False, description="whether the times of the words are read")
    retries: Annotated[int, Field(ge=0, le=3)] = Field(
        0,
        description="how often a song is generated again that leaves out lyrics or, with "
        "check_tracks, has instruments in its vocal or a voice in its accompaniment",
    )
    check_tracks: bool = Field(
        False, description="whether voice and instruments that changed places are exchanged"
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
    takes: Annotated[int, Field(ge=1)] | None = Field(
        None, description="how often an edit is generated; autoregressive models only"
    )
    whole: bool = Field(False, description="sing lyrics with tags such as [verse] in sections")
    redo: Annotated[int, Field(ge=1)] | None = Field(
        None, description="section of the kept whole song in song to generate again, from 1"
    )
    raw: bool = Field(False, description="the samples as they were decoded, without fades")
    loudness: Annotated[float, Field(ge=-60, le=0)] | None = Field(
        None, description="integrated loudness of the sound files in LUFS, such as -14"
    )
    response_format: Literal["wav", "flac", "mp3", "ogg", "pcm", "json"] = "wav"
    stream: bool = Field(False, description="send wav or pcm while it is generated")


TEXT_FIELDS = frozenset(
    ("model", "text", "input", "lyrics", "language", "negative_text", "voice", "separate_voice")
    + ("response_format", "guidance_schedule", "keep_track", "reveal", "schedule")
)
"""Fields whose values in a form are texts; those of others are JSON, or the texts that it lacks."""

TRACKS = ("accompaniment", "vocal")
FILES = ("voice", "song", "audio_prompt") + tuple(
    f"{name}_{track}" for name in ("song", "audio_prompt") for track in TRACKS
)
"""Names of the files that a form may have."""
PIPELINE_NAMES = {"guidance": "guidance_scale", "steps": "num_inference_steps"}
"""Field -> argument of the pipelines; others have the same name."""
FIELD_OF = {name: name for name in (*SongRequest.model_fields, *FILES)} | {
    "whole_song": "whole",
    **{argument: field for field, argument in PIPELINE_NAMES.items()},
}
"""First word of a message -> the field that is at fault."""

__all__ = [
    "FIELD_OF",
    "FILES",
    "PIPELINE_NAMES",
    "TEXT_FIELDS",
    "TRACKS",
    "PlanRequest",
    "Recording",
    "Scale",
    "SongRequest",
]
