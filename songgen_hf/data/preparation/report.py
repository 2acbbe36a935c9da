"""Draws the report of a preparation: one HTML page that needs no network.

It shows how many clips each step leaves, the distribution of every score with the thresholds, the
reasons, and clips to listen to.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import soundfile

from .clips import read_clip
from .filtering import PRESETS, RULES, Rule, Thresholds
from .report_pictures import data_uri, histogram, spectrogram_png

SAMPLING_RATE = 16000  # Hz, of the players
SAMPLE_SECONDS = 10.0
_LOGARITHMIC = frozenset(("vocal_energy", "accompaniment_energy"))
_STEPS = (
    ("readable", ("error",)),
    ("complete file", ("truncated",)),
    ("with singing, in a wanted language", ("no singing", "language")),
    *((rule.name, (rule.name,)) for rule in RULES),
    ("no duplicate", ("duplicate",)),
    ("within the balance", ("balance",)),
)
"""The steps of the funnel with the beginnings of their reasons."""


def report(
    rows: Sequence[Mapping[str, Any]],
    thresholds: Thresholds = PRESETS["paper"],
    *,
    hq: Thresholds = PRESETS["hq"],
    title: str = "Prepared songs",
    samples: int = 6,
    seed: int = 0,
) -> str:
    """Draw the report; the same arguments give the same text.

    Args:
        rows: clips with their scores, as :func:`~.filtering.filter_clips` marked them. Those with
            an ``error`` need no other column than an id.
        thresholds: bounds of the clips that are kept.
        hq: bounds of the high quality subset.
        title: title of the page.
        samples: number of kept clips, and of dropped ones, to listen to; their audio files have to
            be at their places.
        seed: seed of the choice of samples.
    """
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _numbers(rows),
        _funnel(rows),
        _reasons(rows),
        _histograms(rows, thresholds, hq),
        _samples(rows, True, samples, seed),
        _samples(rows, False, samples, seed),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n<h1>{escape(title)}</h1>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def funnel(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Count the clips that are left after each step, from rows with ``reasons`` and ``hq``.

    Steps that no clip fails are left out, except the first and the last one.
    """
    first_step = {name: place for place, (_, names) in enumerate(_STEPS) for name in names}
    failed = Counter(
        min(first_step[_name(reason)] for reason in row["reasons"])
        for row in rows
        if row["reasons"]
    )
    left = len(rows)
    counts = [("all clips", left)]
    for place, (step, _) in enumerate(_STEPS):
        if failed[place]:
            left -= failed[place]
            counts.append((f"after: {step}", left))
    return [*counts, ("high quality", sum(row["hq"] for row in rows))]


def _name(reason: str) -> str:
    """The name of the rule that a reason begins with."""
    return reason.partition(": ")[0]


def _hours(rows: Sequence[Mapping[str, Any]]) -> float:
    return sum(row.get("clip_seconds") or 0.0 for row in rows) / 3600


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def _numbers(rows: Sequence[Mapping[str, Any]]) -> str:
    kept = [row for row in rows if row["kept"]]
    best = [row for row in rows if row["hq"]]
    recordings = {row.get("recording_id") or row.get("id") for row in rows}
    items = [("recordings", f"{len(recordings):,}"), ("clips", f"{len(rows):,}")]
    items += [("length of all clips", _time(_hours(rows))), ("clips kept", f"{len(kept):,}")]
    items += [("length kept", _time(_hours(kept))), ("of high quality", f"{len(best):,}")]
    shown = "".join(f"<li><strong>{value}</strong> {escape(name)}</li>" for name, value in items)
    return f'<ul class="numbers">{shown}</ul>\n'


def _funnel(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for step, count in funnel(rows):
        share = count / max(len(rows), 1)
        lines.append(
            f'<tr><th scope="row">{escape(step)}</th><td class="number">{count:,}</td>'
            f'<td class="number">{share:.1%}</td><td class="bar" aria-hidden="true">'
            f'<div class="fill" style="width:{100 * share:.2f}%"></div></td></tr>'
        )
    return _table(
        "What each step leaves",
        "A clip leaves at the first step that it fails. Steps that all clips pass are not shown.",
        ("step", "clips", "share", ""),
        lines,
    )


def _reasons(rows: Sequence[Mapping[str, Any]]) -> str:
    groups: dict[str, list[tuple[Mapping[str, Any], str]]] = defaultdict(list)
    for row in rows:
        for reason in row["reasons"]:
            groups[_name(reason)].append((row, reason))
    lines = []
    for name, found in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        alone = sum(len(row["reasons"]) == 1 for row, _ in found)
        example = found[0][1].partition(": ")[2]
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td class="number">{len(found):,}</td>'
            f'<td class="number">{alone:,}</td><td>{escape(example)}</td></tr>'
        )
    if not lines:
        return "<h2>Reasons</h2>\n<p>Every clip is kept.</p>\n"
    return _table(
        "Reasons",
        "A clip can have several reasons; it is kept if it has none.",
        ("reason", "clips", "only reason", "example"),
        lines,
    )


