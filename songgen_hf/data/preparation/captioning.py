"""Captions of clips: given ones, sentences from tags, and those of an audio captioner, with scores.

The rules are those of SongGen (arXiv 2502.13128): captions are scored by CLAP against the audio,
those below a bound are left out, the tags are appended, and 600 characters are the limit.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ...checkpoints.loading import checked_device
from ...optional import require
from ..corpus.captions import write_caption
from ..listening.clap import ClapEmbedder
from .clips import read_clip
from .option_checks import check_at_least, check_device_share
from .stages import ModelError, loading
from .tags import read_tags

MAX_CHARACTERS = 600
PROMPT = (
    "Describe this music in one or two sentences: genre, mood, instruments, tempo and the voice."
)
FACTS = ("genre", "mood", "gender", "instruments", "tempo", "key")
"""The columns of what is known of a song."""
_FEW_FACTS = 3  # of fewer, no sentence leaves any out


@dataclass(frozen=True)
class CaptionOptions:
    """How clips are described.

    Args:
        captioner: audio captioner, a Hub id or a folder: a chat model that hears audio, such as
            Qwen/Qwen2-Audio-7B-Instruct or nvidia/music-flamingo-hf, or a Whisper that was trained
            to describe (default: captions are written from tags and columns).
        prompt: request to a chat model.
        max_new_tokens: longest answer of the captioner.
        clap: CLAP model that scores captions, such as laion/larger_clap_music_and_speech (default:
            no scores).
        min_clap_score: captions with a lower score are left out if there is a better one.
        phrasings: sentences that are written from tags and columns.
        seed: seed of the phrasings.
        device: device of the models; ``auto`` for an accelerator, if there is one.
        device_share: share of a GPU that a process gets with Ray, which shows it none otherwise.
        batch_size: clips that the captioner describes at once.
    Raises:
        ValueError: if a value is out of range.
    """

    captioner: str | None = None
    prompt: str = PROMPT
    max_new_tokens: int = 120
    clap: str | None = None
    min_clap_score: float = 0.0
    phrasings: int = 4
    seed: int = 0
    device: str = "cpu"
    device_share: float = 0.0
    batch_size: int = 1

    def __post_init__(self) -> None:
        check_device_share(self)
        check_at_least(self, 1, "max_new_tokens", "phrasings", "batch_size")
        if not -1 <= self.min_clap_score <= 1:
            raise ValueError(f"min_clap_score must be from -1 to 1: got {self.min_clap_score}")


def columns() -> Any:
    """The columns that :func:`caption` adds, as a list of pyarrow fields."""
    arrow = require("pyarrow", "prepare")
    text, texts = arrow.string(), arrow.list_(arrow.string())
    kinds = {"instruments": texts, "tempo": arrow.float64()}
    return [
        *(arrow.field(name, kinds.get(name, text)) for name in FACTS),
        arrow.field("caption", text),
        arrow.field("captions", texts),
        arrow.field("clap_score", arrow.float64()),
        arrow.field("clap_scores", arrow.list_(arrow.float64())),
    ]


def caption(
    rows: Sequence[Mapping[str, Any]], options: CaptionOptions = CaptionOptions()
) -> list[dict[str, Any]]:
    """Add captions and the facts that they are written from.

    A fact is that of the column of its name, else that of ``tags``, else the estimate of ``score``
    (``measured_tempo``, ``measured_key``). Candidates are the caption or captions that a row has,
    the captioner's, and sentences from the facts; the tags that are no facts, and all tags behind
    captions of the first two kinds, are appended.

    Args:
        rows: clips; ``score`` should have measured them, so that tempo and key are known.
        options: the models and the number of phrasings.
    Returns:
        The rows with the columns of :func:`columns`: ``caption`` is the best of ``captions``, by
        CLAP if there is a model, else the first; ``clap_scores`` belong to ``captions``. A clip of
        which nothing is known has no caption.
    Raises:
        ValueError: if a model cannot be loaded (``ModelError``), or audio cannot be read; it names
            model or clip.
    """
    described: list[str | None] = [None] * len(rows)
    if options.captioner is not None:
        for start in range(0, len(rows), options.batch_size):
            batch = slice(start, start + options.batch_size)
            described[batch] = _describe(rows[batch], options)
    return [
        _captioned(row, description, options)
        for row, description in zip(rows, described, strict=True)
    ]


def _captioned(
    row: Mapping[str, Any], description: str | None, options: CaptionOptions
) -> dict[str, Any]:
    tags = _listed(row.get("tags"))
    facts = read_tags(tags)
    measured = {name: row.get(f"measured_{name}") for name in ("tempo", "key")}
    known = {
        name: given if (given := _given_fact(row, name)) else facts.get(name, measured.get(name))
        for name in FACTS
    }
    candidates = [with_tags(one, tags) for one in (*_given(row), description) if one]
    if any(known.values()) or facts.get("instrumental") or row.get("sung") is False:
        silent = facts.get("instrumental") or row.get("sung") is False
        lead = {"lead_instrument": row.get("lead_instrument"), "instrumental": silent}
        # A hash, as the seeds of strings differ between versions of Python.
        draw = random.Random(hashlib.sha256(f"{options.seed}/{row['id']}".encode()).digest())
        few = sum(bool(value) for value in known.values()) < _FEW_FACTS
        written = [
            write_caption(draw, {**known, **lead}, complete=few or index == 0)
            for index in range(options.phrasings)
        ]
        candidates += [with_tags(one, facts.get("other", [])) for one in written]
    elif tags:
        candidates.append(with_tags("", tags))
    candidates = list(dict.fromkeys(candidates))
    scores: list[float] | None = None
    if options.clap is not None and candidates:
        measured_scores = clap_scores(row, candidates, options.clap, options.device)
        best_first = sorted(
            zip(measured_scores, candidates, strict=True), key=lambda pair: -pair[0]
        )
        kept = [pair for pair in best_first if pair[0] >= options.min_clap_score] or best_first[:1]
        scores, candidates = [pair[0] for pair in kept], [pair[1] for pair in kept]
    return {
        **row,
        **known,
        "caption": candidates[0] if candidates else None,
        "captions": candidates,
        "clap_score": scores[0] if scores else None,
        "clap_scores": scores,
    }


def _given_fact(row: Mapping[str, Any], name: str) -> Any:
    """The value of a user's column in the type of :func:`columns`; None for an empty one.

    Raises:
        ValueError: for a tempo that is no number.
    """
    value = row.get(name)
    if name == "instruments":
        return _listed(value) or None
    if name != "tempo":
        return ", ".join(_listed(value)) or None
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"tempo of the clip {row['id']!r}: got {value!r}, expected beats per minute"
        ) from error


def _listed(value: Any) -> list[str]:
    """The texts of a user's column; a single text is divided at commas, as in a CSV file."""
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, list | tuple):
        value = [] if value is None else [value]
    return [text for one in value if (text := str(one).strip())]


