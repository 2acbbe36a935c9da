"""Teach the conditioner what captions and lyrics mean, before and apart from any song.

In a small model the text encoder starts random and the decoder learns to do without it: thousands
of steps of song training leave the loss the same whoever's description is given. Where the data
knows its songs (genre, instruments, tempo, phonemes ...), heads that are thrown away afterwards
read these facts from the conditioner's states, as the decoder's cross-attention will: one query a
fact over the text, one linear map a token over the lyrics. Steps cost a fraction of song training.

Decoder, codec and voice network are not touched.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..files import new_directory, write_files
from ..modeling.conditioning import SongGenConditioner
from ..modeling.patterns import IGNORED_LABEL
from .codec_objective import seeded
from .conditioner_truth import (
    NUM_TEMPI,
    SET_COLUMN,
    SOUNDS,
    TEMPO_COLUMN,
    TOLERANCE,
    Caption,
    Lines,
    Vocabulary,
    batches,
    padded_ids,
    read_captions,
    read_columns,
    read_lines,
    tempo_of_bin,
)
from .freezing import freeze, submodule
from .initialisation import load_model
from .options import RESOLVED_FILE, ModelOptions, dump_options
from .songs import read_songs

TAUGHT = (
    "text_encoder",
    "text_projection",
    "lyrics_embedding",
    "lyrics_encoder",
    "lyrics_projection",
)
METRICS_FILE = "metrics.jsonl"
_EVALUATION_BATCH = 64


@dataclass
class ConditionerOptions:
    """Options of ``songgen-hf train conditioner``.

    Raises:
        ValueError: if a number is out of its range.
    """

    dataset: str | None = field(
        default=None,
        metadata={
            "help": "parquet that knows its songs, as prepare codes writes it: a folder, ..."
        },
    )
    output_dir: str | None = field(default=None, metadata={"help": "new folder of the model"})
    train_split: str = field(default="train", metadata={"help": "split to train on"})
    eval_split: str | None = field(default=None, metadata={"help": "split to evaluate on"})
    max_steps: int = field(default=3000, metadata={"help": "optimiser steps"})
    batch_size: int = field(default=64, metadata={"help": "captions a step"})
    lyrics_batch_size: int = field(default=16, metadata={"help": "lyrics a step"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest, of AdamW"})
    warmup_steps: int = field(default=100, metadata={"help": "steps of linear warm-up"})
    weight_decay: float = field(default=0.0, metadata={"help": "of AdamW"})
    max_grad_norm: float = field(default=1.0, metadata={"help": "gradients are clipped to it"})
    eval_steps: int = field(default=1000, metadata={"help": "steps between evaluations"})
    logging_steps: int = field(default=50, metadata={"help": "steps between lines of metrics"})
    seed: int = field(default=456, metadata={"help": "of batches, captions and heads"})

    def __post_init__(self) -> None:
        counts = ("max_steps", "batch_size", "lyrics_batch_size", "eval_steps", "logging_steps")
        for name in (*counts, "learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0")


CONDITIONER_OPTIONS = (ModelOptions, ConditionerOptions)


class FactHeads(nn.Module):
    """Read facts from the conditioner's states.

    Args:
        hidden_size: H.
        vocabulary: what there is to tell apart.
        tempo: whether tempi are known.
    """

    def __init__(self, hidden_size: int, vocabulary: Vocabulary, *, tempo: bool):
        super().__init__()
        sizes = {name: len(values) for name, values in vocabulary.values.items()}
        num_phonemes = sizes.pop("phonemes", 0)
        if tempo:
            sizes[TEMPO_COLUMN] = NUM_TEMPI
        self.facts = nn.ModuleDict(
            {name: nn.Linear(hidden_size, size) for name, size in sizes.items()}
        )
        self.queries = nn.Parameter(torch.randn(len(sizes), hidden_size))
        self.sounds = nn.ModuleDict()
        if num_phonemes:
            self.sounds.update({name: nn.Linear(hidden_size, num_phonemes) for name in SOUNDS})

    def read_text(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Text states [B, L, H] -> logits [B, values] of each fact, each by its own attention."""
        scores = self.queries @ states.transpose(1, 2) / math.sqrt(states.shape[-1])  # [B, A, L]
        scores = scores.masked_fill(mask[:, None] == 0, torch.finfo(scores.dtype).min)
        pooled = scores.softmax(dim=-1) @ states  # [B, A, H]
        return {name: head(pooled[:, row]) for row, (name, head) in enumerate(self.facts.items())}

    def read_lyrics(self, states: Tensor) -> dict[str, Tensor]:
        """Lyrics states [B, P, H] -> logits [B, P, phonemes] of each of ``SOUNDS``."""
        return {name: head(states) for name, head in self.sounds.items()}


