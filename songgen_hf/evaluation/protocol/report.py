"""Reports: the results of an evaluation as JSON, as tables in pages, as pictures and for cards.

All shares are fractions from 0 to 1. A report of autoregressive models has ``checkpoints``, one
entry per track pattern: the metrics of its headline by their names, and those of the rows it is
compared with under names that end in ``_untrained``, ``_true`` and ``_codec``.

In a report of masked models each of the ``rows`` has ``mode`` ("ar" or "masked"), ``head``,
``passes`` (forward passes, counted where songs were timed), ``guidance`` (scale at the last step;
``guidance_start`` at the first), ``reveal``, the scores, ``duration`` of the songs in seconds, and
``seconds``, the wall-clock time of one song by itself. ``comparisons`` holds the paper's claims,
each as a paired difference with its interval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...checkpoints.digests import pipeline_digest, weights_digest
from ...data.listening.phonemes import merge_phonemes
from ...files import encode_json, write_files
from ...optional import require
from ...provenance import library_versions
from ..judges.loading import read_report
from .claims import BOOTSTRAP_SEED, describe_comparisons, describe_goal
from .evaluation import EvaluatedRow
from .mel_page import PicturedSong, draw_page
from .options import (
    AutoregressiveSetting,
    EvaluationOptions,
    MaskedOptions,
    MaskedSetting,
    SongModelOptions,
)
from .tables import BASELINES, METRICS, results_markdown, with_block
from .timing import describe_machine

START_MARK, END_MARK = "<!-- results -->", "<!-- end of results -->"


def describe_evaluation(
    options: SongModelOptions, rows: Sequence[EvaluatedRow], *, command: str
) -> dict[str, Any]:
    """Return the report of autoregressive models.

    Args:
        options: options of the evaluation.
        rows: rows of all models.
        command: command that repeats the evaluation.
    """
    described = [describe_row(row, options) for row in rows]
    protocol = {
        "row_prompts": min(options.row_prompts, options.prompts),
        "row_seeds": list(options.row_seeds),
        "headline": options.headline.facts(),
    }
    return {
        "protocol": _protocol(options, command) | protocol,
        "judges": read_report(options.judges),
        "checkpoints": {
            model.name: describe_checkpoint(
                model.weights,
                [row for row in described if row["checkpoint"] == model.name],
                has_vocal_track=model.has_vocal_track,
            )
            for model in dict.fromkeys(row.model for row in rows)
        },
        "rows": described,
    }


def describe_row(row: EvaluatedRow, options: EvaluationOptions) -> dict[str, Any]:
    """Return a row of an autoregressive model with its intervals."""
    setting: Any = row.setting
    scores, intervals = _scores(row, options)
    return {
        "checkpoint": row.model.name,
        "kind": row.kind,
        "headline": row.kind == "sung" and row.is_headline,
        "guidance": None if setting is None else setting.guidance_scale,
        "voice": None if setting is None else setting.voice,
        "seeds": list(row.seeds),
        "songs": len(row.scores.prompts),
        "scores": scores,
        "intervals": intervals,
    }


def describe_checkpoint(
    weights: str, rows: Sequence[Mapping[str, Any]], *, has_vocal_track: bool
) -> dict[str, Any]:
    """Return the headline of a model with the rows that it is compared with.

    Args:
        weights: digest of the model.
        rows: described rows of the model.
        has_vocal_track: whether ``per`` belongs to vocals. Otherwise it belongs to mixtures, while
            ``per_true`` and ``per_codec`` always belong to vocals.
    """
    headline = next(row for row in rows if row["headline"])
    entry: dict[str, Any] = {
        "weights": weights,
        "songs": headline["songs"],
        "has_vocal_track": has_vocal_track,
        "guidance": headline["guidance"],
        "voice": headline["voice"],
        **headline["scores"],
    }
    intervals = dict(headline["intervals"])
    for row in rows:
        if row["kind"] in BASELINES:
            entry |= {f"{name}_{row['kind']}": value for name, value in row["scores"].items()}
            ends = row["intervals"].items()
            intervals |= {f"{name}_{row['kind']}": interval for name, interval in ends}
        elif row["voice"] and row["guidance"] == headline["guidance"]:
            # A headline without a voice takes the scores of voices from its row with one.
            voices = [name for name in row["scores"] if name.startswith("voice")]
            entry = {name: row["scores"][name] for name in voices} | entry
            intervals = {name: row["intervals"][name] for name in voices} | intervals
    return entry | {"intervals": intervals}


def describe_masked(
    options: MaskedOptions, rows: Sequence[EvaluatedRow], *, command: str
) -> dict[str, Any]:
    """Return the report of masked models, with the machine that their time was measured on.

    Args:
        options: options of the evaluation.
        rows: all rows, that of the autoregressive model first.
        command: command that repeats the evaluation.
    """
    described = [describe_masked_row(row, options) for row in rows]
    protocol = _protocol(options, command)
    protocol["versions"]["diffusers"] = require("diffusers", "diffusers").__version__
    timing = {"timed_songs": options.timed_songs, "machine": describe_machine(options.device)}
    return {
        "protocol": protocol | timing,
        "judges": read_report(options.judges),
        "goal": describe_goal(described),
        "comparisons": describe_comparisons(rows, draws=options.draws),
        "rows": described,
    }


def describe_masked_row(row: EvaluatedRow, options: EvaluationOptions) -> dict[str, Any]:
    """Return a row of a report of masked models with its intervals."""
    setting, timing = row.setting, row.timing
    assert setting is not None
    scores, intervals = _scores(row, options)
    for values in (scores, intervals):
        values["duration"] = values.pop("seconds")
    specific: dict[str, Any]
    if isinstance(setting, MaskedSetting):
        start, end = setting.guidance or (None, None)
        specific = {
            "mode": "masked",
            "head": row.model.name,
            "passes": setting.num_inference_steps,
            "guidance": end,
            "guidance_start": start,
            "reveal": setting.reveal,
        }
    else:
        assert isinstance(setting, AutoregressiveSetting)
        scale = setting.guidance_scale
        ends = {"guidance": scale, "guidance_start": scale}
        specific = {"mode": "ar", "head": None, "passes": None, **ends, "reveal": None}
    if timing is not None:
        specific["passes"] = round(timing.forward_passes, 1)
    return {
        **specific,
        "voice": setting.voice,
        "songs": len(row.scores.prompts),
        **scores,
        "seconds": None if timing is None else round(timing.seconds, 3),
        "weights": row.model.weights,
        "setting": setting.facts(),
        "intervals": intervals,
    }


def _protocol(options: EvaluationOptions, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "prompts": options.prompts,
        "seeds": list(options.seeds),
        "max_seconds": options.max_seconds,
        "dtype": options.dtype,
        "intervals": {"level": 0.95, "draws": options.draws, "seed": BOOTSTRAP_SEED},
        "versions": library_versions(),
    }


def _scores(row: EvaluatedRow, options: EvaluationOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scores of a row and their intervals, rounded."""
    intervals = row.scores.intervals(seed=BOOTSTRAP_SEED, draws=options.draws)
    return (
        {name: round(value, 4) for name, value in row.scores.scores().items()},
        {name: [round(end, 4) for end in ends] for name, ends in intervals.items()},
    )


