"""Training of the conditioner on labels of captions and lyrics, without the decoder.

The text encoder of a small model starts with random weights, and the decoder learns to ignore it:
after thousands of steps, the loss is the same with the caption of another song. For songs with
labels (genre, instruments, tempo, phonemes, ...), temporary heads predict these labels from the
states of the conditioner in the way in which the decoder reads them: attention with one query for
each attribute over the text, one linear map for each lyrics token. A step costs a fraction of a
step of song training. Decoder, codec and voice network stay unchanged.

A decoder that was trained with the conditioner reads the states of each sound and tempo where they
are. When more words or finer tempi are learned, the states of captions and of the lyrics of songs
can be held there (``anchor_weight``): the heads, and with them the states of what is new, follow.
"""

import copy
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...data.corpus.spoken_words import spoken_lines
from ...files import new_directory, write_files
from ...modeling.conditioning import SongGenConditioner
from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import recorded_output, tempo_of_class
from ..language_model.dataset import read_songs
from ..language_model.freezing import freeze, submodule
from ..language_model.initialization import load_model
from ..option_parsing import RESOLVED_FILE, check_given, dump_options
from ..options import ModelOptions
from ..precision import warn_of_slow_bfloat16
from ..resumable_run import (
    METRICS_FILE,
    Action,
    Metrics,
    cosine_rate,
    optimizer_step,
    run_steps,
    set_learning_rate,
)
from ..seeding import seed_from, seeded
from .heads import AttributeHeads, cross_entropy
from .labels import (
    LYRICS_COLUMNS,
    SET_COLUMN,
    TEMPO_COLUMN,
    Caption,
    CaptionWriter,
    Vocabulary,
    read_captions,
    read_columns,
)
from .options import ConditionerOptions
from .phoneme_labels import Lyrics, read_lyrics

TRAINED_PARTS = (
    "text_encoder",
    "text_projection",
    "lyrics_embedding",
    "lyrics_encoder",
    "lyrics_projection",
)
POSITION_BIAS = "relative_attention_bias"
POSITION_BIAS_RATE = 40.0
"""Factor of the learning rate of T5's position biases. They start near zero and grow by more than
ten where order is learned, and a step of AdamW is about one learning rate: at the rate of the
matrices the encoder stays nearly a bag of words, for which 102 and 120 are the same."""
TEMPO_TOLERANCE = 0.08  # relative error of a tempo that counts as right, as in the evaluation
EVALUATION_BATCH = 64


