"""The evaluation of masked models as JSON and as a table. Fractions are 0 to 1.

``rows`` has an entry a row: ``mode`` ("ar" or "masked"), ``head``, ``passes`` (counted in a run),
``guidance`` (the scale at the last pass; ``guidance_start`` at the first), ``reveal``, the scores
``per``, ``gender``, ``instrument``, ``tempo``, ``fad`` and others, ``duration`` of the songs in
seconds, and ``seconds``, the wall-clock time of one song made by itself. ``comparisons`` holds
what the paper claims, each as a paired difference with its interval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files import encode_json, write_files
from .masked import ComparedRow, paired_difference
from .masked_options import UNGUIDED, MaskedOptions, MaskedSetting
from .report import BOOTSTRAP_SEED, END_MARK, GOALS, START_MARK, insert_results

PER_GOAL = 1.15
GOAL_PASSES = 32
CLAIMED = ("per", "fad")


def describe_masked(
    options: MaskedOptions,
    rows: Sequence[ComparedRow],
    *,
    judges: Mapping[str, Any],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    command: str,
) -> dict[str, Any]:
    """The whole report.

    Args:
        options: that it was made with.
        rows: the autoregressive one first.
        judges: what ``judges.json`` says.
        machine: that the seconds were taken on.
        versions: of the libraries.
        command: that makes it again.
    """
    described = [describe_row(row, options) for row in rows]
    return {
        "protocol": {
            "command": command,
            "prompts": options.prompts,
            "seeds": list(options.seeds),
            "max_seconds": options.max_seconds,
            "dtype": options.dtype,
            "timed_songs": options.timed_songs,
            "machine": dict(machine),
            "intervals": {"level": 0.95, "draws": options.draws, "seed": BOOTSTRAP_SEED},
            "versions": dict(versions),
        },
        "judges": dict(judges),
        "goal": describe_goal(described),
        "comparisons": describe_comparisons(rows, draws=options.draws),
        "rows": described,
    }


def describe_row(row: ComparedRow, options: MaskedOptions) -> dict[str, Any]:
    """One row with its intervals."""
    setting = row.setting
    scores = {name: round(value, 4) for name, value in row.scores.scores().items()}
    scores["duration"] = scores.pop("seconds")
    intervals = row.scores.intervals(seed=BOOTSTRAP_SEED, draws=options.draws)
    intervals["duration"] = intervals.pop("seconds")
    timing = row.timing
    ends: tuple[float | None, float | None]
    if isinstance(setting, MaskedSetting):
        ends, passes, reveal = setting.guidance or (None, None), setting.passes, setting.reveal
    else:
        ends, passes, reveal = (setting.guidance, setting.guidance), None, None
    return {
        "mode": row.mode,
        "head": row.head,
        "passes": passes if timing is None else round(timing.passes, 1),
        "guidance": ends[1],
        "guidance_start": ends[0],
        "reveal": reveal,
        "voice": setting.voice,
        "songs": len(row.scores.prompts),
        **scores,
        "seconds": None if timing is None else round(timing.seconds, 3),
        "weights": row.weights,
        "setting": asdict(setting),
        "intervals": {name: [round(end, 4) for end in ends] for name, ends in intervals.items()},
    }


def describe_goal(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The best phoneme error rate at few passes, as a multiple of the autoregressive one's."""
    sung = next(row for row in rows if row["mode"] == "ar")
    few = [row for row in rows if row["mode"] == "masked" and row["passes"] <= GOAL_PASSES]
    if not few or not sung["per"]:
        return {"per_ratio": None, "limit": PER_GOAL, "passes": GOAL_PASSES, "reached": None}
    best = min(few, key=lambda row: row["per"])
    ratio = best["per"] / sung["per"]
    return {
        "per_ratio": round(ratio, 4),
        "limit": PER_GOAL,
        "passes": GOAL_PASSES,
        "reached": ratio <= PER_GOAL,
        "row": rows.index(best),
    }


