"""The card of measured codecs: one table, all that its numbers depend on, and published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files import encode_json, write_files
from ...provenance import library_versions
from ..metrics.codebook_use import codebook_use
from ..protocol.tables import markdown_table
from .measuring import (
    LATENTS,
    CodecMeasurement,
    CodecsMeasurement,
    codec_differences,
    codec_scores,
)
from .options import CodecsOptions, read_protocol
from .songs import CodecSong, songs_digest

KIND = "songgen-hf codec card"
FORMAT = 1
# Metric, title, and whether it is shown in percent.
COLUMNS = (
    ("mel_distance", "mel", False),
    ("stft_distance", "STFT", False),
    ("si_sdr", "SI-SDR, dB", False),
    ("visqol", "ViSQOL", False),
    ("per", "PER of vocals", True),
    ("used", "codes used", True),
    ("perplexity", "perplexity", False),
    ("abx_within", "ABX within", True),
    ("abx_across", "ABX across", True),
    ("abx_codes_within", "ABX of codes within", True),
    ("abx_codes_across", "ABX of codes across", True),
)
CONVENTIONS = {
    "sound": "channels averaged; resampled to the codec's rate and back by soxr; compared at the "
    "songs' rate, mixtures unless a metric ends in _vocal",
    "bits_per_second": "codebooks x frame rate x log2(codes), without entropy coding",
    "abx": "angle between sums of code vectors (latents: vectors before quantization), dynamic "
    "time warping, contexts of one phoneme before and after",
    "abx_codes": "share of codebooks whose codes differ",
    "intervals": "95 %, bootstrap over songs; ABX: over singers and pairs of phonemes; codebook "
    "use: over songs",
}


def make_card(
    found: CodecsMeasurement, songs: Sequence[CodecSong], options: CodecsOptions, *, command: str
) -> dict[str, Any]:
    """Describe a measurement by values that JSON holds.

    Args:
        found: the measurement.
        songs: its songs.
        options: its options.
        command: command line that made it.
    """
    rows, differences = [], []
    for codec in found.codecs:
        counts: list[Any] = [*sorted(codec.ratios), *([LATENTS] if codec.cells else [])]
        for count in counts:
            bits = None
            if count != LATENTS:
                bits = count * codec.facts["bits_per_second_of_a_codebook"]
            scores = codec_scores(codec, count, options)
            name = codec.facts["model"]
            rows.append(
                {"model": name, "codebooks": count, "bits_per_second": bits, "scores": scores}
            )
            if codec is not found.codecs[0] and (
                compared := codec_differences(found.codecs[0], codec, count, options)
            ):
                differences.append({"minus": name, "codebooks": count, "scores": compared})
    settings = {key: _plain(value) for key, value in asdict(options).items()}
    settings |= {"codebooks": list(options.counts)}
    card = {
        "kind": KIND,
        "format": FORMAT,
        "command": command,
        "songs": {"n": len(songs), "digest": songs_digest(songs), "abx_phones": found.num_phones},
        "settings": settings,
        "conventions": CONVENTIONS,
        "versions": library_versions(),
        "codecs": [codec.facts | {"use": _use(codec)} for codec in found.codecs],
        "rows": rows,
        "differences": differences,
        "skipped": found.skipped,
    }
    if found.true_per is not None:
        edits, lengths = found.true_per
        card["per_of_the_vocals_themselves"] = float(edits.sum() / lengths.sum())
    if options.protocol is not None:
        card["protocol"] = {"name": options.protocol, **read_protocol(options.protocol)}
    return card


def write_card(path: Path, card: dict[str, Any]) -> list[Path]:
    """Write a card as JSON and, beside it, as markdown; return both paths."""
    page = path.with_suffix(".md")
    write_files({path: encode_json(card), page: card_markdown(card).encode()})
    return [path, page]


def card_markdown(card: dict[str, Any]) -> str:
    """Write the tables of a card."""
    known = [
        column for column in COLUMNS if any(column[0] in row["scores"] for row in card["rows"])
    ]
    rows = [
        [
            row["model"],
            str(row["codebooks"]),
            "" if row["bits_per_second"] is None else f"{row['bits_per_second'] / 1000:.2f}",
            *(_shown(row["scores"].get(metric), percent) for metric, _, percent in known),
        ]
        for row in card["rows"]
    ]
    header = ("codec", "codebooks", "kbps", *(title for _, title, _ in known))
    parts = [f"# Codecs on {card['songs']['n']} songs", markdown_table(header, rows)]
    if "per_of_the_vocals_themselves" in card:
        share = 100 * card["per_of_the_vocals_themselves"]
        parts.append(f"PER of the vocals themselves: {share:.1f} %.")
    if card["differences"]:
        first = card["codecs"][0]["model"]
        rows = [
            [
                f"{first} minus {one['minus']}",
                str(one["codebooks"]),
                *(_shown(one["scores"].get(metric), percent) for metric, _, percent in known),
            ]
            for one in card["differences"]
        ]
        header = ("difference", "codebooks", *(title for _, title, _ in known))
        parts += ["## Paired differences", markdown_table(header, rows)]
    if "protocol" in card:
        parts += _published(card["protocol"], known)
    if card["skipped"]:
        parts.append("\n".join(f"- {name}: {why}" for name, why in card["skipped"].items()))
    facts = [
        [f"codec {codec['model']}", _words({k: v for k, v in codec.items() if k != "use"})]
        for codec in card["codecs"]
    ]
    facts += [[name, _words(value)] for name, value in card["settings"].items()]
    facts += [[f"how: {name}", _words(value)] for name, value in card["conventions"].items()]
    facts += [[name, _words(card[name])] for name in ("songs", "versions", "command")]
    parts += ["## Settings", markdown_table(("setting", "value"), facts)]
    return "\n\n".join(parts) + "\n"


def _published(protocol: dict[str, Any], known: Sequence[tuple[str, str, bool]]) -> list[str]:
    rows = [
        [
            row["codec"],
            "" if row["codebooks"] is None else str(row["codebooks"]),
            *(_number(row.get(metric), percent) for metric, _, percent in known),
        ]
        for row in protocol["published"]
    ]
    header = ("codec", "codebooks", *(title for _, title, _ in known))
    return [
        f"## Published figures ({protocol['source']})",
        markdown_table(header, rows),
        protocol["why_ours_differ"],
    ]


def _use(codec: CodecMeasurement) -> dict[str, list[float]]:
    """The use of each codebook, on all songs."""
    use = codebook_use(codec.counts.sum(axis=0))
    return {name: [round(float(value), 4) for value in values] for name, values in use.items()}


def _shown(score: dict[str, Any] | None, percent: bool) -> str:
    if score is None:
        return ""
    low, high = (_number(score[end], percent) for end in ("low", "high"))
    return f"{_number(score['value'], percent)} ({low} to {high})"


def _number(value: float | None, percent: bool) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if percent else f"{value:.3g}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


__all__ = ["card_markdown", "make_card", "write_card"]