def insert_results(page: Path, text: str) -> bytes | None:
    """Return the content of a page with ``text`` between its marks.

    Returns:
        None if there is no such page or it has no marks.
    """
    if not page.is_file():
        return None
    content = with_block(page.read_text(encoding="utf-8"), START_MARK, END_MARK, text)
    return None if content is None else content.encode()


def write_report(
    path: Path, parts: Mapping[str, Any], *, pages: Sequence[Path] = (), keep: bool = False
) -> list[Path]:
    """Write a report and put its tables into pages.

    Args:
        path: JSON file; the page beside it has the same name with the ending ``.md``.
        parts: content of the report.
        pages: further pages with the marks.
        keep: keep other parts of a report that is already there.
    Returns:
        The files written.
    Raises:
        ValueError: if the file that is there is not a report, or a page of ``pages`` has no marks.
    """
    report: dict[str, Any] = {}
    if path.is_file():
        try:
            report = dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(
                f"{path} is not JSON ({error}): name another file or remove this one"
            ) from error
    report = {**report, **parts} if keep else dict(parts)
    contents = {path: encode_json(report)}
    tables = results_markdown(report)
    for page in (path.with_suffix(".md"), *pages):
        if (content := insert_results(page, tables)) is not None:
            contents[page] = content
        elif page in pages:
            raise ValueError(
                f"{page} is no page with the marks {START_MARK} and {END_MARK}: write them where "
                "the tables should be"
            )
    write_files(contents)
    return list(contents)


def write_pictures(path: Path, rows: Sequence[EvaluatedRow]) -> list[Path]:
    """Draw the first songs of each headline, as ``img/<report>-<model>.png``.

    Args:
        path: JSON file of the report.
        rows: rows of all models.
    Returns:
        The files written.
    Raises:
        ImportError: without matplotlib or Pillow.
    """
    pages = {
        path.parent / "img" / f"{path.stem}-{row.model.name}.png": draw_page(pictured_songs(row))
        for row in rows
        if row.kind == "sung" and row.is_headline
    }
    write_files(pages)
    return list(pages)


