"""What a whole song is asked for: its checked arguments, and a record that a folder compares.

The file travels to the Hub with the pipelines and imports only the files beside it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .section_files import SectionFolder
from .song_plan import SongPlan, plan
from .song_requests import check_seed, draw_seed

NOT_OF_A_SECTION = (
    *("seconds", "max_seconds", "min_seconds", "max_new_frames", "min_new_frames", "audio_prompt"),
    *("song", "regions", "keep_track", "keep_codebooks", "num_return_sequences", "takes"),
    *("streamer", "output_type", "generator", "raw", "retries"),
    "callback_on_step_end",
)
"""Arguments of a call that do not apply to whole songs."""


@dataclass(frozen=True)
class WholeRequest:
    """What a whole song was asked for.

    Args:
        text, language, negative_text: as of a call.
        plan: the sections.
        seed: seed of the song.
        same_voice: whether the first sung section is the reference voice of the following ones.
        timestamps: whether the times of the words are read.
        settings: further arguments of the call.
        voice: arguments of the reference voice, without its accompaniment; {} without one.
        digest: of the voice and of the model.
    """

    text: str
    language: str
    negative_text: str | None
    plan: SongPlan
    seed: int
    same_voice: bool
    timestamps: bool
    settings: dict[str, Any]
    voice: dict[str, Any]
    digest: dict[str, str]

    def record(self) -> dict[str, Any]:
        """Everything but the voice as JSON values."""
        held = {name: getattr(self, name) for name in ("text", "language", "negative_text", "seed")}
        return {
            **held,
            "plan": asdict(self.plan),
            "same_voice": self.same_voice,
            "timestamps": self.timestamps,
            "settings": {name: _plain(value) for name, value in self.settings.items()},
            **self.digest,
        }


def planned(
    given: SongPlan | None,
    lyrics: str | None,
    window: float | None,
    context: float | None,
    extend_stride: float | None,
    repeat_chorus: bool | None,
) -> SongPlan:
    """The plan that is given, or that of the lyrics."""
    options = {"window": window, "context": context, "extend_stride": extend_stride}
    if given is None:
        return plan(lyrics, **options, repeat_chorus=repeat_chorus is not False)
    if not isinstance(given, SongPlan):
        raise TypeError(f"plan must be a SongPlan, as plan() returns: got {type(given).__name__}")
    options |= {"lyrics": lyrics, "repeat_chorus": repeat_chorus}  # type: ignore[dict-item]
    if both := [name for name, value in options.items() if value is not None]:
        raise ValueError(f"plan and {both[0]} were both given: the plan says both; give one")
    return given


def seed_of(seed: int | None, folder: Path | str | None) -> int:
    """The seed that is given, that of the folder, or a new one."""
    if seed is not None:
        return check_seed(seed)
    record = None if folder is None else SectionFolder(folder).record
    return draw_seed() if record is None else int(record["seed"])


def check_section_settings(settings: Mapping[str, Any]) -> None:
    """Refuse arguments of a call that do not apply to whole songs."""
    if given := [name for name in settings if name in NOT_OF_A_SECTION]:
        raise ValueError(
            f"whole_song does not take {given[0]}: the sections and their lengths are those of the "
            "plan"
        )


def fingerprint(networks: Sequence[Any]) -> str:
    """A digest of token pattern and beginnings of all weights, which tells models apart."""
    digest = hashlib.sha256()
    for network in networks:
        decoder = getattr(network.config, "decoder", None)
        digest.update(str(getattr(decoder, "track_pattern", "")).encode())
        for name, weight in network.named_parameters():
            values = weight.detach().flatten()[:16].float().cpu().numpy()
            digest.update(f"{name}{tuple(weight.shape)}".encode() + values.tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A setting as a JSON value; of other objects their type."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    is_plain = value is None or isinstance(value, bool | int | float | str)
    return value if is_plain else type(value).__name__


__all__ = [
    "WholeRequest",
    "check_section_settings",
    "fingerprint",
    "planned",
    "seed_of",
]
