"""Timed lyrics as LRC, WebVTT and JSON, and the lyrics of LRC files.

A line is ``{"line", "start", "end", "words"}``, a word ``{"word", "start", "end", "confidence"}``,
with times in seconds. The file travels to the Hub with the pipelines and imports nothing of this
package.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]

_LRC_TIME = re.compile(r"\[(\d+):(\d+(?:[.:]\d+)?)\]\s*")
_LRC_TIMES = re.compile(rf"^(?:{_LRC_TIME.pattern})+")
_LRC_WORD_TIME = re.compile(r"<\d+:\d+(?:[.:]\d+)?>")
_LRC_TAG = re.compile(r"\[[a-z#]+:.*\]", re.IGNORECASE)  # such as [ti:title]


def as_lrc(lines: Sequence[Line], *, words: bool = False) -> str:
    """The lines as LRC: ``[mm:ss.xx]text``; with ``words``, ``<mm:ss.xx>`` before each word."""
    rows = []
    for line in lines:
        text = line["line"]
        if words:
            text = " ".join(
                f"<{_lrc_time(word['start'])}> {word['word']}" for word in line["words"]
            )
        rows.append(f"[{_lrc_time(line['start'])}]{text}\n")
    return "".join(rows)


def lrc_lyrics(text: str) -> str:
    """The lyrics of an LRC file in the order in which they are sung, without times and tags.

    A line with several times is sung several times. A text without times stays as it is.
    """
    sung: list[tuple[float, str]] = []
    now = 0.0
    for line in map(str.strip, text.splitlines()):
        if _LRC_TAG.fullmatch(line):
            continue
        words = _LRC_TIMES.sub("", line)
        times = _LRC_TIME.findall(line.removesuffix(words))
        starts = [60 * int(minutes) + float(rest.replace(":", ".")) for minutes, rest in times]
        words = " ".join(_LRC_WORD_TIME.sub("", words).split())
        sung += [(start, words) for start in starts or [now]]
        now = sung[-1][0]
    return "\n".join(words for _, words in sorted(sung, key=lambda one: one[0])).strip()


def as_webvtt(lines: Sequence[Line]) -> str:
    """The lines as WebVTT; the words of a line have their own times, as for karaoke."""
    cues = ["WEBVTT\n"]
    for line in lines:
        first, *others = line["words"]
        text = _escaped(first["word"])
        for word in others:
            # Times inside of a cue must increase and lie within it.
            inside = line["start"] < word["start"] < line["end"]
            mark = f"<{_vtt_time(word['start'])}>" if inside else ""
            text += f" {mark}{_escaped(word['word'])}"
        end = max(line["end"], line["start"] + 0.001)
        cues.append(f"{_vtt_time(line['start'])} --> {_vtt_time(end)}\n{text}\n")
    return "\n".join(cues)


def as_json(lines: Sequence[Line], coverage: Mapping[str, Any]) -> str:
    """Lines with their words, and what was sung of the lyrics, as JSON."""
    content = {"lines": list(lines), "coverage": dict(coverage)}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _lrc_time(seconds: float) -> str:
    hundredths = max(0, round(seconds * 100))
    return f"{hundredths // 6000:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _vtt_time(seconds: float) -> str:
    thousandths = max(0, round(seconds * 1000))
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


__all__ = ["as_json", "as_lrc", "as_webvtt", "lrc_lyrics"]