def _table(title: str, caption: str, heads: Sequence[str], lines: Sequence[str]) -> str:
    cells = "".join(
        f'<th scope="col"{_numeric(head)}>{head}</th>' if head else "<td></td>" for head in heads
    )
    return (
        f'<h2>{title}</h2>\n<div class="scroll"><table><caption>{caption}</caption>\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{chr(10).join(lines)}\n</tbody></table></div>\n"
    )


def _numeric(head: str) -> str:
    return ' class="number"' if head in ("clips", "share", "only reason") else ""


def _histograms(rows: Sequence[Mapping[str, Any]], thresholds: Thresholds, hq: Thresholds) -> str:
    figures = [_figure(rows, rule, thresholds, hq) for rule in RULES]
    legend = (
        '<p class="quiet legend"><span><span class="key kept"></span>kept</span>'
        '<span><span class="key dropped"></span>dropped, for this or another reason</span>'
        '<span><span class="key limit"></span>threshold</span></p>\n'
    )
    return f'<h2>Scores</h2>\n{legend}<div class="grid">\n{"".join(figures)}</div>\n'


def _figure(
    rows: Sequence[Mapping[str, Any]], rule: Rule, thresholds: Thresholds, hq: Thresholds
) -> str:
    """The histogram of one score; nothing if no clip has it."""
    values = {
        kept: [
            _score(row, rule)
            for row in rows
            if row["kept"] is kept and not math.isnan(_score(row, rule))
        ]
        for kept in (True, False)
    }
    if not values[True] and not values[False]:
        return ""
    side = "at least" if rule.is_minimum else "at most"
    bounds = [
        (f"{name}, {side}" if name else side, float(value))
        for name, value in (
            ("", getattr(thresholds, rule.threshold)),
            ("high quality", getattr(hq, rule.threshold)),
        )
        if value is not None
    ]
    if len(bounds) == 2 and bounds[0][1] == bounds[1][1]:
        bounds = bounds[:1]
    title = rule.column.replace("_", " ")
    picture = histogram(
        values[True], values[False], bounds, title=title, unit=rule.unit,
        logarithmic=rule.column in _LOGARITHMIC,
    )  # fmt: skip
    unit = f" <span class=quiet>({escape(rule.unit.strip())})</span>" if rule.unit else ""
    return f"<figure><b>{escape(title)}{unit}</b>{picture}</figure>\n"


def _score(row: Mapping[str, Any], rule: Rule) -> float:
    """The score of a clip; NaN if it has none."""
    score = row.get(rule.column)
    return math.nan if score is None else float(score)


def _samples(rows: Sequence[Mapping[str, Any]], kept: bool, count: int, seed: int) -> str:
    """Players of some clips; dropped ones take turns by their first reason."""

    def draw(row: Mapping[str, Any]) -> str:
        return hashlib.sha256(f"{seed}/{row['id']}".encode()).hexdigest()

    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted((row for row in rows if row["kept"] is kept), key=draw):
        groups[_name(row["reasons"][0]) if row["reasons"] else ""].append(row)
    turns = [(turn, name, row) for name in sorted(groups) for turn, row in enumerate(groups[name])]
    chosen = [row for _, _, row in sorted(turns, key=lambda one: one[:2])[:count]]
    title = f"{'Kept' if kept else 'Dropped'} clips"
    if not chosen:
        return f"<h2>{title}</h2>\n<p>There are none.</p>\n"
    articles = "".join(_article(row) for row in chosen)
    return f'<h2>{title}</h2>\n<div class="grid">\n{articles}</div>\n'


def _article(row: Mapping[str, Any]) -> str:
    name = escape(str(row["id"]))
    parts = [f"<article><h3>{name}</h3>"]
    try:
        seconds = min(SAMPLE_SECONDS, row.get("clip_seconds") or 0.0)
        sound = read_clip({**row, "clip_seconds": seconds}, "mixture", SAMPLING_RATE)
        if sound is None:
            raise ValueError(f"the clip {row['id']!r} has no audio")
        picture = data_uri(spectrogram_png(sound, SAMPLING_RATE), "image/png")
        player = data_uri(_mp3(sound), "audio/mpeg")
        parts.append(
            f'<img src="{picture}" alt="Mel spectrogram of the first {seconds:.0f} seconds of '
            f'{name}, 0 to 8 kHz"><audio controls preload="none" aria-label="{name}" '
            f'src="{player}"></audio>'
        )
    except (KeyError, OSError, ValueError):
        parts.append('<p class="quiet">The audio cannot be played.</p>')
    if row["reasons"]:
        listed = "".join(f"<li>{escape(reason)}</li>" for reason in row["reasons"])
        parts.append(f'<ul class="reasons">{listed}</ul>')
    for column in ("caption", "lyrics"):
        if row.get(column):
            parts.append(f"<p><b>{column}:</b> {escape(str(row[column]))}</p>")
    return "".join([*parts, "</article>\n"])


def _mp3(waveform: np.ndarray) -> bytes:
    """Encode a waveform as mp3; unlike Ogg files, the bytes depend on the samples alone."""
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, SAMPLING_RATE, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


__all__ = ["funnel", "report"]