class ConditionerTrainer:
    """Trains a conditioner together with heads that predict labels from its states.

    Args:
        conditioner: trained in place, in evaluation mode (without dropout).
        captions: captions of each training song.
        lyrics: lyrics of the training songs.
        vocabulary: classes of the labels.
        options: options of the run.
        writer: writes additional captions.
    Raises:
        ValueError: if there are neither captions nor lyrics to train on, or all parts are frozen.
    """

    def __init__(
        self,
        conditioner: SongGenConditioner,
        captions: Sequence[Sequence[Caption]],
        lyrics: Sequence[Lyrics],
        vocabulary: Vocabulary,
        options: ConditionerOptions,
        writer: CaptionWriter | None = None,
    ) -> None:
        modules = [submodule(conditioner, name) for name in TRAINED_PARTS]
        named = [pair for module in modules if module for pair in module.named_parameters()]
        named = [(name, weight) for name, weight in named if weight.requires_grad]
        if not named:
            raise ValueError("every part of the conditioner is frozen: shorten --freeze")
        if not captions and not lyrics:
            raise ValueError("no song has captions or timed lyrics: give another --dataset")
        self.conditioner, self.options = conditioner.eval(), options
        anchored = options.anchor_weight > 0
        self.initial = copy.deepcopy(conditioner).requires_grad_(False) if anchored else None
        self.captions, self.lyrics, self.writer = captions, lyrics, writer
        tempo = bool(captions) and TEMPO_COLUMN in captions[0][0].classes
        decoder: Any = conditioner.config.decoder
        with seeded(seed_from(options.seed)):
            heads = AttributeHeads(decoder.hidden_size, vocabulary, tempo=tempo)
        self.device = conditioner.device
        if options.mixed_precision == "bf16" and self.device.type == "cpu":
            warn_of_slow_bfloat16("--mixed-precision no")
        self.heads = heads.to(self.device)
        biases = [weight for name, weight in named if POSITION_BIAS in name]
        weights = [weight for name, weight in named if POSITION_BIAS not in name]
        groups: list[dict[str, Any]] = [
            {"params": [*weights, *self.heads.parameters()]},
            {"params": biases, "rate_factor": POSITION_BIAS_RATE},
        ]
        self.optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=options.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=options.weight_decay,
        )

    def train_step(self, step: int) -> dict[str, float]:
        """Take one step; its batch follows from seed and step alone."""
        options = self.options
        random = np.random.default_rng([options.seed, step])
        rate = cosine_rate(
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
            if self.lyrics:
                songs = random.integers(len(self.lyrics), size=options.lyrics_batch_size)
                losses |= self.lyrics_losses([self.lyrics[song] for song in songs])
        loss = torch.stack(list(losses.values())).sum()
        optimizer_step(self.optimizer, loss, max_norm=options.max_grad_norm)
        return {"loss": loss.item(), **{f"loss_{n}": value.item() for n, value in losses.items()}}

    def draw_captions(self, random: np.random.Generator) -> list[Caption]:
        """The captions of one step: captions of songs, some of them replaced by new ones."""
        songs = random.integers(len(self.captions), size=self.options.batch_size)
        chosen = [self.captions[song] for song in songs]
        captions = [one[int(random.integers(len(one)))] for one in chosen]
        if self.writer is not None:
            rng = Random(int(random.integers(2**63)))
            for row in np.flatnonzero(random.random(len(captions)) < self.options.written_captions):
                captions[row] = self.writer(rng)
        return captions

    def text_losses(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        """The cross-entropy of each attribute.

        Attributes that a caption does not name have a small weight: other words of the caption make
        some values likely, or paraphrase them.
        """
        unnamed = self.options.unsaid_weight
        ids, mask = padded_ids([caption.ids for caption in captions], self.device)
        states = self.conditioner.encode_text(ids, mask)
        losses = {}
        for name, logits in self.heads.read_text(states, mask).items():
            logits = logits.float()
            if name == SET_COLUMN:
                playing = torch.stack([caption.instruments for caption in captions])
                named = torch.stack([caption.named_instruments for caption in captions])
                weights = torch.where(playing & ~named, unnamed, 1.0).to(self.device)
                each = F.binary_cross_entropy_with_logits(
                    logits, playing.to(logits), weights, reduction="none"
                )
                losses[name] = each.sum(dim=-1).mean()
            else:
                factors = [1.0 if name in caption.named else unnamed for caption in captions]
                weights = torch.tensor(factors, device=self.device)
                losses[name] = cross_entropy(logits, self._classes(captions, name), weights)
        if self.initial is not None:
            first = self.initial.encode_text(ids, mask)
            losses["text_change"] = self._change(states, first, mask)
        return losses

    def lyrics_losses(self, lyrics: Sequence[Lyrics]) -> dict[str, Tensor]:
        """The cross-entropy of each token's phoneme and its neighbors, and the states' change."""
        ids, mask = padded_ids([song.ids for song in lyrics], self.device)
        states = self.conditioner.encode_lyrics(ids, mask)
        losses = {
            name: cross_entropy(logits.float(), self._phonemes(lyrics, name))
            for name, logits in self.heads.read_lyrics(states).items()
        }
        sung = torch.tensor([song.is_sung for song in lyrics], device=self.device)
        if self.initial is not None and sung.any():
            first = self.initial.encode_lyrics(ids[sung], mask[sung])
            losses["lyrics_change"] = self._change(states[sung], first, mask[sung])
        return losses

    def _change(self, states: Tensor, first: Tensor, mask: Tensor) -> Tensor:
        """The weighted change of states [B, L, H] from those of the initial conditioner."""
        now, first = states[mask > 0].float(), first[mask > 0].float()
        change = (now - first).square().mean() / first.square().mean()
        return self.options.anchor_weight * change

    @torch.no_grad()
    def evaluate(
        self, captions: Sequence[Sequence[Caption]], lyrics: Sequence[Lyrics]
    ) -> dict[str, float]:
        """Accuracy on attributes that captions name, and on lyrics tokens with a phoneme.

        A tempo is right within 8 %; each instrument counts separately.
        """
        hits: dict[str, list[Tensor]] = {}
        for batch in _batches([caption for song in captions for caption in song]):
            for name, logits in self._read_text(batch).items():
                if name == SET_COLUMN:
                    named = torch.stack([caption.named_instruments for caption in batch])
                    right = logits.cpu() > 0
                else:
                    named = torch.tensor([name in caption.named for caption in batch])
                    best = logits.argmax(dim=-1).cpu()
                    right = best == self._classes(batch, name).cpu()
                    if name == TEMPO_COLUMN:
                        tempi = torch.tensor([caption.tempo for caption in batch])
                        right = (tempo_of_class(best) / tempi - 1).abs() <= TEMPO_TOLERANCE
                hits.setdefault(name, []).append(right[named])
        for batch in _batches(lyrics):
            for name, logits in self._read_lyrics(batch).items():
                labels = self._phonemes(batch, name)
                right = (logits.argmax(dim=-1) == labels)[labels != IGNORED_LABEL]
                hits.setdefault(name, []).append(right.cpu())
        joined = {name: torch.cat(parts).double() for name, parts in hits.items()}
        return {f"accuracy_{n}": right.mean().item() for n, right in joined.items() if len(right)}

    @torch.no_grad()
    def output_scales(self) -> dict[str, float]:
        """Root mean square of the output of each trained projection, for some of the songs."""
        scales: dict[str, float] = {}
        for name in ("text_projection", "lyrics_projection"):
            module: Any = submodule(self.conditioner, name)
            songs = self.captions if name == "text_projection" else self.lyrics
            if module is None or not songs or not module.weight.requires_grad:
                continue
            with recorded_output(module) as outputs:
                if name == "text_projection":
                    self._read_text([song[0] for song in self.captions[:EVALUATION_BATCH]])
                else:
                    self._read_lyrics(self.lyrics[:EVALUATION_BATCH])
            scales[name] = outputs[0].float().square().mean().sqrt().item()
        return scales

    @torch.no_grad()
    def restore_scales(self, scales: Mapping[str, float]) -> None:
        """Scale the projections so that their outputs have given root mean squares.

        The decoder was trained on states of these scales. Larger lyrics states would outweigh the
        embeddings of their positions, which are added at a fixed scale.
        """
        for name, now in self.output_scales().items():
            module: Any = submodule(self.conditioner, name)
            for weight in module.parameters():
                weight.mul_(scales[name] / max(now, 1e-6))

    def _read_text(self, captions: Sequence[Caption]) -> dict[str, Tensor]:
        ids, mask = padded_ids([caption.ids for caption in captions], self.device)
        logits = self.heads.read_text(self.conditioner.encode_text(ids, mask), mask)
        return {name: values.float() for name, values in logits.items()}

    def _read_lyrics(self, lyrics: Sequence[Lyrics]) -> dict[str, Tensor]:
        ids, mask = padded_ids([song.ids for song in lyrics], self.device)
        states = self.conditioner.encode_lyrics(ids, mask)
        return {name: values.float() for name, values in self.heads.read_lyrics(states).items()}

    def _classes(self, captions: Sequence[Caption], name: str) -> Tensor:
        return torch.tensor([caption.classes[name] for caption in captions], device=self.device)

    def _phonemes(self, lyrics: Sequence[Lyrics], name: str) -> Tensor:
        labels = [song.labels[name] for song in lyrics]
        padded = pad_sequence(labels, batch_first=True, padding_value=IGNORED_LABEL)
        return padded.to(self.device)


def padded_ids(ids: Sequence[Tensor], device: Any = None) -> tuple[Tensor, Tensor]:
    """Join ids [L_i] to ids and mask, both [B, L] int64 with 0 in the padding."""
    mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    return pad_sequence(list(ids), batch_first=True).to(device), mask.to(device)


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), EVALUATION_BATCH):
        yield items[start : start + EVALUATION_BATCH]


