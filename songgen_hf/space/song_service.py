"""The functions of the Space behind the page and the API: generate, edit and delete songs."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ..provenance import library_versions, provenance
from . import edits
from .adapters import Adapters
from .edits import Edit
from .generation import GeneratedSong, SongGenerator
from .limits import Limits
from .live_songs import LiveSong
from .progress import Progress
from .session_store import SessionStore
from .settings import VOICE_KEY, Settings, whole_number
from .song_files import STOPPED, Song, remix, write_song_files
from .streams import Chunk, first_part
from .strings import LANGUAGES, Say, speaker
from .voice import keep_voice, kept_voice, read_recording, read_voice
from .whole_songs import (
    FINISH,
    FOLDER,
    SECTION,
    SectionBegin,
    WholeSong,
    copy_sections,
    plan_settings,
)

SHORTEST = 0.3
"""Seconds from which on a stopped song is kept."""


class SongService:
    """Handles the requests of all sessions.

    Args:
        generator: the models.
        store: where songs are kept.
        adapters: the adapters that visitors may choose.
        limits: limits of a request.
        defaults: settings of an empty form.
    """

    def __init__(
        self,
        generator: SongGenerator,
        store: SessionStore,
        *,
        adapters: Adapters,
        limits: Limits,
        defaults: Settings,
    ):
        self.generator = generator
        self.store = store
        self.adapters = adapters
        self.limits = limits
        self.defaults = defaults
        self._requests: dict[str, int] = {}  # session -> number of its requests
        self._stopped: dict[str, int] = {}  # session -> number of its last stopped request
        self._live: dict[str, list[LiveSong]] = {}  # session -> the songs that are generated
        self._lock = Lock()
        self._languages: dict[str, str] = {}  # session -> language of its page

    def begin_request(self, session: str) -> None:
        """Announce a request for songs, which earlier calls of ``stop`` do not affect."""
        self._requests[session] = self._requests.get(session, 0) + 1

    def say(self, session: str) -> Say:
        """The function that says the words of the page in the language of a session."""
        return speaker(self._languages.get(session, LANGUAGES[0]))

    def speak(self, session: str, language: str) -> Say:
        """Set the language of the page of a session."""
        self._languages[session] = language
        return self.say(session)

    def stop(self, session: str) -> list[Song]:
        """Stop all requests of a session that have begun, at the next step of the model.

        The page begins a request with the button, a program when gradio takes it from the queue.
        The page also makes gradio cancel the requests, but a slow browser may not know yet what
        there is to cancel.

        Returns:
            What was heard of the songs that were being generated, which the session keeps.
        """
        self._stopped[session] = self._requests.get(session, 0)
        with self._lock:
            heard = self._live.pop(session, [])
            for live in heard:
                live.is_kept = live.seconds >= SHORTEST
        songs = []
        for live in heard:
            if not live.is_kept:
                self.store.delete_song(live.id)
                continue
            hop_length = self.generator.hop_length(live.settings.mode)
            part = GeneratedSong.of(first_part(live.chunks, hop_length), live.seconds_taken)
            part = replace(part, sections=live.sections)
            songs.append(self._save(live, part, made=STOPPED))
        return songs

    def was_stopped(self, session: str) -> bool:
        """Whether the last request of a session was stopped."""
        return self._requests.get(session, 0) <= self._stopped.get(session, -1)

    def end_session(self, session: str) -> None:
        """Delete a session and its songs."""
        self._requests.pop(session, None)
        self._stopped.pop(session, None)
        self._languages.pop(session, None)
        with self._lock:
            live = self._live.pop(session, [])
        for one in live:
            self.store.delete_song(one.id)
        self.store.delete_session(session)

    def generate(
        self, session: str, settings: Settings, voice: str | Path | None = None
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Generate the songs of a request; close the iterator, or call :meth:`stop`, to stop.

        Args:
            session: session that gets the songs.
            settings: settings as the visitor entered them.
            voice: file with the reference voice.
        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        settings = settings.checked(self.limits, modes=self.generator.modes)
        yield from self._generate(session, settings, voice)

    def redo_section(
        self,
        session: str,
        song_id: str,
        section: Any,
        *,
        seed: Any = None,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Generate one section of a whole song again; the rest keeps its samples.

        Args:
            session: session of the song.
            song_id: id of the song.
            section: index of the section.
            seed: its seed; a random one for None.
        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        song = self.store.song(session, song_id)
        if not song.sections or song.is_unfinished:
            raise ValueError("this song has no finished sections: sing it whole, to its end")
        section = whole_number("the section", section, 0, len(song.sections) - 1)
        settings = replace(song.settings, seed=seed)
        settings = settings.checked(self.limits, modes=self.generator.modes)
        made = f"{SECTION} {section}"
        yield from self._generate(session, settings, None, parent=song, section=section, made=made)

    def finish(
        self, session: str, song_id: str
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Generate the missing sections of a stopped whole song; arguments as above."""
        song = self.store.song(session, song_id)
        if not song.is_unfinished:
            raise ValueError("this song is complete: only a stopped whole song can be finished")
        settings = song.settings.checked(self.limits, modes=self.generator.modes)
        yield from self._generate(
            session, settings, None, unfinished=song, family=song.family, made=FINISH
        )

    def redo(
        self,
        session: str,
        song_id: str,
        settings: Settings,
        *,
        start: Any,
        end: Any,
        track: Any = edits.BOTH,
        takes: Any = 1,
        voice: str | Path | None = None,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Generate a stretch of a song again; the rest keeps its samples outside of the fades.

        Args:
            session: session of the song.
            song_id: id of the song.
            settings: settings; ``mode`` may be another one with as many tracks.
            start, end: the stretch, in seconds.
            track: ``"vocal"``, ``"band"`` or ``"both"``.
            takes: number of takes, which are yielded best first.
            voice: file with the reference voice; None for that of the song, if it has one.
        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        song = self.store.song(session, song_id)
        start, end = edits.checked_region(start, end, song.seconds)
        track = edits.checked_track(track, song.has_two_tracks)
        edit = Edit(edits.REDO, song.content(), start, end, track, takes)
        made = f"{edits.REDO} {edit.track} {start:.1f} {end:.1f}"
        yield from self._edit(session, edit, settings, voice, song, made)

    def new_words(
        self,
        session: str,
        song_id: str,
        settings: Settings,
        *,
        takes: Any = 1,
        voice: str | Path | None = None,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Sing the lyrics of ``settings`` to the band of a song; arguments as of :meth:`redo`."""
        song = self.store.song(session, song_id)
        track = edits.checked_track("vocal", song.has_two_tracks)
        edit = Edit(edits.WORDS, song.content(), track=track, takes=takes)
        yield from self._edit(session, edit, settings, voice, song, edits.WORDS)

    def go_on(
        self,
        session: str,
        song_id: str,
        settings: Settings,
        *,
        voice: str | Path | None = None,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Continue a song by up to ``settings.seconds``; arguments as of :meth:`redo`."""
        song = self.store.song(session, song_id)
        left = self.limits.seconds - song.seconds
        if left < 1:
            raise ValueError(
                f"the song lasts {song.seconds:.1f} s: songs here are up to "
                f"{self.limits.seconds:g} s long, which leaves no room to continue it"
            )
        if isinstance(settings.seconds, int | float):
            settings = replace(settings, seconds=min(settings.seconds, left))
        edit = Edit(edits.CONTINUE, song.content())
        yield from self._edit(session, edit, settings, voice, song, edits.CONTINUE)

    def sing_over(
        self,
        session: str,
        recording: str | Path | None,
        settings: Settings,
        *,
        kind: Any = "band",
        takes: Any = 1,
        voice: str | Path | None = None,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Sing over an uploaded band, or put a band under an uploaded voice.

        Args:
            session: session that gets the songs.
            recording: file with the recording; its first ``limits.seconds`` are used.
            settings: settings of a mode with two tracks.
            kind: what is on the recording, ``"band"`` or ``"vocal"``.
            takes, voice: as of :meth:`redo`.
        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        if recording is None:
            raise ValueError("there is no recording to sing over: upload a band or a voice")
        modes = self.generator.two_track_modes
        if settings.mode not in modes:
            raise ValueError(
                f"the mode is {settings.mode!r}: a recording needs a mode with two tracks, "
                f"{' or '.join(map(repr, modes)) or 'which this Space does not have'}"
            )
        rate = self.generator.sampling_rate(settings.mode)
        sound = read_recording(
            recording, 0.0, self.limits, seconds=self.limits.seconds, sampling_rate=rate,
            name="recording",
        )  # fmt: skip
        edit = replace(edits.sung_over(sound, rate, kind), takes=takes)
        yield from self._edit(session, edit, settings, voice, None, f"{edits.OVER} {kind}")

    def _edit(
        self,
        session: str,
        edit: Edit,
        settings: Settings,
        voice: str | Path | None,
        parent: Song | None,
        made: str,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Check the settings of an edit and generate its takes."""
        takes = whole_number("takes", edit.takes, 1, self.limits.takes)
        if parent is not None and parent.seconds > self.limits.seconds + 1:
            raise ValueError(
                f"the song lasts {parent.seconds:.0f} s: edits here are for songs of up to "
                f"{self.limits.seconds:g} s; of a whole song, sing a section again"
            )
        settings = replace(settings, variations=1, best_of=1, whole=False)
        if edit.kind != edits.CONTINUE:  # the length stays
            settings = replace(settings, seconds=self.limits.seconds)
        settings = settings.checked(self.limits, modes=self.generator.modes)
        if parent is not None and settings.mode not in self.generator.modes_like(parent):
            raise ValueError(
                f"the song has {len(parent.content()['codes'])} track(s): the mode "
                f"{settings.mode!r} sings another number; choose "
                f"{' or '.join(map(repr, self.generator.modes_like(parent)))}"
            )
        edit = replace(edit, takes=takes)
        yield from self._generate(session, settings, voice, edit=edit, parent=parent, made=made)

    def _generate(
        self,
        session: str,
        settings: Settings,
        voice: str | Path | None,
        *,
        family: str = "",
        section: int | None = None,
        unfinished: Song | None = None,
        **origin: Any,
    ) -> Generator[Progress | LiveSong | Song, None, None]:
        """Generate songs with checked settings.

        Args:
            session, settings, voice: as of :meth:`generate`.
            family: family of the song, if it is another form of one.
            section: of a whole song, the section that is generated again.
            unfinished: the whole song that goes on.
            origin: further arguments of ``LiveSong``.
        """
        number = self._requests.get(session, 0)
        self.store.open_session(session)
        recording = read_voice(voice, settings.voice_start, self.limits)
        before = unfinished or origin.get("parent")
        if recording is None and before is not None:
            recording = kept_voice(before.sidecar.parent)
        adapters = self.adapters.resolve(settings.adapter, settings.adapter_weight)
        fitting = self.generator.mode_of_base(self.adapters.base(settings.adapter))
        if adapters and fitting not in (None, settings.mode):
            raise ValueError(
                f"the adapter {settings.adapter!r} was trained for the mode {fitting!r}, not for "
                f"{settings.mode!r}: choose that mode, or no adapter"
            )
        live: LiveSong | None = None
        plan = plan_settings(settings, self.limits) if settings.whole else None
        edit = origin.get("edit")
        takes = settings.best_of if edit is None and plan is None else getattr(edit, "takes", 1)
        taken = 0

        def begin() -> LiveSong:
            one = LiveSong(
                self.store.new_folder(), session, settings, recording is not None, adapters,
                settings.mode in self.generator.two_track_modes, **origin,
            )  # fmt: skip
            if recording is not None:
                keep_voice(one.folder, recording)
            with self._lock:
                self._live.setdefault(session, []).append(one)
            return one

        try:
            if plan is not None:
                live = begin()
                edit = live.edit = WholeSong(live.folder / FOLDER, plan, section)
                if before is not None:
                    copy_sections(before.sections_folder, edit.folder)
            with closing(self.generator.generate(settings, recording, adapters, edit)) as items:
                for item in items:
                    if number <= self._stopped.get(session, -1):
                        return
                    if isinstance(item, Progress):
                        yield item
                        continue
                    live = begin() if live is None else live
                    if live not in self._live.get(session, []):  # stopped, or the visitor left
                        return
                    if isinstance(item, Chunk | SectionBegin):
                        live.add(item) if isinstance(item, Chunk) else live.begin_section(item)
                        yield live
                        continue
                    if not self._take_out(live):  # it was stopped a moment ago
                        return
                    made = origin.get("made") or ("take" if takes > 1 else "")
                    song = self._save(live, item, made=made, family=family)
                    live = None
                    taken += 1
                    family = song.family if taken % takes else ""
                    yield song
        finally:
            if live is not None and not live.is_kept:
                self._take_out(live)
                self.store.delete_song(live.id)

    def _take_out(self, live: LiveSong) -> bool:
        """Remove a song from those that are generated; whether it was still among them."""
        with self._lock:
            songs = self._live.get(live.session, [])
            found = live in songs
            if found:
                songs.remove(live)
            if not songs:
                self._live.pop(live.session, None)
        return found

    def remix(self, session: str, song_id: str, balance: float) -> Song:
        """Change the balance of vocal and accompaniment in a song of a session.

        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        song = remix(self.store.song(session, song_id), balance)
        self.store.replace(session, song)
        return song

    def _save(
        self, live: LiveSong, generated: GeneratedSong, *, made: str, family: str = ""
    ) -> Song:
        """Write the files of a song and add it to its session."""
        settings = live.settings
        options = {key: value for key, value in asdict(settings).items() if key != "variations"}
        options |= {"seed": generated.seed, VOICE_KEY: live.with_voice}
        if made:
            options["made"] = made
        record = provenance(
            self.generator.model(settings.mode),
            seed=generated.seed,
            options=options,
            adapters=live.adapters,
        )
        song = write_song_files(
            live.folder,
            generated,
            settings,
            record,
            with_voice=live.with_voice,
            versions=library_versions(),
            parent=live.parent,
            family=family,
            made=made,
        )
        self.store.add(live.session, song)
        return song


__all__ = ["SongService"]
