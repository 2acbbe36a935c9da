"""The endpoints for programs in the API of gradio: every control of the page has one.

Their arguments have the names, the defaults and the checks of ``Settings``. They are also the tools
of the Space's server of the Model Context Protocol; the docstrings are what clients and assistants
read about them.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..optional import require
from .api_answers import api_error, begun, song_as_json, songs_of
from .api_descriptions import described
from .api_edits import (
    continue_endpoint,
    finish_endpoint,
    new_words_endpoint,
    plan_endpoint,
    redo_endpoint,
    redo_section_endpoint,
)
from .controls import session_of
from .live_songs import LiveSong
from .settings import FIELDS, LONGEST, Settings
from .song_files import Song
from .song_service import SongService

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")


def add_api(service: SongService, *, group: str) -> None:
    """Add the endpoints to the page, with invisible components.

    Args:
        service: handles the requests.
        group: concurrency group of the events that generate songs.
    """
    # The sliders of the page cannot be used here: they reject a value with "greater than maximum"
    # and do not say which value it was.
    settings = [_argument(name, getattr(service.defaults, name)) for name in FIELDS]
    settings += [_recording("voice"), _argument(LONGEST, None)]
    song_id = _argument("song_id", "")
    edit = [song_id, _argument("lyrics", None), _argument("mode", ""), _argument("seed", None)]
    takes = _argument("takes", 1)
    stretch = [_argument("start", 0), _argument("end", 0), _argument("track", "both")]
    queued = {"concurrency_id": group, "concurrency_limit": service.limits.concurrency}
    # In the queue, because only there an assistant has a session.
    direct = {"concurrency_limit": None}
    _add(sing_endpoint(service), settings, queued)
    _add(stream_endpoint(service), settings, queued)
    _add(redo_endpoint(service), [*edit, *stretch, takes], queued)
    _add(new_words_endpoint(service), [*edit, takes], queued)
    _add(continue_endpoint(service), [*edit, _argument(LONGEST, None)], queued)
    section = [song_id, _argument("section", 0), _argument("seed", None)]
    _add(redo_section_endpoint(service), section, queued)
    _add(finish_endpoint(service), [song_id], queued)
    planned = ("lyrics", "window", "context", "repeat_chorus")
    _add(plan_endpoint(service), [one for one in settings if one.label in planned], direct)
    if service.generator.two_track_modes:
        over = [_recording("recording"), _argument("kind", "band"), takes, *settings]
        _add(over_endpoint(service), over, queued)
    _add(remix_endpoint(service), [song_id, _argument("balance", 0)], direct)
    _add(fetch_endpoint(service), [song_id], direct)
    _add(stop_endpoint(service), [], direct)
    _add(songs_endpoint(service), [], direct)


def _add(endpoint: Callable[..., Any], inputs: list[Any], options: dict[str, Any]) -> None:
    gr.Button(visible=False).click(
        endpoint,
        inputs,
        gr.JSON(visible=False, label="answer"),
        api_name=endpoint.__name__,
        api_description=inspect.getdoc(endpoint),
        **options,
    )


def sing_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/sing``; gradio takes the names of the arguments from its signature."""

    @described
    def sing(
        lyrics: Any = None,
        text: Any = None,
        voice_start: Any = None,
        mode: Any = None,
        seconds: Any = None,
        seed: Any = None,
        guidance: Any = None,
        top_k: Any = None,
        temperature: Any = None,
        steps: Any = None,
        variations: Any = None,
        adapter: Any = None,
        adapter_weight: Any = None,
        best_of: Any = None,
        guidance_text: Any = None,
        guidance_lyrics: Any = None,
        guidance_voice: Any = None,
        whole: Any = None,
        window: Any = None,
        context: Any = None,
        repeat_chorus: Any = None,
        voice: Any = None,
        max_seconds: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing lyrics: generate a song, or several.

        Returns a list of songs with their settings, their seeds, the times of the sung words and
        their files: the mix, the vocal and the band of a song with two tracks, timed lyrics as LRC
        and VTT, and a JSON file.

        Args:
        {settings}
        """
        settings = _settings(locals())
        yield from songs_of(service.generate(begun(service, request), settings, voice))

    return sing


def stream_endpoint(service: SongService) -> Callable[..., Iterator[dict[str, Any]]]:
    """The function of ``/stream``."""

    @described
    def stream(
        lyrics: Any = None,
        text: Any = None,
        voice_start: Any = None,
        mode: Any = None,
        seconds: Any = None,
        seed: Any = None,
        guidance: Any = None,
        top_k: Any = None,
        temperature: Any = None,
        steps: Any = None,
        variations: Any = None,
        adapter: Any = None,
        adapter_weight: Any = None,
        best_of: Any = None,
        guidance_text: Any = None,
        guidance_lyrics: Any = None,
        guidance_voice: Any = None,
        whole: Any = None,
        window: Any = None,
        context: Any = None,
        repeat_chorus: Any = None,
        voice: Any = None,
        max_seconds: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[dict[str, Any]]:
        """Sing lyrics and hear the song while it is generated.

        Yields the sound so far: ``parts``, WAV files that follow one another, whose channels are
        ``tracks`` (the mix, or vocal and band), and ``seconds``, their length. The last answer
        has ``songs``, the finished songs as ``/sing`` returns them.

        Args:
        {settings}
        """
        settings = _settings(locals())
        session = begun(service, request)
        heard: dict[str, Any] = {"parts": [], "tracks": [], "seconds": 0.0, "songs": []}
        songs: list[Song] = []
        try:
            with closing(service.generate(session, settings, voice)) as items:
                for item in items:
                    if isinstance(item, Song):
                        songs.append(item)
                    elif isinstance(item, LiveSong):
                        parts = [gr.FileData(path=str(part)).model_dump() for part in item.parts]
                        heard = {
                            "parts": parts,
                            "tracks": list(item.tracks),
                            "seconds": round(item.seconds, 3),
                            "songs": [song_as_json(song) for song in songs],
                        }
                        yield heard
        except Exception as error:
            raise api_error(error) from error
        yield {**heard, "songs": [song_as_json(song) for song in songs]}

    return stream


def over_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/sing_over``."""

    @described
    def sing_over(
        recording: Any = None,
        kind: Any = None,
        takes: Any = None,
        lyrics: Any = None,
        text: Any = None,
        voice_start: Any = None,
        mode: Any = None,
        seconds: Any = None,
        seed: Any = None,
        guidance: Any = None,
        top_k: Any = None,
        temperature: Any = None,
        steps: Any = None,
        variations: Any = None,
        adapter: Any = None,
        adapter_weight: Any = None,
        best_of: Any = None,
        guidance_text: Any = None,
        guidance_lyrics: Any = None,
        guidance_voice: Any = None,
        whole: Any = None,
        window: Any = None,
        context: Any = None,
        repeat_chorus: Any = None,
        voice: Any = None,
        max_seconds: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing over an uploaded band, or put a band under an uploaded voice.

        Returns the takes as a list of songs. The recording stays as it is; seconds, max_seconds,
        variations and best_of are not used, because a song is as long as its recording.

        Args:
            recording: sound file of a band without a voice, or of a voice alone.
            kind: what it is, "band" or "vocal".
            takes: number of takes, with consecutive seeds.
        {settings}
        """
        settings = _settings(locals())
        session = begun(service, request)
        yield from songs_of(
            service.sing_over(session, recording, settings, kind=kind, takes=takes, voice=voice)
        )

    return sing_over


def remix_endpoint(service: SongService) -> Callable[..., dict[str, Any]]:
    """The function of ``/remix``."""

    def remix(song_id: Any, balance: Any, request: gr.Request) -> dict[str, Any]:
        """Change the balance of vocal and band in the mix of a song, without singing it again.

        Args:
            song_id: id of a song of this session with two tracks.
            balance: -100 is the band alone, 0 the song as it was sung, 100 the vocal alone.
        """
        try:
            return song_as_json(service.remix(session_of(request), str(song_id), balance))
        except Exception as error:
            raise api_error(error) from error

    return remix


def fetch_endpoint(service: SongService) -> Callable[..., dict[str, Any]]:
    """The function of ``/fetch``."""

    def fetch(song_id: Any, request: gr.Request) -> dict[str, Any]:
        """Fetch a song that was sung before, with its settings and the addresses of its files.

        Songs are deleted after a while.

        Args:
            song_id: id of a song of this session.
        """
        try:
            song = service.store.song(session_of(request), str(song_id))
            base = f"{request.base_url}gradio_api/file="
            addresses = {track.name: f"{base}{track.audio}" for track in song.tracks}
            return {**song_as_json(song), "addresses": addresses}
        except Exception as error:
            raise api_error(error) from error

    return fetch


def stop_endpoint(service: SongService) -> Callable[..., list[dict[str, Any]]]:
    """The function of ``/stop``."""

    def stop(request: gr.Request) -> list[dict[str, Any]]:
        """Stop the song that is being sung, and return a list with what was sung until then.

        Requests of this session that still wait in the queue are sung then.
        """
        return [song_as_json(song) for song in service.stop(session_of(request))]

    return stop


def songs_endpoint(service: SongService) -> Callable[..., list[dict[str, Any]]]:
    """The function of ``/songs``."""

    def songs(request: gr.Request) -> list[dict[str, Any]]:
        """Return the songs of this session, the newest first, as ``/sing`` returns them."""
        return [song_as_json(song) for song in service.store.songs(session_of(request))]

    return songs


def _settings(arguments: dict[str, Any]) -> Settings:
    """The settings among the arguments of an endpoint."""
    settings = Settings(**{name: arguments[name] for name in FIELDS})
    longest = arguments[LONGEST]
    return settings if longest is None else replace(settings, seconds=longest)


def _argument(name: str, default: Any) -> Any:
    """An invisible component that receives an argument of an endpoint."""
    if isinstance(default, str) or name in ("lyrics", "mode"):
        return gr.Textbox(default, visible=False, label=name)
    if isinstance(default, bool):
        return gr.Checkbox(default, visible=False, label=name)
    return gr.Number(default, visible=False, label=name)


def _recording(name: str) -> Any:
    """An invisible component that receives a recording."""
    return gr.Audio(type="filepath", visible=False, label=name)


__all__ = ["add_api"]