def train_conditioner(model_options: ModelOptions, options: ConditionerOptions) -> dict[str, float]:
    """Train the conditioner of a model, and write model, processor, options and metrics.

    Returns:
        The last value of every metric; with ``eval_split``, also the first ones as ``before_...``.
    Raises:
        ValueError: if options, data or checkpoint cannot be used.
        OSError: if they cannot be read, or ``output_dir`` holds files.
    """
    check_given(options, "dataset", "output_dir")
    options = replace(options)
    options.record_files()
    model, processor = load_model(model_options, seed=options.seed)
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    freeze(model, model_options.freeze)
    trained = {
        name.partition("_")[0] for name in TRAINED_PARTS if _is_trained(model.conditioner, name)
    }  # "text", "lyrics"
    if options.spoken_words and "lyrics" not in trained:
        raise ValueError("spoken_words are lyrics, which are frozen: leave --spoken-words out")
    columns = read_columns(read_songs(options.dataset or "", options.train_split))
    vocabulary = Vocabulary.of(columns)
    captions, lyrics = read_trained(columns, vocabulary, processor, trained)
    if options.spoken_words:
        lyrics += read_spoken_words(options, vocabulary, processor)
    writer = None
    if captions and options.written_captions:
        writer = CaptionWriter(vocabulary, columns.get(TEMPO_COLUMN, []), processor)
    trainer = ConditionerTrainer(model.conditioner, captions, lyrics, vocabulary, options, writer)
    held_out: Any = None
    if options.eval_split is not None:
        columns = read_columns(read_songs(options.dataset or "", options.eval_split))
        held_out = read_trained(columns, vocabulary, processor, trained)
    with new_directory(options.output_dir or "") as folder:
        scales = trainer.output_scales()
        log = train_and_log(trainer, held_out)
        trainer.restore_scales(scales)
        model.cpu().save_pretrained(folder)
        processor.save_pretrained(folder)
        lines = "".join(json.dumps(entry) + "\n" for entry in log)
        texts = {METRICS_FILE: lines, RESOLVED_FILE: dump_options((model_options, options))}
        write_files({folder / name: text.encode() for name, text in texts.items()})
    last = {name: value for entry in log for name, value in entry.items()}
    return last | {f"before_{name}": v for name, v in log[0].items() if name != "step"}