def describe_comparisons(rows: Sequence[ComparedRow], *, draws: int = 1000) -> list[dict[str, Any]]:
    """Each claim of the paper that two rows can speak to.

    A claim holds if the whole interval of the paired difference says so, fails if it says the
    contrary, and is open otherwise. Lower is better for both measures.
    """
    found = []
    for claim, better, worse in claimed_pairs(rows):
        for metric in CLAIMED:
            value, (lower, upper) = paired_difference(
                rows[better].scores, rows[worse].scores, metric, seed=BOOTSTRAP_SEED, draws=draws
            )
            verdict = "holds" if upper < 0 else "fails" if lower > 0 else "open"
            found.append(
                {
                    "claim": claim,
                    "metric": metric,
                    "rows": [better, worse],
                    "difference": round(value, 4),
                    "interval": [round(lower, 4), round(upper, 4)],
                    "verdict": verdict,
                }
            )
    return found


def claimed_pairs(rows: Sequence[ComparedRow]) -> list[tuple[str, int, int]]:
    """Claim, index of the row that should be better, index of the other.

    Pairs differ in one thing only; the heads are compared at every setting that both have.
    """
    masked = {
        (row.head, row.setting): place for place, row in enumerate(rows) if row.mode == "masked"
    }
    pairs = []
    for (head, setting), place in masked.items():
        assert isinstance(setting, MaskedSetting)
        plain = {**asdict(setting)}

        def other(*, own: Mapping[str, Any] = plain, of: Any = head, **changes: Any) -> int | None:
            return masked.get((of, MaskedSetting(**{**own, **changes})))

        if head == "mixture":
            # Each head is at its own settings: what is asked for alike is passes and guidance.
            twin = next(
                (
                    at
                    for (its_head, its), at in masked.items()
                    if its_head == "softmax"
                    and isinstance(its, MaskedSetting)
                    and (its.passes, its.reveal) == (setting.passes, setting.reveal)
                    and (its.guidance == UNGUIDED) == (setting.guidance == UNGUIDED)
                ),
                None,
            )
            if twin is not None:
                pairs.append(("the mixture head is better than the softmax head", place, twin))
        if setting.reveal == "confidence" and (twin := other(reveal="random")) is not None:
            pairs.append(("confidence is better than random reveal", place, twin))
        if setting.guidance != UNGUIDED and (twin := other(guidance=UNGUIDED)) is not None:
            pairs.append(("guidance helps", place, twin))
        fewer = [
            its.passes
            for (its_head, its) in masked
            if isinstance(its, MaskedSetting)
            and its_head == head
            and its.passes < setting.passes
            and asdict(its) == {**plain, "passes": its.passes}
        ]
        if fewer and (twin := other(passes=max(fewer))) is not None:
            pairs.append(("more passes help", place, twin))
    return pairs


def masked_markdown(report: Mapping[str, Any]) -> str:
    """The table of all rows, the goal, and the verdicts on the claims."""
    protocol = report["protocol"]
    goal = report["goal"]
    parts = [
        f"{protocol['prompts']} prompts, seeds {', '.join(map(str, protocol['seeds']))}, with a "
        "reference voice unless said; in brackets 95 % bootstrap intervals over prompts. Seconds "
        f"are wall-clock for one song by itself on {protocol['machine'].get('name', 'a machine')}, "
        f"{protocol['machine'].get('threads', '?')} threads, {protocol['dtype']}.",
        _rows_table(report["rows"]),
    ]
    if goal["per_ratio"] is not None:
        said = "reached" if goal["reached"] else "missed"
        parts.append(
            f"Goal: at {goal['passes']} passes or fewer a phoneme error rate within "
            f"{goal['limit']:g} times the autoregressive one: {goal['per_ratio']:.2f} times, "
            f"**{said}**."
        )
    if report["comparisons"]:
        parts.append(_claims_table(report["comparisons"], report["rows"]))
    return "\n\n".join(parts) + "\n"


