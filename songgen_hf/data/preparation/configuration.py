"""The configuration of a preparation: the options of every stage, from a preset or a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from huggingface_hub.dataclasses import type_validator

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
        for options in sections.values():
            options.pop("device_share", None)
        return sections


def read_preparation(config: str | Mapping[str, Any], changes: Iterable[str] = ()) -> Preparation:
    """Read the configuration of a preparation.

    Args:
        config: name of a preset, whose bounds the filter has; or sections of options for each
            stage, and perhaps ``preset``, the name of the preset to start from: a YAML file or its
            content.
        changes: ``stage.option=value`` each, with a value in YAML.
    Raises:
        ValueError: for an unknown preset, stage or option, or a value out of range.
        OSError: if the file cannot be read.
    """
    yaml = require("yaml", "prepare")
    if isinstance(config, str):
        config = {"preset": config} if config in PRESETS else _read_sections(config)
    sections = dict(config)
    preset = str(sections.pop("preset", "paper"))
    if preset not in PRESETS:
        raise ValueError(f"unknown preset: got {preset!r}, expected {', '.join(PRESETS)}")
    preparation = Preparation(filter=PRESETS[preset])
    if preset == "small":  # the lyrics of an album are known, or not needed
        preparation = replace(preparation, transcribe=TranscriptionOptions(models=()))
    for name, values in sections.items():
        preparation = _changed(preparation, name, values)
    for change in changes:
        place, separator, value = change.partition("=")
        name, dot, key = place.partition(".")
        if not (separator and dot):
            raise ValueError(f"got the change {change!r}, expected STAGE.OPTION=VALUE")
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"cannot read the change {change!r} as YAML: {reason}") from error
        preparation = _changed(preparation, name, {key: value})
    return preparation


def _read_sections(file: str) -> Mapping[str, Any]:
    """The sections of a YAML file."""
    yaml = require("yaml", "prepare")
    if not Path(file).is_file():
        raise ValueError(
            f"unknown configuration: got {file!r}, expected {', '.join(PRESETS)} or a YAML file"
        )
    with reading(file):
        try:
            sections = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(sections, Mapping):
        raise ValueError(f"{file} holds no sections: expected one for each stage")
    return sections


def _changed(preparation: Preparation, name: str, values: Any) -> Preparation:
    """A preparation with other options of one stage."""
    known = [entry.name for entry in fields(preparation)]
    if name not in known:
        raise ValueError(f"unknown stage: got {name!r}, expected one of {', '.join(known)}")
    section = getattr(preparation, name)
    if not isinstance(values, Mapping):
        raise ValueError(f"the section {name} must hold options: got {values!r}")
    kinds = get_type_hints(type(section))
    for key, value in values.items():
        if key not in kinds:
            raise ValueError(
                f"unknown option of {name}: got {key!r}, expected one of {', '.join(kinds)}"
            )
        section = replace(section, **{key: _checked(f"{name}.{key}", value, kinds[key])})
    return replace(preparation, **{name: section})


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The value of an option; lists become tuples, and so does one text where several may stand.

    Raises:
        ValueError: for a value of another type.
    """
    expected = (kind.__name__ if type(kind) is type else str(kind)).replace(
        "tuple[str, ...]", "a list of str"
    )
    is_list = isinstance(value, list) or (isinstance(value, str) and "list" in expected)
    found = (tuple(value) if isinstance(value, list) else (value,)) if is_list else value
    whole = isinstance(value, int) and not isinstance(value, bool) and "float" in expected
    try:
        type_validator(name, float(value) if whole else found, kind)
    except TypeError as error:
        raise ValueError(f"{name} must be {expected}: got {value!r}") from error
    return found


__all__ = ["Preparation", "read_preparation"]
