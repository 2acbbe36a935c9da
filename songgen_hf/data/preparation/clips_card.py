"""Writes the dataset card of prepared clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from .filtering import RULES, Thresholds
from .languages import language_code
from .report import funnel

_TEXT = """---
{metadata}
---

# {title}

Clips of songs with scores and captions, prepared by `songgen-hf prepare songs`. A row names the
place of a clip in a recording, which the dataset does not hold.

```python
from datasets import load_dataset

clips = load_dataset("{name}", split="{split}")
```

## What each step left

| step | clips |
|---|---|
{funnel}

{hours:.2f} hours are kept. `hq` marks the clips of high quality. The dataset holds the kept clips;
the table `clips.parquet` holds all of them, with `kept` and `reasons`, which can be computed again
with other thresholds (`songgen-hf prepare filter`).

## Thresholds

| score | kept | high quality |
|---|---|---|
{thresholds}

## Columns

- `id`, `recording_id`, `clip_start`, `clip_seconds`: the place of the clip, in seconds.
- `hq`: whether the clip is of high quality. In the table also `kept` and `reasons`, every reason
  with the value and its bound.
- Scores: {scores}.
- `caption` and `captions`, `lyrics`, and all columns that the recordings had.

## Terms

The terms of the recordings also apply to clips, stems and codes of them: do not share what you may
not share. Captions and transcripts of models contain errors, and the scores miss some faults.
"""


def render_clips_card(
    rows: Sequence[Mapping[str, Any]],
    thresholds: Thresholds,
    hq: Thresholds,
    files: Sequence[str],
    *,
    name: str,
    license: str | None = None,
) -> str:
    """The text of the dataset card.

    Args:
        rows: filtered clips, see :func:`~.filtering.filter_clips`.
        thresholds: bounds of clips that are kept.
        hq: bounds of the high quality subset.
        files: paths of the parquet files in the repository, named ``split-*.parquet``.
        name: Hub id of the repository.
        license: identifier of the license on the Hub; None for no license.
    """
    from huggingface_hub import DatasetCardData

    folders = {PurePath(file).name.partition("-")[0]: PurePath(file).parent for file in files}
    splits = list(folders)
    languages = sorted(
        {language_code(row["language"]) for row in rows if row["kept"] and row.get("language")}
    )
    metadata = DatasetCardData(
        license=license,
        language=languages or None,
        task_categories=["text-to-audio"],
        tags=["music", "text-to-song", "songgen"],
        configs=[
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": (folder / f"{split}-*.parquet").as_posix()}
                    for split, folder in folders.items()
                ],
            }
        ],
    )
    present = [rule for rule in RULES if any(row.get(rule.column) is not None for row in rows)]
    lines = []
    for rule in present:
        side = "at least" if rule.is_minimum else "at most"
        bounds = (getattr(one, rule.threshold) for one in (thresholds, hq))
        shown = ("any" if one is None else f"{side} {one:g}{rule.unit}" for one in bounds)
        lines.append(f"| `{rule.column}` | {' | '.join(shown)} |")
    kept = sum(row.get("clip_seconds") or 0.0 for row in rows if row["kept"])
    return _TEXT.format(
        metadata=metadata.to_yaml().strip(),
        title=name.rpartition("/")[2],
        name=name,
        split=splits[0] if splits else "train",
        funnel="\n".join(f"| {step} | {count} |" for step, count in funnel(rows)),
        hours=kept / 3600,
        thresholds="\n".join(lines),
        scores=", ".join(f"`{rule.column}`" for rule in present) or "none",
    )


__all__ = ["render_clips_card"]
