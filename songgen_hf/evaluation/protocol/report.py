"""What was evaluated: JSON for machines, tables and pictures for people. Fractions are 0 to 1.

``checkpoints`` has one entry a track pattern: the headline's metrics by their names, and those of
the rows it is compared with under names that end in ``_untrained``, ``_true`` and ``_codec``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files import encode_json, write_files
from ..judges.phonemes import merge_phonemes
from .evaluation import EvaluatedCheckpoint, EvaluatedRow
from .mel_page import PicturedSong, draw_page
from .options import MiniOptions

COMPARED = ("untrained", "true", "codec")
START_MARK, END_MARK = "<!-- results -->", "<!-- end of results -->"
BOOTSTRAP_SEED = 0
# Metric, its title, and the goal as text.
GOALS = (
    ("per", "phoneme error rate of the vocal track", "<= 45 %"),
    ("per_mixture", "phoneme error rate of the mixture", ""),
    ("gender", "gender as asked for", ">= 80 %"),
    ("instrument", "lead instrument family as asked for", ">= 80 %"),
    ("tempo", "tempo within 8 %", ">= 80 %"),
    ("tempo_any_octave", "tempo, its half or its double", ""),
    ("fad", "Frechet audio distance", "<= 1/5 of untrained"),
    ("voice_match", "nearer to its voice than to another", ">= 80 %"),
    ("voice_match_same_gender", "the same, another of its gender", ""),
    ("seconds", "duration in seconds", ""),
)
NOT_SHARES = ("fad", "seconds", "voice_similarity")
# Measure of a codec, its title, and whether it is a share.
CODEC_MEASURES = (
    ("mel_distance", "log-mel distance of mixtures", False),
    ("mel_distance_vocal", "log-mel distance of vocals", False),
    ("si_sdr", "SI-SDR of mixtures, dB", False),
    ("si_sdr_vocal", "SI-SDR of vocals, dB", False),
    ("per", "phoneme error rate of decoded vocals", True),
    ("per_true", "phoneme error rate of the vocals themselves", True),
    ("probe_codebooks_1", "phoneme of a frame, told linearly from 1 codebook", True),
    ("probe_codebooks_2", "... from 2 codebooks", True),
    ("probe_codebooks_4", "... from 4 codebooks", True),
    ("probe_codebooks_8", "... from 8 codebooks", True),
    ("probe_commonest", "... by naming the commonest", True),
)


def describe_evaluation(
    options: MiniOptions,
    evaluated: Sequence[EvaluatedCheckpoint],
    *,
    judges: Mapping[str, Any],
    versions: Mapping[str, str],
    command: str,
) -> dict[str, Any]:
    """The whole report but for the codec's part.

    Args:
        options: that it was made with.
        evaluated: all checkpoints.
        judges: what ``judges.json`` says: the judges on true songs.
        versions: of the libraries.
        command: that makes it again.
    """
    rows = [describe_row(one, row, options) for one in evaluated for row in one.rows]
    return {
        "protocol": {
            "command": command,
            "prompts": options.prompts,
            "row_prompts": min(options.row_prompts, options.prompts),
            "seeds": list(options.seeds),
            "row_seeds": list(options.row_seeds),
            "headline": asdict(options.headline),
            "max_seconds": options.max_seconds,
            "dtype": options.dtype,
            "intervals": {"level": 0.95, "draws": options.draws, "seed": BOOTSTRAP_SEED},
            "versions": dict(versions),
        },
        "judges": dict(judges),
        "checkpoints": {
            one.name: describe_checkpoint(
                one.weights,
                [row for row in rows if row["checkpoint"] == one.name],
                has_vocal_track=one.has_vocal_track,
            )
            for one in evaluated
        },
        "rows": rows,
    }


def describe_row(
    checkpoint: EvaluatedCheckpoint, row: EvaluatedRow, options: MiniOptions
) -> dict[str, Any]:
    """One row with its intervals."""
    setting = row.setting
    intervals = row.scores.intervals(seed=BOOTSTRAP_SEED, draws=options.draws)
    return {
        "checkpoint": checkpoint.name,
        "kind": row.kind,
        "headline": row.kind == "sung" and row.is_headline,
        "guidance": None if setting is None else setting.guidance,
        "voice": None if setting is None else setting.voice,
        "seeds": list(row.seeds),
        "songs": len(row.scores.prompts),
        "scores": {name: round(value, 4) for name, value in row.scores.scores().items()},
        "intervals": {name: [round(end, 4) for end in ends] for name, ends in intervals.items()},
    }


def describe_checkpoint(
    weights: str, rows: Sequence[Mapping[str, Any]], *, has_vocal_track: bool
) -> dict[str, Any]:
    """The headline with what it is compared with.

    Args:
        weights: digest of the model.
        rows: described, of one checkpoint.
        has_vocal_track: whether ``per`` is of vocals alone; otherwise it is of the mixture, while
            ``per_true`` and ``per_codec`` always are of vocals.
    """
    headline = next(row for row in rows if row["headline"])
    found: dict[str, Any] = {
        "weights": weights,
        "songs": headline["songs"],
        "has_vocal_track": has_vocal_track,
        "guidance": headline["guidance"],
        "voice": headline["voice"],
        **headline["scores"],
    }
    intervals = dict(headline["intervals"])
    for row in rows:
        if row["kind"] in COMPARED:
            found |= {f"{name}_{row['kind']}": value for name, value in row["scores"].items()}
            ends = row["intervals"].items()
            intervals |= {f"{name}_{row['kind']}": interval for name, interval in ends}
        elif row["voice"] and row["guidance"] == headline["guidance"]:
            # Of a headline without a voice: its own row, if it has one, was read first.
            voices = [name for name in row["scores"] if name.startswith("voice")]
            found = {name: row["scores"][name] for name in voices} | found
            intervals = {name: row["intervals"][name] for name in voices} | intervals
    return found | {"intervals": intervals}


def results_markdown(report: Mapping[str, Any]) -> str:
    """Two tables for each checkpoint: against the goals, and every row."""
    parts = []
    for name, entry in report.get("checkpoints", {}).items():
        rows = [row for row in report["rows"] if row["checkpoint"] == name]
        parts += [
            f"### {name}",
            _caption(report["protocol"], entry),
            _goals_table(entry),
            _rows_table(rows),
        ]
    if report.get("codec"):
        parts += ["### codec", _codec_table(report["codec"])]
    return "\n\n".join(parts) + "\n"


def insert_results(page: Path, text: str) -> bytes | None:
    """The page with ``text`` between its marks.

    Returns:
        The new content, or None if there is no such page or it has no marks.
    """
    if not page.is_file():
        return None
    content = page.read_text(encoding="utf-8")
    pattern = re.escape(START_MARK) + r".*?" + re.escape(END_MARK)
    if re.search(pattern, content, re.S) is None:
        return None
    block = f"{START_MARK}\n{text.strip()}\n{END_MARK}"
    return re.sub(pattern, lambda _: block, content, count=1, flags=re.S).encode()


def update_report(
    path: Path, parts: Mapping[str, Any], *, pages: Sequence[Path] = ()
) -> list[Path]:
    """Write some parts of a report, keep its others, and put its tables into the page beside it.

    Args:
        path: of the JSON file; the page has the same name and the ending ``.md``.
        parts: to replace.
        pages: more pages with the marks.
    Returns:
        The files written.
    Raises:
        ValueError: if the file that is there is no report.
    """
    report: dict[str, Any] = {}
    if path.is_file():
        try:
            report = dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(
                f"{path} is not JSON ({error}): name another file or remove this one"
            ) from error
    report |= parts
    contents = {path: encode_json(report)}
    for page in (path.with_suffix(".md"), *pages):
        if (text := insert_results(page, results_markdown(report))) is not None:
            contents[page] = text
        elif page in pages:
            raise ValueError(
                f"{page} is no page with the marks {START_MARK} and {END_MARK}: write them where "
                "the tables are to be"
            )
    write_files(contents)
    return list(contents)


def write_pictures(path: Path, evaluated: Sequence[EvaluatedCheckpoint]) -> list[Path]:
    """The first songs of each checkpoint's headline, as ``img/<report>-<checkpoint>.png``.

    Args:
        path: of the report.
        evaluated: all checkpoints.
    Returns:
        The files written.
    Raises:
        ImportError: without matplotlib or Pillow.
    """
    pages = {
        path.parent / "img" / f"{path.stem}-{one.name}.png": draw_page(pictured(one.row("sung")))
        for one in evaluated
    }
    write_files(pages)
    return list(pages)


def pictured(row: EvaluatedRow) -> list[PicturedSong]:
    """The songs kept of a row, with what was asked for and what the recognizer heard."""
    songs = []
    for song, heard in zip(row.songs, row.scores.heard, strict=False):
        sounds = [("mixture", song.mixture)]
        if song.vocal is not None:
            sounds.insert(0, ("vocal", song.vocal))
        asked = " ".join(merge_phonemes(song.prompt.phonemes))
        captions = (
            song.prompt.lyrics.replace("\n", " / "),
            f"asked  {asked}",
            f"heard  {' '.join(heard)}",
        )
        songs.append(PicturedSong(song.prompt.text, tuple(sounds), captions))
    return songs


def _caption(protocol: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    return (
        f"{entry['songs']} songs ({protocol['prompts']} prompts, seeds "
        f"{', '.join(map(str, protocol['seeds']))}), guidance {entry['guidance']:g}, "
        f"{'with' if entry['voice'] else 'without'} a reference voice; in brackets 95 % "
        "bootstrap intervals over prompts."
    )


def _goals_table(entry: Mapping[str, Any]) -> str:
    lines = [
        "| measure | goal | model | untrained | true songs | true songs through the codec |",
        "|---|---|---|---|---|---|",
    ]
    for metric, title, goal in GOALS:
        if metric not in entry:
            continue
        value = f"**{_shown(metric, entry[metric])}"
        if metric in entry["intervals"]:
            ends = [_shown(metric, end) for end in entry["intervals"][metric]]
            value += f" ({ends[0]} to {ends[1]})"
        value += "**"
        others = [_shown(metric, entry.get(f"{metric}_{kind}")) for kind in COMPARED]
        if metric == "per" and not entry["has_vocal_track"]:
            value, others[0] = "sung in the mixture only", ""  # like with like: the row below
        lines.append(f"| {title} | {goal} | {value} | {' | '.join(others)} |")
    return "\n".join(lines)


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    metrics = ("per", "per_mixture", "gender", "instrument", "tempo", "fad", "voice_match")
    lines = [
        "| songs | guidance | voice | PER | PER of the mixture | gender | instrument | tempo | FAD "
        "| voice match |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        guidance = "" if row["guidance"] is None else f"{row['guidance']:g}"
        voice = {None: "", True: "yes", False: "no"}[row["voice"]]
        values = " | ".join(_shown(metric, row["scores"].get(metric)) for metric in metrics)
        lines.append(f"| {row['songs']} {row['kind']} | {guidance} | {voice} | {values} |")
    return "\n".join(lines)


def _codec_table(codec: Mapping[str, Any]) -> str:
    names = [name for name in ("codec", "baseline") if name in codec]
    lines = [f"| measure | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    known = codec[names[0]]["scores"]
    measures = [measure for measure in CODEC_MEASURES if measure[0] in known]
    titled = {measure for measure, _, _ in measures}
    measures += [(measure, measure, False) for measure in known if measure not in titled]
    for measure, title, is_share in measures:
        values = []
        for name in names:
            ends = codec[name].get("intervals", {}).get(measure, ())
            numbers = [codec[name]["scores"].get(measure, float("nan")), *ends]
            shown = [f"{100 * n:.1f} %" if is_share else f"{n:.2f}" for n in numbers]
            values.append(shown[0] + (f" ({shown[1]} to {shown[2]})" if ends else ""))
        lines.append(f"| {title} | {' | '.join(values)} |")
    return "\n".join(lines)


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if metric in NOT_SHARES else f"{100 * value:.1f} %"


__all__ = [
    "BOOTSTRAP_SEED",
    "END_MARK",
    "START_MARK",
    "describe_checkpoint",
    "describe_evaluation",
    "describe_row",
    "insert_results",
    "pictured",
    "results_markdown",
    "update_report",
    "write_pictures",
]