def pictured_songs(row: EvaluatedRow) -> list[PicturedSong]:
    """Return the songs kept of a row with their requested and their recognized phonemes."""
    songs = []
    for song, phonemes in zip(row.songs, row.scores.phonemes, strict=False):
        tracks = [("mixture", song.mixture)]
        if song.vocal is not None:
            tracks.insert(0, ("vocal", song.vocal))
        captions = (
            song.prompt.lyrics.replace("\n", " / "),
            f"requested  {' '.join(merge_phonemes(song.prompt.phonemes))}",
            f"recognized  {' '.join(phonemes)}",
        )
        songs.append(PicturedSong(song.prompt.text, tuple(tracks), captions))
    return songs


def card_results(report: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return what a report says about one model, for its card: tables and the headline's metrics.

    Args:
        report: report of ``songgen-hf evaluate mini``, or of ``evaluate masked``. Its ``rounded``
            may map digests of weights that were rounded later to those that it is about.
        model: a song model, or a masked pipeline.
    Raises:
        ValueError: if the report is about other weights or has no such model, or for a codec.
    """
    if getattr(model, "mode", None) == "masked":
        return _masked_card_results(report, pipeline_digest(model))
    if model.config.model_type != "songgen":
        raise ValueError("the report is of song models: got a codec; leave --results out")
    weights, track_pattern = weights_digest(model), model.config.decoder.track_pattern
    checkpoints = report.get("checkpoints", {})
    if (entry := checkpoints.get(track_pattern)) is None:
        raise ValueError(
            f"the report has no checkpoint of track pattern {track_pattern}: got "
            f"{', '.join(checkpoints) or 'none'}; evaluate this model first"
        )
    if entry["weights"] != _measured(report, weights):
        raise ValueError(
            f"the report is of other weights ({entry['weights']}) than this model's ({weights}): "
            "run songgen-hf evaluate mini with this checkpoint"
        )
    protocol = report["protocol"]
    rows = [row for row in report.get("rows", []) if row["checkpoint"] == track_pattern]
    own = {"protocol": protocol, "checkpoints": {track_pattern: entry}, "rows": rows}
    headline = next(row for row in rows if row["headline"])
    scores = headline["scores"]
    if entry.get("has_vocal_track") is False:
        # The phoneme error rate is that of the mixture, which has a name of its own.
        scores = {name: value for name, value in scores.items() if name != "per"}
    return {
        "text": results_markdown(own).partition("\n")[2].strip() + _rounding(report, weights),
        "setting": {
            "track_pattern": track_pattern,
            "songs": headline["songs"],
            "prompts": protocol["prompts"],
            "seeds": headline["seeds"],
            "guidance_scale": headline["guidance"],
            "reference_voice": headline["voice"],
        },
        "measures": _measures(scores, headline["intervals"]),
    }


def _masked_card_results(report: Mapping[str, Any], weights: str) -> dict[str, Any]:
    measured = _measured(report, weights)
    own = [row for row in report.get("rows", []) if row.get("weights") == measured]
    if not own:
        known = sorted({row["weights"] for row in report.get("rows", []) if "weights" in row})
        raise ValueError(
            f"the report is of other weights ({', '.join(known) or 'none'}) than this model's "
            f"({weights}): run songgen-hf evaluate masked with this model"
        )
    protocol, headline = report["protocol"], own[0]
    rows = [row for row in report["rows"] if row["mode"] == "ar"] + own
    shown = {**report, "rows": rows, "comparisons": [], "goal": describe_goal(rows)}
    # The seconds of these rows are wall-clock time, which depends on the machine.
    scores = {name: value for name, value in headline.items() if name != "seconds"}
    return {
        "text": results_markdown(shown).strip() + _rounding(report, weights),
        "setting": {
            "passes": headline["passes"],
            "songs": headline["songs"],
            "prompts": protocol["prompts"],
            "seeds": protocol["seeds"],
            "guidance_scale": [headline["guidance_start"], headline["guidance"]],
            "reveal": headline["reveal"],
            "reference_voice": headline["voice"],
        },
        "measures": _measures(scores, headline["intervals"]),
    }


def _measured(report: Mapping[str, Any], weights: str) -> str:
    """Return the digest of the weights that were measured for these, which may be rounded ones."""
    return report.get("rounded", {}).get(weights, weights)


def _rounding(report: Mapping[str, Any], weights: str) -> str:
    """Say that the weights were rounded after they were measured, if they were."""
    if _measured(report, weights) == weights:
        return ""
    return (
        "\n\nMeasured before the weights were rounded to 8 bits for the files; what rounding "
        "changes is in `docs/quantization.md`."
    )


def _measures(scores: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "metric": metric,
            "title": title,
            "value": scores[metric],
            "interval_95": intervals.get(metric),
        }
        for metric, title, _ in METRICS
        if metric in scores
    ]


__all__ = [
    "END_MARK",
    "START_MARK",
    "card_results",
    "describe_checkpoint",
    "describe_evaluation",
    "describe_masked",
    "describe_masked_row",
    "describe_row",
    "insert_results",
    "pictured_songs",
    "results_markdown",
    "write_pictures",
    "write_report",
]
