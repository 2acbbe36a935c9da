"""Writes the dataset card of prepared codes, and their description without local paths."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

_TEXT = """---
{metadata}
---

# {title}

Songs as codes of an audio codec, on which song models are trained. Written by `songgen-hf prepare
codes`.

```python
from datasets import load_dataset

songs = load_dataset("{name}", split="{split}")
```

`songgen-hf train --dataset {name}` trains a model on them; the model needs the codec that encoded
them.

## Columns

- `codes`, `vocal_codes`, `accompaniment_codes`: int16 [codebooks][frames] of the mixture and, if
  the songs have them, of the tracks. `num_frames`: number of frames.
- Audio columns contain the bytes of audio files; cast them with `Audio(decode=False)`.
- All other columns are copied from the songs.

## Codec

{codec}

## Terms

Codes can be decoded to the songs. The terms of the songs therefore also apply to the codes: do not
share the codes of songs that you may not share.
"""


def portable_description(path: Path) -> dict[str, Any]:
    """The content of ``codes.json``, with names in place of local paths."""
    description = dict(json.loads(path.read_text(encoding="utf-8")))
    for key in ("source", "model"):
        place = description.get(key)
        if isinstance(place, str) and (PurePath(place).is_absolute() or Path(place).exists()):
            description[key] = PurePath(place).name
    return description


def render_codes_card(
    description: Mapping[str, Any], files: Sequence[str], *, name: str, license: str | None = None
) -> str:
    """The text of the dataset card.

    Args:
        description: description that :func:`portable_description` returned.
        files: paths of the parquet files in the repository.
        name: Hub id of the repository.
        license: identifier of the license on the Hub; None for no license.
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
        "frames per second": description.get("frame_rate"),
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