def _given(row: Mapping[str, Any]) -> list[str]:
    several = row.get("captions") or []
    several = several if isinstance(several, list | tuple) else [several]
    return [str(text) for text in (row.get("caption"), *several) if text]


def with_tags(text: str, tags: Sequence[str], *, limit: int = MAX_CHARACTERS) -> str:
    """Append the tags that a caption does not name, and cut it to a number of characters.

    Whole tags are left out if they do not fit; the caption itself is cut between words.
    """
    text = " ".join(text.split())
    if len(text) > limit:
        text = text[: limit + 1].rsplit(" ", 1)[0][:limit]
    for tag in tags:
        if re.search(rf"(?<!\w){re.escape(tag)}(?!\w)", text, re.IGNORECASE):
            continue
        joint = " " if text.endswith((".", "!", "?")) else ", "
        longer = text + joint + tag if text else tag
        if len(longer) <= limit:
            text = longer
    return text


def clap_scores(
    row: Mapping[str, Any], captions: Sequence[str], name: str, device: str = "cpu"
) -> list[float]:
    """Measure how well captions describe a clip: cosine similarities of CLAP, -1 to 1.

    The clip is heard in windows of the model's length (10 s), whose embeddings are averaged; the
    library's random crops would give other scores each time.

    Args:
        row: a clip.
        captions: at least one caption.
        name: CLAP model, a Hub id or a folder.
        device: device of the model.
    """
    embedder = _clap(name, device)
    waveform = read_clip(row, "mixture", embedder.sampling_rate)
    assert waveform is not None
    heard = embedder.audio(waveform).mean(axis=0)
    read = embedder.text(captions)
    lengths = np.linalg.norm(read, axis=1) * np.linalg.norm(heard)
    return [float(score) for score in read @ heard / np.maximum(lengths, 1e-8)]


@cache
def _clap(name: str, device: str) -> ClapEmbedder:
    with loading(f"the model {name!r}"):
        return ClapEmbedder(name, checked_device(device))


@cache
def _captioner(name: str, device: str) -> tuple[Any, Any]:
    from transformers import (
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        AutoConfig,
        AutoModelForSeq2SeqLM,
        AutoModelForSpeechSeq2Seq,
        AutoProcessor,
    )

    def model() -> Any:
        hears_text = (
            type(AutoConfig.from_pretrained(name)) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        )
        kind = AutoModelForSeq2SeqLM if hears_text else AutoModelForSpeechSeq2Seq
        return kind.from_pretrained(name, dtype="auto")

    loaded, processor = _load(name, device, model, AutoProcessor)
    if not hasattr(processor, "feature_extractor"):
        raise ModelError(f"{name!r} hears no audio: expected a captioner such as Qwen2-Audio")
    processor.tokenizer.padding_side = "left"
    return loaded, processor


def _load(name: str, device: str, model: Callable[[], Any], processor: Any) -> tuple[Any, Any]:
    with loading(f"the model {name!r}"):
        return model().eval().to(checked_device(device)), processor.from_pretrained(name)


def _describe(rows: Sequence[Mapping[str, Any]], options: CaptionOptions) -> list[str]:
    """Describe clips with the captioner; its most probable words are taken, nothing is drawn."""
    import torch

    assert options.captioner is not None
    model, processor = _captioner(options.captioner, options.device)
    rate = processor.feature_extractor.sampling_rate
    heard = [read_clip(row, "mixture", rate) for row in rows]
    sounds = [np.asarray(waveform, dtype=np.float32) for waveform in heard]
    settings = {"max_new_tokens": options.max_new_tokens, "do_sample": False}
    if processor.chat_template is None:
        features = processor.feature_extractor(sounds, sampling_rate=rate, return_tensors="pt")
        inputs, length = features.to(model.device, model.dtype), 0
    else:
        turn = [{"type": "audio", "audio_url": ""}, {"type": "text", "text": options.prompt}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": turn}], add_generation_prompt=True, tokenize=False
        )
        inputs = processor(
            text=[text] * len(sounds), audio=sounds, sampling_rate=rate, padding=True,
            return_tensors="pt",
        ).to(model.device, model.dtype)  # fmt: skip
        length = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        answers = model.generate(**inputs, **settings)[:, length:]
    texts = processor.batch_decode(answers, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]


__all__ = [
    "FACTS",
    "MAX_CHARACTERS",
    "CaptionOptions",
    "caption",
    "clap_scores",
    "columns",
    "with_tags",
]
