"""The configuration of a preparation: the options of every stage, from a preset or a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...modeling.checkpoint_files import reading
from ...optional import require
from .alignment import AlignmentOptions
from .captioning import CaptionOptions
from .filtering import PRESETS, Thresholds
from .quality import ScoreOptions
from .segmentation import SegmentationOptions
from .separation import SeparateOptions
from .transcription import TranscriptionOptions
from .voice_prompts import VoicePromptOptions


@dataclass(frozen=True)
class Preparation:
    """The options of each stage.

    Args:
        separate: how recordings without stems are separated.
        segment: how recordings are cut into clips.
        align: how given lyrics are aligned.
        voice: where reference voices are taken from.
        transcribe: how other clips are transcribed.
        score: which scores are computed.
        caption: how clips are described.
        filter: which clips are kept.
    """

    separate: SeparateOptions = field(default_factory=SeparateOptions)
    segment: SegmentationOptions = field(default_factory=SegmentationOptions)
    align: AlignmentOptions = field(default_factory=AlignmentOptions)
    voice: VoicePromptOptions = field(default_factory=VoicePromptOptions)
    transcribe: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    caption: CaptionOptions = field(default_factory=CaptionOptions)
    filter: Thresholds = field(default_factory=Thresholds)

    def identity(self) -> dict[str, Any]:
        """What decides the results of the stages; the filter can be changed later."""
        sections = asdict(self)
        del sections["filter"]
        return sections


def read_preparation(config: str, changes: Iterable[str] = ()) -> Preparation:
    """Read the configuration of a preparation.

    Args:
        config: name of a preset, whose bounds the filter has; or a YAML file with a section of
            options for each stage, and perhaps ``preset``, the name of the preset to start from.
        changes: ``stage.option=value`` each, with a value in YAML.
    Raises:
        ValueError: for an unknown preset, stage or option, or a value out of range.
        OSError: if the file cannot be read.
    """
    yaml = require("yaml", "prepare")
    sections: dict[str, Any] = {}
    if config not in PRESETS:
        if not Path(config).is_file():
            raise ValueError(
                f"unknown configuration: got {config!r}, expected {', '.join(PRESETS)} or a YAML "
                "file"
            )
        with reading(config):
            try:
                sections = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
            except yaml.YAMLError as error:
                raise ValueError(" ".join(str(error).split())) from error
        if not isinstance(sections, Mapping):
            raise ValueError(f"{config} holds no sections: expected one for each stage")
        sections = dict(sections)
        config = sections.pop("preset", "paper")
        if config not in PRESETS:
            raise ValueError(f"unknown preset: got {config!r}, expected {', '.join(PRESETS)}")
    preparation = Preparation(filter=PRESETS[config])
    if config == "small":  # the lyrics of an album are known, or not needed
        preparation = replace(preparation, transcribe=TranscriptionOptions(models=()))
    for name, values in sections.items():
        preparation = _changed(preparation, name, values)
    for change in changes:
        place, separator, value = change.partition("=")
        name, dot, key = place.partition(".")
        if not (separator and dot):
            raise ValueError(f"got the change {change!r}, expected STAGE.OPTION=VALUE")
        preparation = _changed(preparation, name, {key: yaml.safe_load(value)})
    return preparation


def _changed(preparation: Preparation, name: str, values: Any) -> Preparation:
    """A preparation with other options of one stage."""
    known = [entry.name for entry in fields(preparation)]
    if name not in known:
        raise ValueError(f"unknown stage: got {name!r}, expected one of {', '.join(known)}")
    section = getattr(preparation, name)
    if not isinstance(values, Mapping):
        raise ValueError(f"the section {name} must hold options: got {values!r}")
    options = [entry.name for entry in fields(section)]
    for key, value in values.items():
        if key not in options:
            raise ValueError(
                f"unknown option of {name}: got {key!r}, expected one of {', '.join(options)}"
            )
        expected = getattr(section, key)
        if isinstance(value, list):
            value = tuple(value)
        if expected is not None and value is not None and not _fits(value, expected):
            raise ValueError(f"{name}.{key} must be of the kind of {expected!r}: got {value!r}")
        section = replace(section, **{key: value})
    return replace(preparation, **{name: section})


def _fits(value: Any, expected: Any) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool):
        return isinstance(expected, bool) and isinstance(value, bool)
    if isinstance(expected, float):
        return isinstance(value, int | float)
    return isinstance(value, type(expected))


__all__ = ["Preparation", "read_preparation"]
