"""Generates one section of a whole song again, between what precedes and what follows it.

The file travels to the Hub with the pipelines and imports only the files beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .editing import KnownSong, recorded_tracks
from .progress import section_progress
from .section_files import SectionFolder, plan_of
from .song import Song
from .song_requests import check_seed, draw_seed
from .sung_sections import SungSection, first_words, joined, joined_codes, last_words
from .whole_requests import WholeRequest, check_section_settings
from .whole_song import WholeSongMixin

RANKING = ("best_of", "rank_by")


class RedoSectionMixin(WholeSongMixin):
    """Generates whole songs with a pipeline, and single sections of them again."""

    @torch.no_grad()
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
        context = round(request.plan.context * self._frame_rate)
        earlier, later = done[:index], done[index + 1 :]
        follow = min(context, spare // 2, sum(one.num_frames for one in later))
        known = min(context, spare - follow, sum(one.num_frames for one in earlier))
        start, stop = known, known + old.num_frames
        begin = sum(one.num_frames for one in earlier) - known
        codes = joined_codes(done)[..., begin : begin + stop + follow]
        before = last_words(earlier, known, self._frame_rate)
        voice = self._voice(request, earlier)
        song = self._call(
            request,
            joined([before, old.section.lyrics, first_words(later, follow, self._frame_rate)]),
            voice,
            song=codes,
            regions=(start / self._frame_rate, stop / self._frame_rate),
            # The vocal of a section without words is silent, and stays so.
            keep_track=None if old.section.lyrics or len(codes) < 2 else "vocal",
            seed=seed,
            progress=report,
        )
        section = replace(old.section, quotes=None)
        return self._sung(request, song, section, before, start, voice)

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
        new = known.keep_recorded(self._decode(codes), self._hop_length, self._decode)
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
        names = ("language", "negative_text", "same_voice", "timestamps", "settings")
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


__all__ = ["RedoSectionMixin"]
