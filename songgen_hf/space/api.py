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
from .api_answers import api_error, song_as_json, songs_of
from .api_descriptions import EDIT, SETTINGS
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


def _described(function: Callable[..., Any]) -> Callable[..., Any]:
    """Put the descriptions of settings into the docstring of an endpoint."""
    document = function.__doc__ or ""
    document = document.replace("        {settings}", SETTINGS).replace("        {edit}", EDIT)
    function.__doc__ = document
    return function


def sing_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/sing``; gradio takes the names of the arguments from its signature."""

    @_described
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
        yield from songs_of(service.generate(session_of(request), settings, voice))

    return sing


def stream_endpoint(service: SongService) -> Callable[..., Iterator[dict[str, Any]]]:
    """The function of ``/stream``."""

    @_described
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
        session = session_of(request)
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


def redo_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/redo``."""

    @_described
    def redo(
        song_id: Any = None,
        lyrics: Any = None,
        mode: Any = None,
        seed: Any = None,
        start: Any = None,
        end: Any = None,
        track: Any = None,
        takes: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing a stretch of a song again; the rest keeps its samples.

        Returns the takes as a list of songs, the best one first, with their scores.

        Args:
        {edit}
            start: second at which the stretch begins.
            end: second at which it ends; 0 for the end of the song.
            track: what is sung again: "vocal", "band" or "both".
            takes: number of takes, with consecutive seeds.
        """
        session = session_of(request)

        def takes_of() -> Iterator[Any]:
            song, settings = _edited(service, session, song_id, lyrics, mode, seed)
            yield from service.redo(
                session, song.id, settings, start=start, end=end or song.seconds, track=track,
                takes=takes,
            )  # fmt: skip

        yield from songs_of(takes_of())

    return redo


def new_words_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/new_words``."""

    @_described
    def new_words(
        song_id: Any = None,
        lyrics: Any = None,
        mode: Any = None,
        seed: Any = None,
        takes: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing other lyrics to the band of a song with two tracks.

        Returns the takes as a list of songs, the best one first.

        Args:
        {edit}
            takes: number of takes, with consecutive seeds.
        """
        session = session_of(request)

        def takes_of() -> Iterator[Any]:
            song, settings = _edited(service, session, song_id, lyrics, mode, seed)
            yield from service.new_words(session, song.id, settings, takes=takes)

        yield from songs_of(takes_of())

    return new_words


def continue_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/continue_song``."""

    @_described
    def continue_song(
        song_id: Any = None,
        lyrics: Any = None,
        mode: Any = None,
        seed: Any = None,
        max_seconds: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Continue a song from its end on.

        Returns a list with the longer song.

        Args:
        {edit}
            max_seconds: seconds to add at most.
        """
        session = session_of(request)

        def longer() -> Iterator[Any]:
            song, settings = _edited(service, session, song_id, lyrics, mode, seed)
            if max_seconds is not None:
                settings = replace(settings, seconds=max_seconds)
            yield from service.go_on(session, song.id, settings)

        yield from songs_of(longer())

    return continue_song


def over_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/sing_over``."""

    @_described
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
        session = session_of(request)
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
        """Stop singing, and return a list with what was sung of the song until then."""
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


def _edited(
    service: SongService, session: str, song_id: Any, lyrics: Any, mode: Any, seed: Any
) -> tuple[Song, Settings]:
    """A song to edit, and the settings of the edit: those of the song, but for what is given."""
    song = service.store.song(session, str(song_id))
    given = {"lyrics": lyrics, "mode": mode or None}
    changed = {name: value for name, value in given.items() if value is not None}
    return song, replace(song.settings, **changed, seed=seed)


def _argument(name: str, default: Any) -> Any:
    """An invisible component that receives an argument of an endpoint."""
    if isinstance(default, str) or name in ("lyrics", "mode"):
        return gr.Textbox(default, visible=False, label=name)
    return gr.Number(default, visible=False, label=name)


def _recording(name: str) -> Any:
    """An invisible component that receives a recording."""
    return gr.Audio(type="filepath", visible=False, label=name)


__all__ = ["add_api"]
