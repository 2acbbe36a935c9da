"""Whole songs: sections are generated one after another, each continuing the last seconds before.

A section is a window of the model, so memory does not grow with the length of the song: of finished
sections the codes are kept, and these are decoded piecewise at the end. The file travels to the Hub
with the pipelines and imports only the files beside it.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .best_lines import BestOfMixin
from .best_of import check_best_of
from .codes_stream import CodesStreamer
from .editing import TRACK_NAMES
from .progress import section_progress
from .section_files import SectionFolder
from .song import Song
from .song_plan import Section, SongPlan, by_line
from .song_requests import check_voices, prepare_inputs, seed_after, separate_voices
from .sung_sections import (
    SungSection,
    described_sections,
    first_words,
    joined,
    joined_codes,
    joined_timing,
    last_words,
    own_timing,
    unsung,
    untimed,
    with_redone,
)
from .swapped_tracks import MAY_BE_SWAPPED
from .timestamps import warn_of_coverage
from .whole_requests import (
    WholeRequest,
    check_section_settings,
    fingerprint,
    planned,
    seed_of,
)

SEED_STEP = 1000
"""Between the seeds of two sections, so that their takes do not share seeds."""
SWAP_TRIES = 4
"""How often a section is generated at most while its tracks are swapped."""
AHEAD_SECONDS = 1.5
"""What is generated beyond the end of a section and dropped."""
Follow = Callable[[int, int, torch.Tensor], None]
"""Function (section, its frames before, codes [N, K, n] of its next frames)."""


class WholeSongMixin(BestOfMixin):
    """Generates whole songs with a pipeline, section by section."""

    voice_separator: Callable[..., tuple[Any, float]] | None
    mode: str
    align: Callable[..., Song]
    _networks: list[Any]
    _load_song: Callable[..., tuple[torch.Tensor, Any]]
    __call__: Callable[..., Any]

    @torch.no_grad()
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
        timestamps: bool = False,
        progress: bool | Callable[[int, int], None] = False,
        follow: Follow | None = None,
        **settings: Any,
    ) -> Song:
        """Generate a song of any length from lyrics with tags such as ``[verse]``.

        The sections of the plan are generated one after another. Each continues the last
        ``context`` seconds, whose codes are part of the song unchanged; the model hears the words
        that are sung in them and those of the section. Up to 1.5 s more are generated and dropped,
        since models end a song where they stop. With a model of two tracks the vocal of sections
        without words is silent. Memory does not grow with the length.

        Args:
            text: style description of the whole song.
            lyrics: lyrics with tags, see :func:`songgen_hf.pipelines.song_plan.plan`.
            seed: seed of the song; section ``i`` has the seed ``seed + 1000 * i``, or up to three
                times 250 more if its tracks were mixed up. None to draw one, or for
                that of the ``folder``.
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
            follow: called with (index of the section, number of its frames before, codes [N, K, n]
                of its next frames) as soon as these are known: with an autoregressive model and
                without ``best_of`` while they are generated. A section begins with a call of no
                frames, and again so if it is generated again.
            timestamps: whether the song has ``words``, ``lines`` and ``coverage``. The words in the
                context are then those whose times lie there; otherwise those that their share of
                the letters places there.
            settings: further arguments of a call that hold for each section, such as ``best_of``
                and ``guidance_scale``.
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
        made = planned(plan, lyrics, window, context, extend_stride, repeat_chorus)
        best_of_by = settings.pop("best_of_by", "song")
        check_best_of(settings.get("best_of"), settings.get("rank_by"), None, best_of_by)
        if best_of_by == "line":
            made = by_line(made)
        request = self._whole_request(
            text,
            made,
            seed_of(seed, folder),
            {"voice_start": voice_start, "separate_voice": separate_voice},
            reference_voice,
            language=language,
            negative_text=negative_text,
            same_voice=same_voice,
            timestamps=timestamps,
            settings=settings,
        )
        held = None if folder is None else SectionFolder(folder)
        if held is not None:
            held.begin(request.record())
        frames = [self._frames_of(section.seconds) for section in request.plan.sections]
        done: list[SungSection] = []
        for place, section in enumerate(request.plan.sections):
            sung = None if held is None else held.read(place, section)
            frame_by_frame = self.mode == "autoregressive" and not settings.get("best_of")
            heard = _Followed(follow, place, frame_by_frame)
            heard.begin(self._sizes)
            if sung is None:
                counts = (sum(frames[:place]), frames[place], sum(frames))
                title = f"{section.name} ({place + 1}/{len(frames)})"
                with section_progress(progress, title, *counts) as report:
                    sung = self._sing(request, done, section, report, heard)
                if held is not None:
                    held.write(place, sung, **self._rates)
            heard.finish(sung.codes)
            done.append(sung)
        return self._whole(request, done)

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
        check_voices([one])
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
        heard: "_Followed",
    ) -> SungSection:
        """Generate the section after finished ones, or quote it."""
        if section.quotes is not None:
            quoted = done[section.quotes]
            return SungSection(section, quoted.codes, quoted.seed, quoted.timed)
        new = self._frames_of(section.seconds)
        following = [
            unsung(one, self._frames_of(one.seconds))
            for one in request.plan.sections[len(done) + 1 :]
        ]
        known, ahead = self._around(request.plan, new, following)
        known = min(known, sum(one.num_frames for one in done))
        before = joined_codes(done)[..., -known:] if known else None
        context = last_words(done, known, self._frame_rate)
        given: dict[str, Any] = {
            "audio_prompt": before,
            "seconds": (new + ahead) / self._frame_rate,
        }
        next_words = first_words(following, ahead, self._frame_rate)
        silent = None if section.lyrics else self._without_vocal(before, new + ahead)
        if silent is not None:
            given = {
                "song": silent,
                "regions": (known / self._frame_rate, None),
                "keep_track": "vocal",
            }
            next_words = next((one.section.lyrics for one in following if one.section.lyrics), "")
        voice = self._voice(request, done)
        lyrics = joined([context, section.lyrics, next_words])
        tries: list[tuple[float, int, Song]] = []
        for step in range(0, SEED_STEP, SEED_STEP // SWAP_TRIES):
            seed = seed_after(request.seed, SEED_STEP * len(done) + step)
            if tries:
                heard.begin(self._sizes)
            streamed = heard.streamer(getattr(self, "model", None), known, new)
            song = self._call(
                request, lyrics, voice, seed=seed, progress=report, **given, **streamed
            )
            swapped, drawn = 0.0, song["codes"]
            if section.lyrics:
                self._put_tracks_in_place(song, known)
                swapped = self._misplaced_seconds(song, known, known + new)
            tries.append((swapped, seed, song))
            if swapped <= MAY_BE_SWAPPED:
                break
        song = min(tries)[2]
        if song is not tries[-1][2] or song["codes"] is not drawn:
            heard.begin(self._sizes)
        return self._sung(request, song, section, context, known, voice)

    def _around(
        self, plan: SongPlan, num_frames: int, following: Sequence[SungSection]
    ) -> tuple[int, int]:
        """How many frames before a section the model hears, and how many after it generates.

        The latter are dropped: models end a song where they stop, with a pause.
        """
        context = round(plan.context * self._frame_rate)
        spare = max(0, self._frames_of(plan.window) - num_frames)
        ahead = min(self._frames_of(AHEAD_SECONDS), max(spare - context, min(spare, context) // 4))
        ahead = min(ahead, sum(one.num_frames for one in following))
        return min(context, spare - ahead), ahead

    def _without_vocal(self, before: torch.Tensor | None, num_frames: int) -> torch.Tensor | None:
        """Codes that go on with a silent vocal, [2, K, T]; None for a model of one track.

        The codes of the accompaniment that go on are to be generated.
        """
        hop = self._hop_length
        known, vocal = 0, np.zeros((1, 0), np.float32)
        if before is not None:
            known = before.shape[-1]
            vocal = self._decode(before, raw=True)["vocal"]
            if vocal is None:
                return None
        elif self._sizes.num_tracks < 2:
            return None
        silence = np.zeros((1, (num_frames + 10) * hop), np.float32)
        vocal = np.concatenate([vocal[:, : known * hop], silence], axis=-1)
        track = (vocal, self.sampling_rate)
        codes = self._load_song({"vocal": track, "accompaniment": track})[0]
        codes = codes[..., : known + num_frames].clone()
        if before is not None:
            codes[..., :known] = before
        return codes

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
        self,
        request: WholeRequest,
        song: Song,
        section: Section,
        context: str,
        start: int,
        voice: dict[str, Any],
    ) -> SungSection:
        """The section in the song of a window, where it begins with frame ``start``."""
        stop = start + self._frames_of(section.seconds)
        codes = torch.as_tensor(song["codes"])[..., :stop].clone()
        assert codes.shape[-1] == stop  # the length was asked for
        if special := int((codes >= self._sizes.codebook_size).sum()):
            raise ValueError(
                f"section {section.name!r} has {special} special ids among its codes: suppress "
                "them (suppress_tokens of the generation config)"
            )
        timed = None
        if request.timestamps:
            timed = untimed()
            if section.lyrics:
                lyrics = joined([context, section.lyrics])
                assert lyrics is not None
                options = {"text": request.text, "language": request.language, **voice}
                aligned = self.align(codes, lyrics, **options)
                lines = len(self.processor.lyrics_words(context, request.language)[1])
                seconds = (start / self._frame_rate, stop / self._frame_rate)
                timed = own_timing(aligned, lines if context else 0, *seconds)
        return SungSection(section, codes[..., start:], song["seed"], timed)

    def _voice(self, request: WholeRequest, done: Sequence[SungSection]) -> dict[str, Any]:
        """The arguments of the reference voice: the given one, or that of the first section sung.

        Of a section the loudest seconds of the vocal are taken, as many as a voice has.
        """
        sung = next((one for one in done if one.section.lyrics), None)
        if request.voice or not request.same_voice or sung is None or len(sung.codes) < 2:
            return request.voice
        codes = sung.codes if sung.first_codes is None else sung.first_codes
        vocal = self._decode(codes)["vocal"]
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
            sounds = self._decode(joined_codes(done, first=True))
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
        if request.timestamps:
            warn_of_coverage(song)
        song.request["sections"] = sections
        song.whole = (request, list(done))
        return song

    @property
    def _frame_rate(self) -> float:
        return self.sampling_rate / self._hop_length

    @property
    def _rates(self) -> dict[str, int]:
        return {"sampling_rate": self.sampling_rate, "hop_length": self._hop_length}

    def _frames_of(self, seconds: float) -> int:
        return max(1, round(seconds * self._frame_rate))


class _Followed:
    """Tells a function of the codes of one section."""

    def __init__(self, follow: Follow | None, section: int, frame_by_frame: bool):
        self.follow, self.section, self.frame_by_frame = follow, section, frame_by_frame
        self.told = 0  # frames

    def begin(self, sizes: Any) -> None:
        """Tell that the section begins, or begins again."""
        self.told = 0
        if self.follow is not None:
            nothing = torch.zeros(sizes.num_tracks, sizes.num_codebooks, 0, dtype=torch.int64)
            self.follow(self.section, 0, nothing)

    def streamer(self, model: Any, known: int, num_frames: int) -> dict[str, Any]:
        """The argument ``streamer`` of a window, whose section begins with frame ``known``."""
        if self.follow is None or not self.frame_by_frame:
            return {}

        def take(before: int, codes: torch.Tensor) -> None:
            start, stop = max(before, known), min(before + codes.shape[-1], known + num_frames)
            if start < stop:
                self._tell(codes[..., start - before : stop - before])

        return {"streamer": CodesStreamer(model, take)}

    def finish(self, codes: torch.Tensor) -> None:
        """Tell what was not told yet of the section's codes [N, K, T]."""
        if self.told < codes.shape[-1]:
            self._tell(codes[..., self.told :])

    def _tell(self, codes: torch.Tensor) -> None:
        if self.follow is not None:
            self.follow(self.section, self.told, codes)
        self.told += codes.shape[-1]


__all__ = ["Follow", "WholeSongMixin"]