def read_trained(
    columns: dict[str, list[Any]],
    vocabulary: Vocabulary,
    processor: SongGenProcessor,
    trained: Collection[str],
) -> tuple[list[list[Caption]], list[Lyrics]]:
    """Captions and lyrics of songs: those of ``text`` and ``lyrics`` that are ``trained``."""
    captions = read_captions(columns, vocabulary, processor) if "text" in trained else []
    lyrics = read_lyrics(columns, vocabulary, processor) if "lyrics" in trained else []
    return captions, lyrics


def _is_trained(conditioner: SongGenConditioner, part: str) -> bool:
    module = submodule(conditioner, part)
    return module is not None and any(weight.requires_grad for weight in module.parameters())


def read_spoken_words(
    options: ConditionerOptions, vocabulary: Vocabulary, processor: SongGenProcessor
) -> list[Lyrics]:
    """Lines of ``spoken_words`` different words, labeled by espeak-ng.

    Raises:
        ValueError: if the songs have no phonemes, whose classes are needed.
        ImportError: if espeak-ng is missing.
    """
    if "phonemes" not in vocabulary.values:
        raise ValueError(
            "spoken_words needs songs with phonemes: got none; leave --spoken-words out"
        )
    rows = list(spoken_lines(options.spoken_words, seed=options.seed))
    columns = {name: [row[name] for row in rows] for name in LYRICS_COLUMNS}
    lines = read_lyrics(columns, vocabulary, processor)
    return [replace(line, is_sung=False) for line in lines]


def train_and_log(trainer: ConditionerTrainer, held_out: Any | None) -> list[dict[str, float]]:
    """Take all steps; return what was logged, the first entry before the first step.

    Args:
        trainer: the trainer.
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


__all__ = ["TRAINED_PARTS", "ConditionerTrainer", "train_conditioner"]
