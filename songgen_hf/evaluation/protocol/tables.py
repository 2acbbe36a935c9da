"""The tables of a report in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .options import scale_text

CODEC_DISTANCE = "Fréchet distance of codec features"
"""Title of ``fad``: its features are the codec's own, so published FAD values do not compare."""
BASELINES = ("untrained", "true", "codec")  # kinds of the rows that a headline is compared with
# Metric of a song model, its title, and the goal.
METRICS = (
    ("per", "phoneme error rate of the vocal track", "<= 45 %"),
    ("per_seen", "... at words that occur in training songs", ""),
    ("per_unseen", "... at other words", "<= 10 points more"),
    ("per_second", "... recognized by the second recognizer", ""),
    ("per_mixture", "phoneme error rate of the mixture", ""),
    ("swapped", "tracks swapped: lyrics clearer in the accompaniment", "0 %"),
    ("gender", "gender as requested", ">= 80 %"),
    ("instrument", "lead instrument family as requested", ">= 80 %"),
    ("tempo", "tempo within 8 %", ">= 80 %"),
    ("tempo_any_octave", "tempo, its half or its double", ""),
    ("fad", CODEC_DISTANCE, "<= 1/5 of untrained"),
    ("voice_match", "nearer to its voice than to another", ">= 80 %"),
    ("voice_match_same_gender", "the same, another of its gender", ""),
    ("seconds", "duration in seconds", ""),
)
NUMBERS = ("fad", "seconds", "voice_similarity")  # all other metrics are shares of songs
# Metric of a codec, its title, and whether it is a share.
CODEC_METRICS = (
    ("mel_distance", "log-mel distance of mixtures", False),
    ("mel_distance_vocal", "log-mel distance of vocals", False),
    ("stft_distance", "STFT distance of mixtures", False),
    ("stft_distance_vocal", "STFT distance of vocals", False),
    ("si_sdr", "SI-SDR of mixtures, dB", False),
    ("si_sdr_vocal", "SI-SDR of vocals, dB", False),
    ("per", "phoneme error rate of decoded vocals", True),
    ("per_codebooks_1", "... decoded from 1 codebook", True),
    ("per_codebooks_2", "... from 2 codebooks", True),
    ("per_codebooks_4", "... from 4 codebooks", True),
    ("per_true", "phoneme error rate of the vocals themselves", True),
    ("probe_codebooks_1", "phoneme of a frame, linear probe of 1 codebook", True),
    ("probe_codebooks_2", "... from 2 codebooks", True),
    ("probe_codebooks_4", "... from 4 codebooks", True),
    ("probe_codebooks_8", "... from 8 codebooks", True),
    ("probe_commonest", "... by the most frequent phoneme", True),
)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table with a header."""
    lines = [header, ["---"] * len(header), *rows]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    table[1] = table[1].replace(" ", "")
    return "\n".join(table)


def with_block(page: str, start: str, end: str, text: str) -> str | None:
    """A page with ``text`` between two marks, in place of what is there; None without them."""
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    block = f"{start}\n{text.strip()}\n{end}"
    changed, count = pattern.subn(lambda _: block, page, count=1)
    return changed if count else None


def results_markdown(report: Mapping[str, Any]) -> str:
    """Write the tables of a report of autoregressive models and codecs, or of masked models."""
    if "goal" in report:
        return masked_markdown(report)
    parts = []
    for name, entry in report.get("checkpoints", {}).items():
        rows = [row for row in report["rows"] if row["checkpoint"] == name]
        parts += [
            f"### {name}",
            _caption(report["protocol"], entry),
            _headline_table(entry),
            _rows_table(rows),
        ]
    if report.get("codec"):
        parts += ["### codec", _codec_table(report["codec"])]
    return "\n\n".join(parts) + "\n"


def masked_markdown(report: Mapping[str, Any]) -> str:
    """Write the table of all rows, the goal, and the verdicts on the claims."""
    protocol, goal = report["protocol"], report["goal"]
    parts = [
        f"{protocol['prompts']} prompts, seeds {', '.join(map(str, protocol['seeds']))}, with a "
        "reference voice unless said; in brackets 95 % bootstrap intervals over prompts. Seconds "
        f"are wall-clock for one song by itself on {protocol['machine'].get('name', 'a machine')}, "
        f"{protocol['machine'].get('threads', '?')} threads, {protocol['dtype']}.",
        _masked_table(report["rows"]),
    ]
    if goal["per_ratio"] is not None:
        parts.append(
            f"Goal: at {goal['passes']} passes or fewer a phoneme error rate within "
            f"{goal['limit']:g} times the autoregressive one: {goal['per_ratio']:.2f} times, "
            f"**{'reached' if goal['reached'] else 'missed'}**."
        )
    if report["comparisons"]:
        parts.append(_claims_table(report["comparisons"], report["rows"]))
    return "\n\n".join(parts) + "\n"


def _caption(protocol: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    return (
        f"{entry['songs']} songs ({protocol['prompts']} prompts, seeds "
        f"{', '.join(map(str, protocol['seeds']))}), guidance {scale_text(entry['guidance'])}, "
        f"{'with' if entry['voice'] else 'without'} a reference voice; in brackets 95 % "
        "bootstrap intervals over prompts."
    )


def _headline_table(entry: Mapping[str, Any]) -> str:
    rows = []
    for metric, title, goal in METRICS:
        if metric not in entry:
            continue
        value = _shown(metric, entry[metric])
        if metric in entry["intervals"]:
            lower, upper = (_shown(metric, end) for end in entry["intervals"][metric])
            value += f" ({lower} to {upper})"
        value = f"**{value}**"
        baselines = [_shown(metric, entry.get(f"{metric}_{kind}")) for kind in BASELINES]
        if metric == "per" and not entry["has_vocal_track"]:
            # Only mixtures compare; they have the next row.
            value, baselines[0] = "sung in the mixture only", ""
        rows.append((title, goal, value, *baselines))
    header = ("measure", "goal", "model", "untrained", "true songs")
    return markdown_table((*header, "true songs through the codec"), rows)


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    metrics = ("per", "per_mixture", "gender", "instrument", "tempo", "fad", "voice_match")
    header = ("songs", "guidance", "voice", "PER", "PER of the mixture", "gender", "instrument")
    return markdown_table(
        (*header, "tempo", CODEC_DISTANCE, "voice match"),
        (
            (
                f"{row['songs']} {row['kind']}",
                scale_text(row["guidance"]),
                {None: "", True: "yes", False: "no"}[row["voice"]],
                *(_shown(metric, row["scores"].get(metric)) for metric in metrics),
            )
            for row in rows
        ),
    )


def _codec_table(codec: Mapping[str, Any]) -> str:
    names = [name for name in ("codec", "baseline") if name in codec]
    known = codec[names[0]]["scores"]
    metrics = [metric for metric in CODEC_METRICS if metric[0] in known]
    titled = {metric for metric, _, _ in metrics}
    metrics += [(metric, metric, False) for metric in known if metric not in titled]
    rows = []
    for metric, title, is_share in metrics:
        values = []
        for name in names:
            ends = codec[name].get("intervals", {}).get(metric, ())
            numbers = [codec[name]["scores"].get(metric, float("nan")), *ends]
            shown = [f"{100 * n:.1f} %" if is_share else f"{n:.2f}" for n in numbers]
            values.append(shown[0] + (f" ({shown[1]} to {shown[2]})" if ends else ""))
        rows.append((title, *values))
    return markdown_table(("measure", *names), rows)


def _masked_table(rows: Sequence[Mapping[str, Any]]) -> str:
    header = ("mode", "head", "passes", "guidance", "reveal", "PER", "gender", "instrument")
    cells = []
    for row in rows:
        lower, upper = (f"{100 * end:.1f}" for end in row["intervals"]["per"])
        cells.append(
            (
                row["mode"],
                row["head"] or "",
                "" if row["passes"] is None else f"{row['passes']:g}",
                _guidance(row),
                (row["reveal"] or "") + ("" if row["voice"] else ", no voice"),
                f"{100 * row['per']:.1f} % ({lower} to {upper})",
                *(f"{100 * row[name]:.0f} %" for name in ("gender", "instrument", "tempo")),
                f"{row['fad']:.2f}",
                f"{100 * row['voice_match']:.0f} %" if "voice_match" in row else "",
                "" if row["seconds"] is None else f"{row['seconds']:.2f}",
            )
        )
    return markdown_table((*header, "tempo", CODEC_DISTANCE, "voice match", "seconds"), cells)


def _claims_table(
    comparisons: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> str:
    cells = []
    for comparison in comparisons:
        first, second = (
            f"{row['head']} {row['passes']:g} {row['reveal']}, guidance {_guidance(row)}"
            for row in (rows[place] for place in comparison["rows"])
        )
        factor, unit = (100, " points") if comparison["metric"] == "per" else (1, "")
        numbers = (comparison["difference"], *comparison["interval"])
        value, lower, upper = (factor * number for number in numbers)
        cells.append(
            (
                comparison["claim"],
                f"{first} / {second}",
                CODEC_DISTANCE if comparison["metric"] == "fad" else comparison["metric"].upper(),
                f"{value:+.2f}{unit} ({lower:+.2f} to {upper:+.2f})",
                comparison["verdict"],
            )
        )
    header = ("claim", "rows", "measure", "difference (95 % interval)", "verdict")
    return markdown_table(header, cells)


def _guidance(row: Mapping[str, Any]) -> str:
    if row["guidance"] is None:
        return ""
    if row["guidance_start"] in (None, row["guidance"]):
        return scale_text(row["guidance"])
    return f"{row['guidance_start']:g} to {row['guidance']:g}"


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if metric in NUMBERS else f"{100 * value:.1f} %"


__all__ = [
    "BASELINES",
    "CODEC_DISTANCE",
    "METRICS",
    "markdown_table",
    "results_markdown",
    "with_block",
]