class ConditionerTrainer:
    """A conditioner being taught.

    Args:
        conditioner: trained in place, in evaluation mode (without dropout).
        captions: of each training song.
        lines: lyrics of the training songs.
        vocabulary: of the training songs.
        options: of the run.
    Raises:
        ValueError: if there is nothing to learn from, or nothing is left to train.
    """

    def __init__(
        self,
        conditioner: SongGenConditioner,
        captions: Sequence[Sequence[Caption]],
        lines: Sequence[Lines],
        vocabulary: Vocabulary,
        options: ConditionerOptions,
    ) -> None:
        if not captions and not lines:
            raise ValueError("no song has captions or timed lyrics: give another --dataset")
        self.conditioner, self.options = conditioner.eval(), options
        self.captions, self.lines = captions, lines
        tempo = bool(captions) and TEMPO_COLUMN in captions[0][0].classes
        with seeded(options.seed):
            heads = FactHeads(conditioner.config.decoder.hidden_size, vocabulary, tempo=tempo)
        self.device = conditioner.device
        self.heads = heads.to(self.device)
        modules = [submodule(conditioner, name) for name in TAUGHT]
        weights = [weight for module in modules if module for weight in module.parameters()]
        self.weights = [weight for weight in weights if weight.requires_grad]
        if not self.weights:
            raise ValueError("every part of the conditioner is frozen: shorten --freeze")
        self.optimizer = torch.optim.AdamW(
            [*self.weights, *self.heads.parameters()],
            lr=options.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=options.weight_decay,
        )

    def train_step(self, step: int) -> dict[str, float]:
        """One step; what it sees follows from seed and step alone."""
        options = self.options
        random = np.random.default_rng([options.seed, step])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(options, step)
        losses: dict[str, Tensor] = {}
        if self.captions:
            songs = random.integers(len(self.captions), size=options.batch_size)
            chosen = [self.captions[song] for song in songs]
            losses |= self.text_losses([one[int(random.integers(len(one)))] for one in chosen])
        if self.lines:
            songs = random.integers(len(self.lines), size=options.lyrics_batch_size)
            losses |= self.lyrics_losses([self.lines[song] for song in songs])
        loss = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        norm = nn.utils.clip_grad_norm_(weights, options.max_grad_norm)
        if not torch.isfinite(norm):
            raise ValueError(f"step {step}: the gradient is {norm}; lower --learning-rate")
        self.optimizer.step()
        return {"loss": loss.item(), **{f"loss_{n}": value.item() for n, value in losses.items()}}

    def text_losses(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        """The cross-entropy of each fact; a caption that leaves it out teaches what is likely."""
        logits = self._read_text(captions)
        losses = {}
        for name, found in logits.items():
            if name == SET_COLUMN:
                members = torch.stack([caption.members for caption in captions])
                losses[name] = (
                    F.binary_cross_entropy_with_logits(found, members.to(found), reduction="none")
                    .sum(-1)
                    .mean()
                )
            else:
                losses[name] = cross_entropy(found, self._classes(captions, name))
        return losses

    def lyrics_losses(self, lines: Sequence[Lines]) -> dict[str, Tensor]:
        """The cross-entropy of the phoneme that each token writes, and of its neighbours."""
        return {
            name: cross_entropy(found, self._sounds(lines, name))
            for name, found in self._read_lyrics(lines).items()
        }

    @torch.no_grad()
    def evaluate(
        self, captions: Sequence[Sequence[Caption]], lines: Sequence[Lines]
    ) -> dict[str, float]:
        """Shares read right, of facts that captions name and of sounding lyrics tokens.

        A tempo is right within 8 %, instruments are counted one by one.
        """
        right: dict[str, list[Tensor]] = {}
        for some in batches([caption for song in captions for caption in song], _EVALUATION_BATCH):
            for name, logits in self._read_text(some).items():
                if name == SET_COLUMN:
                    named = torch.stack([caption.named for caption in some])
                    hits = (logits.cpu() > 0)[named]
                else:
                    said = torch.tensor([name in caption.said for caption in some])
                    best = logits.argmax(dim=-1).cpu()
                    hits = best == self._classes(some, name).cpu()
                    if name == TEMPO_COLUMN:
                        tempi = torch.tensor([caption.tempo for caption in some])
                        hits = (tempo_of_bin(best) / tempi - 1).abs() <= TOLERANCE
                    hits = hits[said]
                right.setdefault(name, []).append(hits)
        for some in batches(lines, _EVALUATION_BATCH):
            for name, logits in self._read_lyrics(some).items():
                targets = self._sounds(some, name)
                hits = (logits.argmax(dim=-1) == targets)[targets != IGNORED_LABEL]
                right.setdefault(name, []).append(hits.cpu())
        joined = {name: torch.cat(hits).double() for name, hits in right.items()}
        return {
            f"accuracy_{name}": hits.mean().item() for name, hits in joined.items() if len(hits)
        }

    def _read_text(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        ids, mask = padded_ids([caption.ids for caption in captions])
        ids, mask = ids.to(self.device), mask.to(self.device)
        return self.heads.read_text(self.conditioner.encode_text(ids, mask), mask)

    def _read_lyrics(self, lines: Sequence[Lines]) -> dict[str, Tensor]:
        ids, mask = padded_ids([song.ids for song in lines])
        states = self.conditioner.encode_lyrics(ids.to(self.device), mask.to(self.device))
        return self.heads.read_lyrics(states)

    def _classes(self, captions: Sequence[Caption], name: str) -> Tensor:
        return torch.tensor([caption.classes[name] for caption in captions], device=self.device)

    def _sounds(self, lines: Sequence[Lines], name: str) -> Tensor:
        return nn.utils.rnn.pad_sequence(
            [song.sounds[name] for song in lines], batch_first=True, padding_value=IGNORED_LABEL
        ).to(self.device)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over known targets, zero if there is none: [..., values] and [...]."""
    total = F.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
    )
    return total / (targets != IGNORED_LABEL).sum().clamp(min=1)


def learning_rate(options: ConditionerOptions, step: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / max(options.warmup_steps, 1))
    return options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / options.max_steps))


def train_conditioner(model_options: ModelOptions, options: ConditionerOptions) -> dict[str, float]:
    """Teach a model's conditioner and write the model, processor, options and metrics.

    Returns:
        The last value of all that was logged; with ``eval_split``, ``before_...`` too.
    Raises:
        ValueError: if options, data or checkpoint cannot be used.
        OSError: if they cannot be read, or ``output_dir`` holds files.
    """
    for name in ("dataset", "output_dir"):
        if not getattr(options, name):
            raise ValueError(f"no {name} given: set --{name.replace('_', '-')}")
    model, processor = load_model(model_options, seed=options.seed)
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    freeze(model, model_options.freeze)
    columns = read_columns(read_songs(options.dataset or "", options.train_split))
    vocabulary = Vocabulary.of(columns)

    def read(found: dict[str, list[Any]]) -> tuple[list[list[Caption]], list[Lines]]:
        return (
            read_captions(found, vocabulary, processor),
            read_lines(found, vocabulary, processor),
        )

    trainer = ConditionerTrainer(model.conditioner, *read(columns), vocabulary, options)
    held_out = None
    if options.eval_split is not None:
        held_out = read(read_columns(read_songs(options.dataset or "", options.eval_split)))
    with new_directory(options.output_dir or "") as folder:
        log = run_steps(trainer, held_out)
        model.cpu().save_pretrained(folder)
        processor.save_pretrained(folder)
        text = "".join(json.dumps(entry) + "\n" for entry in log)
        write_files(
            {
                folder / METRICS_FILE: text.encode(),
                folder / RESOLVED_FILE: dump_options((model_options, options)).encode(),
            }
        )
    last = {name: value for entry in log for name, value in entry.items()}
    return last | {f"before_{name}": v for name, v in log[0].items() if name != "step"}


def run_steps(trainer: ConditionerTrainer, held_out: Any | None) -> list[dict[str, float]]:
    """All steps of a run; what was logged, the first entry before the first step."""
    options = trainer.options
    log: list[dict[str, float]] = [{"step": 0, **(trainer.evaluate(*held_out) if held_out else {})}]
    with tqdm(total=options.max_steps, desc="conditioner") as bar:
        for step in range(1, options.max_steps + 1):
            metrics = trainer.train_step(step - 1)
            bar.update()
            last = step == options.max_steps
            if step % options.logging_steps == 0 or last:
                log.append({"step": step, **metrics})
                bar.set_postfix(loss=f"{metrics['loss']:.3f}")
            if held_out and (step % options.eval_steps == 0 or last):
                log.append({"step": step, **trainer.evaluate(*held_out)})
    return log


__all__ = [
    "CONDITIONER_OPTIONS",
    "ConditionerOptions",
    "ConditionerTrainer",
    "FactHeads",
    "learning_rate",
    "train_conditioner",
]
