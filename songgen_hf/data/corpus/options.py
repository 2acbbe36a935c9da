"""The options of rendering a corpus of songs."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .lyrics_grammar import SPLITS

EDITIONS = ("small", "large")


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """What to render and where to write it.

    Args:
        output: folder to write; a started corpus is continued.
        seed: seed of the corpus, which decides its bytes together with the numbers of songs.
        train_songs: songs of the training split; a song lasts 10.7 s on average.
        validation_songs: songs of the validation split: known words in new lines.
        test_songs: songs of the test split: some words are unknown from training.
        songs_per_shard: songs in one parquet file.
        edition: ``small`` has 12 singers and some 1000 words, and the songs of the fixed prompts;
            ``large`` has 72 singers and some 12000 words.
        workers: processes; their number does not change the bytes.
        soundfont: General-MIDI .sf2 file (default: that of Debian's fluid-soundfont-gm).
        voices: singers to draw from, such as female_7, who is held out of the usual corpus
            (default: male_1 to male_6 and female_1 to female_6).
        progress: show a progress bar.
    Raises:
        ValueError: if a number is out of range or a voice unknown.
    """

    output: Path = field(metadata={"positional": True})
    seed: int = 0
    train_songs: int = 1800
    validation_songs: int = 100
    test_songs: int = 200
    songs_per_shard: int = 100
    edition: str = field(default="small", metadata={"choices": EDITIONS})
    workers: int = 2
    soundfont: str | None = None
    voices: tuple[str, ...] = ()
    progress: bool = field(
        default=True, metadata={"flag": "--quiet", "help": "show no progress bar"}
    )

    def __post_init__(self) -> None:
        for name in ("seed", "train_songs", "validation_songs", "test_songs"):
            if getattr(self, name) < 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected 0 or more")
        for name in ("songs_per_shard", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"got {name} {getattr(self, name)}, expected 1 or more")
        if self.edition not in EDITIONS:
            raise ValueError(f"got edition {self.edition!r}, expected {' or '.join(EDITIONS)}")
        if sum(self.songs.values()) == 0:
            raise ValueError("got no songs to render: ask for at least one in some split")
        if self.voices:
            from .voices import singers_named

            singers_named(self.voices)

    @property
    def songs(self) -> dict[str, int]:
        """Number of songs by split."""
        return {split: getattr(self, f"{split}_songs") for split in SPLITS}

    @property
    def manifest(self) -> dict[str, Any]:
        """What the bytes depend on."""
        names = ("seed", "train_songs", "validation_songs", "test_songs", "songs_per_shard")
        values = asdict(self)
        manifest = {"format": 1} | {name: values[name] for name in names}
        if self.edition != "small":
            manifest["edition"] = self.edition
        return manifest | ({"voices": list(self.voices)} if self.voices else {})


__all__ = ["CorpusOptions"]
