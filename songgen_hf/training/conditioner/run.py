"""Teach the conditioner what captions and lyrics mean, before and apart from any song.

In a small model the text encoder starts random and the decoder learns to do without it: thousands
of steps of song training leave the loss the same whoever's description is given. Where the data
knows its songs (genre, instruments, tempo, phonemes ...), heads that are thrown away afterwards
read these facts from the conditioner's states, as the decoder's cross-attention will: one query a
fact over the text, one linear map a token over the lyrics. Steps cost a fraction of song training.

Decoder, codec and voice network are not touched.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...files import new_directory, write_files
from ...modeling.conditioning import SongGenConditioner
from ...modeling.patterns import IGNORED_LABEL
from ..auxiliary.frame_labels import tempo_of_class
from ..language_model.dataset import read_songs
from ..language_model.freezing import freeze, submodule
from ..language_model.initialization import load_model
from ..option_parsing import RESOLVED_FILE, dump_options
from ..options import ModelOptions
from ..resumable_run import (
    METRICS_FILE,
    Action,
    Metrics,
    learning_rate,
    optimizer_step,
    run_steps,
    set_learning_rate,
)
from ..seeding import seed_from, seeded
from .heads import FactHeads, cross_entropy
from .labels import (
    SET_COLUMN,
    TEMPO_COLUMN,
    TOLERANCE,
    Caption,
    CaptionWriter,
    Vocabulary,
    batches,
    padded_ids,
    read_captions,
    read_columns,
)
from .options import ConditionerOptions
from .phoneme_labels import Lines, read_lines

TAUGHT = (
    "text_encoder",
    "text_projection",
    "lyrics_embedding",
    "lyrics_encoder",
    "lyrics_projection",
)
_EVALUATION_BATCH = 64


class ConditionerTrainer:
    """A conditioner being taught.

    Args:
        conditioner: trained in place, in evaluation mode (without dropout).
        captions: of each training song.
        lines: lyrics of the training songs.
        vocabulary: of the training songs.
        options: of the run.
        writer: of further captions.
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
        writer: CaptionWriter | None = None,
    ) -> None:
        if not captions and not lines:
            raise ValueError("no song has captions or timed lyrics: give another --dataset")
        self.conditioner, self.options = conditioner.eval(), options
        self.captions, self.lines, self.writer = captions, lines, writer
        tempo = bool(captions) and TEMPO_COLUMN in captions[0][0].classes
        decoder: Any = conditioner.config.decoder
        with seeded(seed_from(options.seed)):
            heads = FactHeads(decoder.hidden_size, vocabulary, tempo=tempo)
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
        rate = learning_rate(
            step,
            peak=options.learning_rate,
            steps=options.max_steps,
            warmup_steps=options.warmup_steps,
        )
        set_learning_rate(rate, self.optimizer)
        losses: dict[str, Tensor] = {}
        lower = options.mixed_precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=lower):
            if self.captions:
                losses |= self.text_losses(self.draw_captions(random))
            if self.lines:
                songs = random.integers(len(self.lines), size=options.lyrics_batch_size)
                losses |= self.lyrics_losses([self.lines[song] for song in songs])
        loss = torch.stack(list(losses.values())).sum()
        optimizer_step(self.optimizer, loss, max_norm=options.max_grad_norm)
        return {"loss": loss.item(), **{f"loss_{n}": value.item() for n, value in losses.items()}}

    def draw_captions(self, random: np.random.Generator) -> list[Caption]:
        """Captions of one step: of songs, and written anew."""
        songs = random.integers(len(self.captions), size=self.options.batch_size)
        chosen = [self.captions[song] for song in songs]
        captions = [one[int(random.integers(len(one)))] for one in chosen]
        if self.writer is not None:
            rng = Random(int(random.integers(2**63)))
            for row in np.flatnonzero(random.random(len(captions)) < self.options.written_captions):
                captions[row] = self.writer(rng)
        return captions

    def text_losses(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        """The cross-entropy of each fact; one that a caption leaves out counts little: its words
        tell what is likely, or say it otherwise (a woman, unhurried).
        """
        unsaid = self.options.unsaid_weight
        losses = {}
        for name, found in self._read_text(captions).items():
            if name == SET_COLUMN:
                members = torch.stack([caption.members for caption in captions]).to(self.device)
                named = torch.stack([caption.named for caption in captions]).to(self.device)
                weights = torch.where(members & ~named, unsaid, 1.0)
                each = F.binary_cross_entropy_with_logits(
                    found, members.to(found), weights, reduction="none"
                )
                losses[name] = each.sum(dim=-1).mean()
            else:
                said = [1.0 if name in caption.said else unsaid for caption in captions]
                weights = torch.tensor(said, device=self.device)
                losses[name] = cross_entropy(found, self._classes(captions, name), weights)
        return losses

    def lyrics_losses(self, lines: Sequence[Lines]) -> dict[str, Tensor]:
        """The cross-entropy of the phoneme that each token writes, and of its neighbors."""
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
                        hits = (tempo_of_class(best) / tempi - 1).abs() <= TOLERANCE
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

    @torch.no_grad()
    def sizes(self) -> dict[str, float]:
        """Root mean square of what each trained projection gives for some of the songs."""
        found: dict[str, float] = {}
        captions = [song[0] for song in self.captions[:_EVALUATION_BATCH]]
        lines = self.lines[:_EVALUATION_BATCH]
        readings: dict[str, tuple[bool, Callable[[], Any]]] = {
            "text_projection": (bool(captions), lambda: self._read_text(captions)),
            "lyrics_projection": (bool(lines), lambda: self._read_lyrics(lines)),
        }
        for name, (known, read) in readings.items():
            module: Any = submodule(self.conditioner, name)
            if module is None or not known or not module.weight.requires_grad:
                continue
            seen: list[Tensor] = []
            hook = module.register_forward_hook(partial(_keep_output, seen))
            try:
                read()
            finally:
                hook.remove()
            found[name] = seen[0].float().square().mean().sqrt().item()
        return found

    @torch.no_grad()
    def restore(self, sizes: Mapping[str, float]) -> None:
        """Scale the projections to give states of these sizes.

        A decoder knows the states at the size they had, and beside louder lyrics it no longer hears
        where in the lyrics it is: their places are added at a fixed size.
        """
        for name, now in self.sizes().items():
            module: Any = submodule(self.conditioner, name)
            for weight in module.parameters():
                weight.mul_(sizes[name] / max(now, 1e-6))

    def _read_text(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        ids, mask = padded_ids([caption.ids for caption in captions])
        ids, mask = ids.to(self.device), mask.to(self.device)
        found = self.heads.read_text(self.conditioner.encode_text(ids, mask), mask)
        return {name: logits.float() for name, logits in found.items()}

    def _read_lyrics(self, lines: Sequence[Lines]) -> dict[str, Tensor]:
        ids, mask = padded_ids([song.ids for song in lines])
        states = self.conditioner.encode_lyrics(ids.to(self.device), mask.to(self.device))
        return {name: logits.float() for name, logits in self.heads.read_lyrics(states).items()}

    def _classes(self, captions: Sequence[Caption], name: str) -> Tensor:
        return torch.tensor([caption.classes[name] for caption in captions], device=self.device)

    def _sounds(self, lines: Sequence[Lines], name: str) -> Tensor:
        return nn.utils.rnn.pad_sequence(
            [song.sounds[name] for song in lines], batch_first=True, padding_value=IGNORED_LABEL
        ).to(self.device)


def _keep_output(seen: list[Tensor], module: Any, inputs: Any, output: Tensor) -> None:
    seen.append(output)


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

    captions, lines = read(columns)
    writer = None
    if captions and options.written_captions:
        writer = CaptionWriter(vocabulary, columns.get(TEMPO_COLUMN, []), processor)
    trainer = ConditionerTrainer(model.conditioner, captions, lines, vocabulary, options, writer)
    held_out = None
    if options.eval_split is not None:
        held_out = read(read_columns(read_songs(options.dataset or "", options.eval_split)))
    with new_directory(options.output_dir or "") as folder:
        sizes = trainer.sizes()
        log = train_and_log(trainer, held_out)
        trainer.restore(sizes)
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


def train_and_log(trainer: ConditionerTrainer, held_out: Any | None) -> list[dict[str, float]]:
    """Take all steps; return what was logged, the first entry before the first step.

    Args:
        trainer: of the conditioner.
        held_out: captions and lyrics of other songs to evaluate on, or None.
    """
    options = trainer.options
    entries: list[dict[str, float]] = []

    def log(step: int, metrics: Metrics) -> Metrics:
        entries.append({"step": step, **metrics})
        return {"loss": metrics["loss"]}

    def evaluate(step: int, metrics: Metrics) -> None:
        if held_out:
            entries.append({"step": step, **trainer.evaluate(*held_out)})

    entries.append({"step": 0, **(trainer.evaluate(*held_out) if held_out else {})})
    run_steps(
        trainer.train_step,
        steps=options.max_steps,
        name="conditioner",
        actions=[Action(options.logging_steps, log), Action(options.eval_steps, evaluate)],
    )
    return entries


__all__ = [
    "TAUGHT",
    "ConditionerTrainer",
    "train_conditioner",
]
