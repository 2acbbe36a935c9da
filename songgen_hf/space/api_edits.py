"""The endpoints that edit songs, and those of whole songs, see ``api.py``."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..optional import require
from .api_answers import api_error, begun, songs_of
from .api_descriptions import described
from .settings import Settings
from .song_files import Song
from .song_service import SongService
from .whole_songs import described as sections_of
from .whole_songs import plan_settings

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")


def redo_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/redo``."""

    @described
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
        session = begun(service, request)

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

    @described
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
        session = begun(service, request)

        def takes_of() -> Iterator[Any]:
            song, settings = _edited(service, session, song_id, lyrics, mode, seed)
            yield from service.new_words(session, song.id, settings, takes=takes)

        yield from songs_of(takes_of())

    return new_words


def continue_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/continue_song``."""

    @described
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
        session = begun(service, request)

        def longer() -> Iterator[Any]:
            song, settings = _edited(service, session, song_id, lyrics, mode, seed)
            if max_seconds is not None:
                settings = replace(settings, seconds=max_seconds)
            yield from service.go_on(session, song.id, settings)

        yield from songs_of(longer())

    return continue_song


def redo_section_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/redo_section``."""

    def redo_section(
        song_id: Any = None,
        section: Any = None,
        seed: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing one section of a whole song again; the rest keeps its samples.

        Returns a list with the whole song.

        Args:
            song_id: id of a whole song of this session.
            section: place of the section in the "sections" of the song, from 0.
            seed: whole number; random if left out.
        """
        items = service.redo_section(begun(service, request), str(song_id), section, seed=seed)
        yield from songs_of(items)

    return redo_section


def finish_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/finish``."""

    def finish(
        song_id: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        """Sing the rest of a whole song that was stopped; finished sections stay as they are.

        Returns a list with the whole song.

        Args:
            song_id: id of a stopped whole song of this session.
        """
        yield from songs_of(service.finish(begun(service, request), str(song_id)))

    return finish


def plan_endpoint(service: SongService) -> Callable[..., list[dict[str, Any]]]:
    """The function of ``/plan``."""

    def plan(lyrics: Any, window: Any, context: Any, repeat_chorus: Any) -> list[dict[str, Any]]:
        """Plan a whole song without singing it.

        Returns the sections with name, start and end in seconds, lyrics, and the section that a
        repeated chorus quotes.

        Args:
            lyrics: lines under tags such as [verse] and [chorus].
            window: seconds that the model hears and sings at a time.
            context: seconds that each section continues.
            repeat_chorus: whether a chorus with the words of an earlier one sounds the same.
        """
        try:
            settings = Settings(
                lyrics=lyrics or "", text="-", whole=True, mode=service.defaults.mode,
                seconds=service.defaults.seconds, window=window, context=context,
                repeat_chorus=repeat_chorus,
            ).checked(service.limits)  # fmt: skip
            found = sections_of(plan_settings(settings, service.limits))
        except Exception as error:
            raise api_error(error) from error
        return [{name: one[name] for name in one if name != "state"} for one in found]

    return plan


def _edited(
    service: SongService, session: str, song_id: Any, lyrics: Any, mode: Any, seed: Any
) -> tuple[Song, Settings]:
    """A song to edit, and the settings of the edit: those of the song, but for what is given."""
    song = service.store.song(session, str(song_id))
    given = {"lyrics": lyrics, "mode": mode or None}
    changed = {name: value for name, value in given.items() if value is not None}
    return song, replace(song.settings, **changed, seed=seed)


__all__ = [
    "continue_endpoint",
    "finish_endpoint",
    "new_words_endpoint",
    "plan_endpoint",
    "redo_endpoint",
    "redo_section_endpoint",
]
