"""The dataset card of prepared codes, and their description without this machine's paths."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

_TEXT = """---
{metadata}
---

# {title}

Songs as codec codes, written by `songgen-hf prepare codes`: what song models are trained on.

```python
from datasets import load_dataset

songs = load_dataset("{name}", split="{split}")
```

`songgen-hf train --dataset {name}` trains on them; the model needs the codec that made them.

## Columns

- `codes`, `vocal_codes`, `accompaniment_codes`: int16 [codebooks][frames] of the mixture and of the
  tracks, as far as the songs have them. `num_frames`: their length.
- Audio columns hold the bytes of sound files: cast them with `Audio(decode=False)`.
- All other columns are those of the songs.

## Codec

{codec}

## Terms

Codes decode to the songs: whoever may not share the songs may not share the codes.
"""


def portable_description(path: Path) -> dict[str, Any]:
    """What ``codes.json`` says, with names in place of paths on this machine."""
    description = dict(json.loads(path.read_text(encoding="utf-8")))
    for key in ("source", "model"):
        place = description.get(key)
        if isinstance(place, str) and (PurePath(place).is_absolute() or Path(place).exists()):
            description[key] = PurePath(place).name
    return description


def render_codes_card(
    description: Mapping[str, Any], files: Sequence[str], *, name: str, license: str | None = None
) -> str:
    """The text of the card.

    Args:
        description: of :func:`portable_description`.
        files: the parquet files, by their paths in the repository.
        name: of the repository.
        license: as the Hub names licenses; None leaves it open.
    """
    from huggingface_hub import DatasetCardData

    splits = list(dict.fromkeys(PurePath(file).name.partition("-")[0] for file in files))
    folders = {PurePath(file).parent.as_posix() for file in files}
    prefix = "" if folders == {"."} else "**/"
    metadata = DatasetCardData(
        license=license,
        task_categories=["text-to-audio"],
        tags=["text-to-song", "songgen", "audio-codes"],
        configs=[
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"{prefix}{split}-*.parquet"} for split in splits
                ],
            }
        ],
    )
    facts = {
        "model": description.get("model"),
        "weights that decide the codes": description.get("codec_weights"),
        "codebooks": description.get("num_codebooks"),
        "codes of a codebook": description.get("codebook_size"),
        "frames a second": description.get("frame_rate"),
        "sampling rate in Hz": description.get("sampling_rate"),
    }
    lines = [f"- {title}: {value}" for title, value in facts.items() if value is not None]
    return _TEXT.format(
        metadata=metadata.to_yaml().strip(),
        title=name.rpartition("/")[2],
        name=name,
        split=splits[0],
        codec="\n".join(lines) or "Not described.",
    )


__all__ = ["portable_description", "render_codes_card"]
