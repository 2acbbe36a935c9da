"""Whole songs: sections are generated one after another, each continuing the last seconds before.

A section is a window of the model, so memory does not grow with the length of the song: of finished
sections the codes are kept, and these are decoded piecewise at the end. The file travels to the Hub
with the pipelines and imports only the files beside it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .editing import TRACK_NAMES, KnownSong, recorded_tracks
from .progress import section_progress
from .section_files import SectionFolder, plan_of
from .song import Song
from .song_plan import Section, SongPlan
from .song_requests import check_seed, draw_seed, prepare_inputs, separate_voices
from .sung_sections import (
    SungSection,
    described_sections,
    first_words,
    joined,
    joined_codes,
    joined_timing,
    last_words,
    own_timing,
    with_redone,
)
from .whole_requests import (
    WholeRequest,
    check_section_settings,
    fingerprint,
    planned,
    seed_of,
)

SEED_STEP = 1000
"""Between the seeds of two sections, so that their takes do not share seeds."""
DECODED_FRAMES = 500
"""Frames that are decoded at a time."""
RANKING = ("best_of", "rank_by")


class WholeSongMixin:
    """Generates whole songs with a pipeline, section by section."""

    processor: Any
    voice_separator: Callable[..., tuple[Any, float]] | None
    sampling_rate: int
    _hop_length: int
    _networks: list[Any]
    _decode: Callable[..., dict[str, Any]]
    __call__: Callable[..., Any]

    def whole_song(
        self,
        text: str,
        lyrics: str | None = None,
        *,
        seed: int | None = None,
        plan: SongPlan | None = None,
        context: float | None = None,
        window: float | None = None,
        extend_stride: float | None = None,
        repeat_chorus: bool | None = None,
        same_voice: bool = True,
        folder: Path | str | None = None,
        reference_voice: Any = None,
        voice_start: float = 0.0,
        separate_voice: Any = False,
        language: str = "en",
        negative_text: str | None = None,
        progress: bool | Callable[[int, int], None] = False,
        **settings: Any,
    ) -> Song:
        """Generate a song of any length from lyrics with tags such as ``[verse]``.

        The sections of the plan are generated one after another. Each continues the last
        ``context`` seconds, whose codes are part of the song unchanged; the model hears the words
        that are sung in them and those of the section. Memory does not grow with the length.

        Args:
            text: style description of the whole song.
            lyrics: lyrics with tags, see :func:`songgen_hf.pipelines.song_plan.plan`.
            seed: seed of the song; section ``i`` has the seed ``seed + 1000 * i``. None to draw
                one, or for that of the ``folder``.
            plan: a plan instead of lyrics, context, window, stride and repetition.
            context, window, extend_stride: seconds, as of ``plan()``: how much of the song a
                section continues (4), how much the model hears and generates at a time (20), and
                by how much the window moves within sections that are longer.
            repeat_chorus: whether a chorus with the words and length of an earlier one repeats its
                codes (the default) or is generated.
            same_voice: without a reference voice, and with a model of two tracks, whether the
                loudest seconds of the first sung section are the reference voice of all that
                follow.
            folder: folder in which finished sections are kept: a second call with the same request
                goes on after them.
            reference_voice, voice_start, separate_voice, language, negative_text: as of a call.
            progress: True for a progress bar for each section, or a function that is called with
                (number of frames done, number of frames of the song).
            settings: further arguments of a call that hold for each section, such as ``best_of``,
                ``timestamps`` and ``guidance_scale``. With ``timestamps`` the words in the context
                are those whose times lie there; otherwise those that their letters place there.
        Returns:
            A :class:`Song` with ``sections``: ``name``, ``start`` and ``end`` in seconds, ``seed``,
            ``lyrics``, and for a repeated chorus the section that it ``quotes``.
        Raises:
            ValueError: for lyrics that cannot be planned, arguments that do not apply to whole
                songs, or a folder with another song.
            TypeError: for an argument of a wrong type.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be one description: got {type(text).__name__}")
        request = self._whole_request(
            text,
            planned(plan, lyrics, window, context, extend_stride, repeat_chorus),
            seed_of(seed, folder),
            {"voice_start": voice_start, "separate_voice": separate_voice},
            reference_voice,
            language=language,
            negative_text=negative_text,
            same_voice=same_voice,
            settings=settings,
        )
        held = None if folder is None else SectionFolder(folder)
        if held is not None:
            held.begin(request.record())
        frames = [self._frames_of(section.seconds) for section in request.plan.sections]
        done: list[SungSection] = []
        for place, section in enumerate(request.plan.sections):
            sung = None if held is None else held.read(place, section)
            if sung is None:
                counts = (sum(frames[:place]), frames[place], sum(frames))
                title = f"{section.name} ({place + 1}/{len(frames)})"
                with section_progress(progress, title, *counts) as report:
                    sung = self._sing(request, done, section, report)
                if held is not None:
                    held.write(place, sung, **self._rates)
            done.append(sung)
        return self._whole(request, done)

    def redo_section(
        self,
        song: Song | Path | str,
        index: int,
        *,
        seed: int | None = None,
        reference_voice: Any = None,
        voice_start: float = 0.0,
        separate_voice: Any = False,
        progress: bool | Callable[[int, int], None] = False,
        **settings: Any,
    ) -> Song:
        """Generate one section of a whole song again; all samples outside of it stay.

        The model knows what precedes the section and the beginning of what follows. An
        autoregressive model draws several ``takes``, ranked as those of ``regions``. The section
        keeps its length; quotes of it stay as they are.

        Args:
            song: a song of ``whole_song``, or its folder, in which the section is replaced.
            index: place of the section in ``song["sections"]``, from 0.
            seed: seed of the first take; None to draw one.
            reference_voice, voice_start, separate_voice: the voice of the song, for a folder whose
                song was generated with one.
            progress: as of ``whole_song``.
            settings: arguments of the call in place of those of the song, and ``takes``.
        Returns:
            The whole song. Its samples outside of the section are bit for bit those it had;
            crossfades of 20 ms lie inside of the section.
        Raises:
            ValueError: for an unknown section, a song that was not made by ``whole_song``, or a
                folder whose song is not finished or has another voice or model.
        """
        held = None
        if not isinstance(song, Song):
            held = SectionFolder(song)
            voice = {"voice_start": voice_start, "separate_voice": separate_voice}
            song = self._song_of(held, voice, reference_voice)
        if song.whole is None:
            raise ValueError(
                "this song was not made by whole_song: give one that was, or its folder; of other "
                "songs, generate regions again"
            )
        request, done = song.whole
        if type(index) is not int or not 0 <= index < len(done):
            raise ValueError(f"the song has sections 0 to {len(done) - 1}: got {index!r}")
        check_section_settings({name: value for name, value in settings.items() if name != "takes"})
        # The takes are ranked by how well what follows fits.
        kept = {name: one for name, one in request.settings.items() if name not in RANKING}
        request = replace(request, settings={**kept, **settings})
        seed = draw_seed() if seed is None else check_seed(seed)
        counts = (0, done[index].num_frames, done[index].num_frames)
        with section_progress(progress, done[index].section.name, *counts) as report:
            sung = self._sing_between(request, done, index, seed, report)
        sung = self._spliced(song, done, index, sung)
        if held is not None:
            held.write(index, sung, **self._rates)
        return self._whole(song.whole[0], [*done[:index], sung, *done[index + 1 :]], song)

    def _whole_request(
        self,
        text: str,
        plan: SongPlan,
        seed: int,
        voice: dict[str, Any],
        reference_voice: Any,
        **options: Any,
    ) -> WholeRequest:
        """The checked request, whose voice is separated from its accompaniment."""
        check_section_settings(options["settings"])
        one = {"text": text, "lyrics": None, "reference_voice": reference_voice, **voice}
        one |= {"language": options["language"], "negative_text": options["negative_text"]}
        (one,) = separate_voices([one], self.voice_separator, self.processor.voice_seconds)
        inputs = prepare_inputs(self.processor, [one])
        digest = {"model": fingerprint(self._networks)}
        kept: dict[str, Any] = {}
        if reference_voice is not None:
            digest["voice"] = hashlib.sha256(inputs["voice_values"].numpy().tobytes()).hexdigest()
            kept = {name: one[name] for name in ("reference_voice", "voice_start")}
        return WholeRequest(text=text, plan=plan, seed=seed, voice=kept, digest=digest, **options)

    def _sing(
        self,
        request: WholeRequest,
        done: Sequence[SungSection],
        section: Section,
        report: Callable[[int, int | None], None],
    ) -> SungSection:
        """Generate the section after finished ones, or quote it."""
        if section.quotes is not None:
            quoted = done[section.quotes]
            return SungSection(section, quoted.codes, quoted.seed, quoted.timed)
        new = self._frames_of(section.seconds)
        before = joined_codes(done)[..., -self._context(request.plan) :] if done else None
        if before is not None and before.shape[-1] == 0:
            before = None
        known = 0 if before is None else before.shape[-1]
        context = last_words(done, known, self._frame_rate)
        seed = (request.seed + SEED_STEP * len(done)) % 2**62
        song = self._call(
            request,
            joined([context, section.lyrics]),
            self._voice(request, done),
            audio_prompt=before,
            seconds=new / self._frame_rate,
            seed=seed,
            progress=report,
        )
        return self._sung(song, section, context, known, new)

    def _sing_between(
        self,
        request: WholeRequest,
        done: Sequence[SungSection],
        index: int,
        seed: int,
        report: Callable[[int, int | None], None],
    ) -> SungSection:
        """Generate a section again, with as much known on both sides as the window holds."""
        old = done[index]
        spare = max(0, self._frames_of(request.plan.window) - old.num_frames)
        context = self._context(request.plan)
        earlier, later = done[:index], done[index + 1 :]
        follow = min(context, spare // 2, sum(one.num_frames for one in later))
        known = min(context, spare - follow, sum(one.num_frames for one in earlier))
        start, stop = known, known + old.num_frames
        begin = sum(one.num_frames for one in earlier) - known
        codes = joined_codes(done)[..., begin : begin + stop + follow]
        before = last_words(earlier, known, self._frame_rate)
        song = self._call(
            request,
            joined([before, old.section.lyrics, first_words(later, follow, self._frame_rate)]),
            self._voice(request, earlier),
            song=codes,
            regions=(start / self._frame_rate, stop / self._frame_rate),
            seed=seed,
            progress=report,
        )
        section = replace(old.section, quotes=None)
        return self._sung(song, section, before, start, old.num_frames)

    def _call(
        self, request: WholeRequest, lyrics: str | None, voice: dict[str, Any], **own: Any
    ) -> Song:
        """Generate one window; its seed may be that of a take or of a retry."""
        song = self(
            request.text,
            lyrics,
            language=request.language,
            negative_text=request.negative_text,
            **{**voice, **request.settings, **own},
        )
        assert isinstance(song, Song)
        return song

    def _sung(
        self, song: Song, section: Section, context: str, start: int, num_frames: int
    ) -> SungSection:
        """The section in the song of a window, where it begins with frame ``start``."""
        codes = torch.as_tensor(song["codes"])[..., start : start + num_frames].clone()
        assert codes.shape[-1] == num_frames  # the length was asked for
        timed = None
        if "words" in song:
            lines = len(self.processor.lyrics_words(context, song.request["language"])[1])
            timed = own_timing(song, lines if context else 0, start / self._frame_rate)
        return SungSection(section, codes, song["seed"], timed)

    def _voice(self, request: WholeRequest, done: Sequence[SungSection]) -> dict[str, Any]:
        """The arguments of the reference voice: the given one, or that of the first section sung.

        Of a section the loudest seconds of the vocal are taken, as many as a voice has.
        """
        sung = next((one for one in done if one.section.lyrics), None)
        if request.voice or not request.same_voice or sung is None or len(sung.codes) < 2:
            return request.voice
        codes = sung.codes if sung.first_codes is None else sung.first_codes
        vocal = self._decode(codes, chunk_frames=DECODED_FRAMES)["vocal"]
        rate = self.sampling_rate
        length = min(vocal.shape[-1], round(self.processor.voice_seconds * rate))
        energy = np.concatenate([[0.0], np.cumsum(np.square(vocal[0], dtype=np.float64))])
        start = int(np.argmax(energy[length:] - energy[: energy.size - length]))
        if energy[start + length] - energy[start] < 1e-6 * length:  # -60 dBFS
            return {}
        return {"reference_voice": (vocal[:, start : start + length], rate)}

    def _whole(
        self, request: WholeRequest, done: Sequence[SungSection], spliced: Song | None = None
    ) -> Song:
        """The song of finished sections, with the waveforms of ``spliced`` if it is given."""
        codes = joined_codes(done)
        if spliced is None:
            sounds = self._decode(joined_codes(done, first=True), chunk_frames=DECODED_FRAMES)
        else:
            names = ("audio", *TRACK_NAMES, "sampling_rate")
            sounds = {name: spliced[name] for name in names}
        sections = described_sections(done, self._frame_rate)
        content = {**with_redone(sounds, done, self._hop_length), "seed": request.seed}
        lyrics = joined([one.section.lyrics for one in done])
        facts = {**request.settings, **request.record(), "lyrics": lyrics}
        song = Song(
            {**content, "codes": codes.numpy(), "sections": sections},
            request={name: value for name, value in facts.items() if name not in request.digest},
            model=getattr(self, "model", self),
        )
        song |= joined_timing(done, self._frame_rate)
        song.request["sections"] = sections
        song.whole = (request, list(done))
        return song

    def _spliced(
        self, song: Song, done: Sequence[SungSection], index: int, sung: SungSection
    ) -> SungSection:
        """The section with its samples, which begin and end with crossfades from the song's."""
        codes = joined_codes([*done[:index], sung, *done[index + 1 :]])
        start = sum(one.num_frames for one in done[:index])
        stop = start + sung.num_frames
        visible = torch.full((len(codes), codes.shape[-1]), codes.shape[1])
        visible[:, start:stop] = 0
        recorded = recorded_tracks(song, len(codes), self.sampling_rate)
        known = KnownSong(codes, visible, recorded, is_edit=True)
        new = known.keep_recorded(
            self._decode(codes, chunk_frames=DECODED_FRAMES), self._hop_length, self._decode
        )
        tracks = recorded_tracks(new, len(codes), self.sampling_rate)
        assert tracks is not None
        hop = self._hop_length
        samples = np.stack([track[0, start * hop : stop * hop] for track in tracks])
        first = done[index].first_codes
        return replace(
            sung, redone=samples, first_codes=done[index].codes if first is None else first
        )

    def _song_of(self, held: SectionFolder, voice: dict[str, Any], reference_voice: Any) -> Song:
        """The finished song of a folder."""
        record = held.record
        if record is None:
            raise ValueError(f"{held.path} holds no whole song: give the folder of whole_song")
        names = ("language", "negative_text", "same_voice", "settings")
        request = self._whole_request(
            record["text"],
            plan_of(record),
            record["seed"],
            voice,
            reference_voice,
            **{name: record[name] for name in names},
        )
        held.begin(request.record())
        sections = request.plan.sections
        done = [held.read(place, section) for place, section in enumerate(sections)]
        finished = [one for one in done if one is not None]
        if len(finished) < len(done):
            raise ValueError(
                f"{held.path} has {len(finished)} of {len(done)} sections: finish the song first, "
                "with the call that began it"
            )
        return self._whole(request, finished)

    @property
    def _frame_rate(self) -> float:
        return self.sampling_rate / self._hop_length

    @property
    def _rates(self) -> dict[str, int]:
        return {"sampling_rate": self.sampling_rate, "hop_length": self._hop_length}

    def _frames_of(self, seconds: float) -> int:
        return max(1, round(seconds * self._frame_rate))

    def _context(self, plan: SongPlan) -> int:
        """The number of frames that a section continues."""
        return round(plan.context * self._frame_rate)


__all__ = ["WholeSongMixin"]
