"""Whole songs: their plan from the settings, and their generation section by section.

Sections are kept in the folder of a song, so that a stopped song goes on after its finished
sections, and each section of a finished one can be generated again.
"""

import copy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..pipelines.song_plan import TAG, SongPlan, plan
from .limits import Limits
from .settings import Settings
from .streams import Chunk, ChunkStreamer, can_stream

WHOLE, SECTION, FINISH = "whole", "section", "finish"
FOLDER = "sections"
"""Folder of the sections in the folder of a song."""


@dataclass(frozen=True)
class WholeSong:
    """What of a whole song is generated.

    Args:
        folder: folder of its sections.
        plan: its sections.
        section: index of the section that is generated again; None for all that are missing.
    """

    folder: Path
    plan: SongPlan
    section: int | None = None

    takes = 1

    @property
    def kind(self) -> str:
        """``"whole"`` or ``"section"``, beside the kinds of an ``Edit``."""
        return WHOLE if self.section is None else SECTION

    @property
    def seconds(self) -> float:
        """Length of the song."""
        return self.plan.seconds

    @property
    def generated_seconds(self) -> float:
        """Length of what is generated, without quotes."""
        sections = self.plan.sections
        if self.section is not None:
            return sections[self.section].seconds
        return sum(section.seconds for section in sections if section.quotes is None)


@dataclass(frozen=True)
class SectionBegin:
    """A section of a song that is being generated begins, or begins again.

    Args:
        index: index of the section.
        chunks: number of the song's chunks that precede it; later ones are void.
    """

    index: int
    chunks: int


def plan_settings(settings: Settings, limits: Limits) -> SongPlan:
    """The sections of the lyrics of checked settings.

    Raises:
        ValueError: for lyrics that cannot be planned, or a song that is too long.
    """
    # Sections that are longer than a window are sung in several, each with the same context.
    stride = settings.window - settings.context
    planned = plan(
        settings.lyrics,
        window=settings.window,
        extend_stride=stride,
        repeat_chorus=settings.repeat_chorus,
    )
    if planned.seconds > limits.whole_seconds:
        raise ValueError(
            f"the song takes {planned.seconds:.0f} s: whole songs here are up to "
            f"{limits.whole_seconds:g} s long; shorten the lyrics, or give lengths such as "
            "[verse 12s]"
        )
    return planned


def described(plan: SongPlan, current: int = -1) -> list[dict[str, Any]]:
    """The sections of a plan: ``name``, ``start``, ``end``, ``lyrics``, ``quotes`` and ``state``.

    Args:
        plan: the sections.
        current: index of the section that is being sung; those before are sung.
    """
    found = []
    for place, section in enumerate(plan.to_list()):
        state = "sung" if place < current else "singing" if place == current else "waiting"
        facts = {name: section[name] for name in ("name", "start", "lyrics")}
        facts |= {"end": round(section["start"] + section["seconds"], 3), "state": state}
        if section["quotes"] is not None:
            facts["quotes"] = plan.sections[section["quotes"]].name
        found.append(facts)
    return found


def has_tags(lyrics: str) -> bool:
    """Whether lyrics have tags such as ``[verse]``."""
    return bool(TAG.search(lyrics))


def copy_sections(source: Path, target: Path) -> None:
    """Copy the sections of a song for another one.

    Raises:
        ValueError: if the song has none.
    """
    if not source.is_dir():
        raise ValueError("this song has no sections: sing it as a whole song")
    shutil.copytree(source, target)


def generate_whole(
    pipeline: Any,
    settings: Settings,
    work: WholeSong,
    emit: Callable[[Chunk | SectionBegin], None],
    **options: Any,
) -> Mapping[str, Any]:
    """Generate the sections of a whole song, or one of them again.

    Args:
        pipeline: the pipeline of the mode.
        settings: checked settings.
        work: what is generated.
        emit: called with the sound of new sections and with where they begin.
        options: arguments of ``whole_song`` besides description, plan and folder.
    Returns:
        The song, a dict of the pipeline with ``sections``.
    """
    if work.section is not None:
        names = {"seed", "reference_voice", "separate_voice", "progress", "compile"}
        given = {name: options[name] for name in names & set(options)}
        song: Mapping[str, Any] = pipeline.redo_section(work.folder, work.section, **given)
        return song
    streamer = section_streamer(pipeline, int(options["seed"]), emit)
    song = pipeline.whole_song(
        settings.text, plan=work.plan, folder=work.folder, follow=streamer, **options
    )
    if streamer is not None:
        streamer.end()
    return song


def section_streamer(
    pipeline: Any, seed: int, emit: Callable[[Chunk | SectionBegin], None]
) -> "SectionStreamer | None":
    """Decoder of the codes of a pipeline's sections; None for a codec that decodes no chunks."""
    model = getattr(pipeline, "model", None)
    if getattr(pipeline, "mode", "") == "masked":
        config = pipeline.transformer.config
        model = SimpleNamespace(
            audio_encoder=pipeline.codec,
            pattern=SimpleNamespace(num_tracks=config.num_tracks, num_rows=0),
            config=SimpleNamespace(sampling_rate=pipeline.sampling_rate, decoder=config),
        )
    return SectionStreamer(model, seed, emit) if can_stream(model) else None


class SectionStreamer(ChunkStreamer):
    """Hands over the sound of sections while their codes become known, as one stream.

    Its instances are the argument ``follow`` of ``whole_song``.
    """

    def __init__(self, model: Any, seed: int, emit: Callable[[Any], None]):
        super().__init__(model, seed, self._count)
        self._tell = emit
        self._chunks = 0
        self._section = -1
        self._codes: list[Tensor] = []  # not handed over yet
        self._start: dict[str, Any] = {}  # the state where the section begins

    def __call__(self, section: int, before: int, codes: Tensor) -> None:
        """Take the next codes [N, K, n] of a section; none where it begins, or begins again."""
        if codes.shape[-1]:
            self._codes.append(codes.cpu())
            self._decode(codes)
            self._hand_over()
            return
        if section == self._section:
            self._restore()
        self._section, self._start = section, self._state()
        self._tell(SectionBegin(section, self._chunks))

    def _count(self, chunk: Chunk) -> None:
        self._chunks += 1
        self._tell(chunk)

    def _state(self) -> dict[str, Any]:
        """What a section that begins again goes back to; tensors are replaced, never changed."""
        names = ("_waiting", "_ended", "_begun", "_chunks", "_codes")
        state = {name: copy.copy(getattr(self, name)) for name in names}
        return {**state, "_decoders": [copy.copy(decoder) for decoder in self._decoders]}

    def _restore(self) -> None:
        for name, value in self._start.items():
            setattr(self, name, value)

    def _new_codes(self) -> Any:
        codes = torch.cat(self._codes, dim=-1).numpy() if self._codes else super()._new_codes()
        self._codes = []
        return codes


__all__ = [
    "FINISH",
    "FOLDER",
    "SECTION",
    "WHOLE",
    "SectionBegin",
    "SectionStreamer",
    "WholeSong",
    "copy_sections",
    "described",
    "generate_whole",
    "has_tags",
    "plan_settings",
    "section_streamer",
]