def masked_results(report: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """What a report says of one masked model, for its card: tables and the headline's measures.

    Args:
        report: of ``songgen-hf evaluate masked``.
        weights: digest of the model.
    Raises:
        ValueError: if it has no row of these weights.
    """
    own = [row for row in report.get("rows", []) if row["weights"] == weights]
    if not own:
        known = sorted({row["weights"] for row in report.get("rows", [])})
        raise ValueError(
            f"the report is of other weights ({', '.join(known) or 'none'}) than this model's "
            f"({weights}): run songgen-hf evaluate masked with this model"
        )
    protocol, headline = report["protocol"], own[0]
    rows = [row for row in report["rows"] if row["mode"] == "ar"] + own
    shown = {**report, "rows": rows, "comparisons": [], "goal": describe_goal(rows)}
    return {
        "text": masked_markdown(shown).strip(),
        "setting": {
            "passes": headline["passes"],
            "songs": headline["songs"],
            "prompts": protocol["prompts"],
            "seeds": protocol["seeds"],
            "guidance_scale": [headline["guidance_start"], headline["guidance"]],
            "reveal": headline["reveal"],
            "reference_voice": headline["voice"],
        },
        "measures": [
            {
                "metric": metric,
                "title": title,
                "value": headline[metric],
                "interval_95": headline["intervals"].get(metric),
            }
            for metric, title, _ in GOALS
            # Which are of the clock here, where they are the songs' elsewhere.
            if metric in headline and metric != "seconds"
        ],
    }


def write_report(
    path: Path, report: Mapping[str, Any], *, pages: Sequence[Path] = ()
) -> list[Path]:
    """Write the JSON file, and the table into the page beside it and into other pages.

    Returns:
        The files written.
    Raises:
        ValueError: if a page that was named has no marks, or the file that is there is no report.
    """
    if path.is_file():
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path} is not JSON ({error}): name another file or remove this one"
            ) from error
    contents = {path: encode_json(dict(report))}
    for page in (path.with_suffix(".md"), *pages):
        if (text := insert_results(page, masked_markdown(report))) is not None:
            contents[page] = text
        elif page in pages:
            raise ValueError(
                f"{page} is no page with the marks {START_MARK} and {END_MARK}: write them where "
                "the table is to be"
            )
    write_files(contents)
    return list(contents)


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| mode | head | passes | guidance | reveal | PER | gender | instrument | tempo | FAD "
        "| voice match | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ends = [f"{100 * end:.1f}" for end in row["intervals"]["per"]]
        cells = [
            row["mode"],
            row["head"] or "",
            "" if row["passes"] is None else f"{row['passes']:g}",
            _guidance(row),
            (row["reveal"] or "") + ("" if row["voice"] else ", no voice"),
            f"{100 * row['per']:.1f} % ({ends[0]} to {ends[1]})",
            *(f"{100 * row[name]:.0f} %" for name in ("gender", "instrument", "tempo")),
            f"{row['fad']:.2f}",
            f"{100 * row['voice_match']:.0f} %" if "voice_match" in row else "",
            "" if row["seconds"] is None else f"{row['seconds']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _guidance(row: Mapping[str, Any]) -> str:
    if row["guidance"] is None:
        return ""
    if row["guidance_start"] in (None, row["guidance"]):
        return f"{row['guidance']:g}"
    return f"{row['guidance_start']:g} to {row['guidance']:g}"


def _claims_table(
    comparisons: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> str:
    lines = [
        "| claim | rows | measure | difference (95 % interval) | verdict |",
        "|---|---|---|---|---|",
    ]
    for one in comparisons:
        first, second = (
            f"{rows[place]['head']} {rows[place]['passes']:g} {rows[place]['reveal']}, guidance "
            f"{_guidance(rows[place])}"
            for place in one["rows"]
        )
        factor, unit = (100, " points") if one["metric"] == "per" else (1, "")
        value, *ends = (factor * number for number in (one["difference"], *one["interval"]))
        shown = f"{value:+.2f}{unit} ({ends[0]:+.2f} to {ends[1]:+.2f})"
        lines.append(
            f"| {one['claim']} | {first} / {second} | {one['metric'].upper()} | {shown} | "
            f"{one['verdict']} |"
        )
    return "\n".join(lines)


__all__ = [
    "claimed_pairs",
    "describe_comparisons",
    "describe_goal",
    "describe_masked",
    "describe_row",
    "masked_markdown",
    "masked_results",
    "write_report",
]
