"""Teacher-forced scores of a trained song model on held-out songs, one song at a time.

Every score is a numerator and a denominator for each song, so that scores of several songs are
pooled, and intervals follow from the same numbers. The true codes of all earlier steps are given.

Units: ``loss`` (all codes), ``sung_loss`` (codes of the vocal, or of the mixture, in sung frames)
and ``sung_loss_<k>`` (of one codebook, counted from 0) are nats per code;
``lyrics_gain`` is by how many nats the lyrics of another song raise ``sung_loss``; ``attended`` is
the share of sung steps in which the guided heads attend to the token that is sung.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...modeling.patterns import IGNORED_LABEL, VOCAL
from ...training.auxiliary.losses import AuxiliaryLosses
from ...training.language_model.collator import SongCollator
from ...training.language_model.dataset import SongDataset, read_songs
from ...training.language_model.initialization import load_model
from ...training.language_model.options import ObjectiveOptions
from ...training.options import DataOptions, ModelOptions

Parts = dict[str, list[list[float]]]
"""Name of a score -> [numerator, denominator] of each song."""


def held_out_parts(
    folder: Path, data: DataOptions, objective: ObjectiveOptions, *, split: str, max_songs: int
) -> Parts:
    """Score a trained model.

    Args:
        folder: the trained model.
        data: options of its training; no condition is left out.
        objective: options of its training; ``attended`` needs guided attention.
        split: split of the dataset.
        max_songs: use only so many songs, from the first.
    Raises:
        ValueError: if the split has no song, or the model does not fit the dataset.
    """
    model, processor = load_model(ModelOptions(model=str(folder)))
    rows = read_songs(data.dataset or "", split)
    rows = rows.select(range(min(max_songs, len(rows))))
    songs = SongDataset(
        rows, model.config, data, training=False, voice_seconds=processor.voice_seconds
    )
    guided = objective.guided_attention_weight > 0
    collate = SongCollator(model.config, processor, align_lyrics=True)
    parts: Parts = {}
    for place in range(len(songs)):
        song = songs[place]
        batch = collate([song])
        labels = batch.pop("lyrics_labels")
        num_frames = song["codes"].shape[-1]
        losses, attended = song_losses(
            model, batch, num_frames, labels if guided else None, objective
        )
        scores = {"loss": ratio(losses)}
        singer = losses[VOCAL if len(losses) > 1 else 0]  # [K, T]
        sung = collate.annotations([song], torch.stack)["lyrics_labels"][0] != IGNORED_LABEL
        scores["sung_loss"] = ratio(singer[:, sung])
        scores |= {f"sung_loss_{k}": ratio(row[sung]) for k, row in enumerate(singer)}
        other = collate.conditions([songs[(place + 1) % len(songs)]])
        changed = {name: other[name] for name in ("lyrics_ids", "lyrics_attention_mask")}
        misled, _ = song_losses(model, batch | changed, num_frames, None, objective)
        gain = misled[VOCAL if len(losses) > 1 else 0] - singer
        scores["lyrics_gain"] = ratio(gain[:, sung])
        if attended is not None:
            steps = float((labels != IGNORED_LABEL).sum())
            scores["attended"] = [attended * steps, steps]
        for name, pair in scores.items():
            parts.setdefault(name, []).append(pair)
    return parts


@torch.no_grad()
def song_losses(
    model: Any,
    batch: dict[str, Any],
    num_frames: int,
    lyrics_labels: Tensor | None,
    objective: ObjectiveOptions,
) -> tuple[Tensor, float | None]:
    """The loss of each code of one song.

    Args:
        model: the song model.
        batch: arguments of its forward pass, of one song.
        num_frames: T.
        lyrics_labels: [1, L], the lyrics token sung in each step, if attention is guided.
        objective: options of the training.
    Returns:
        [tracks, K, T] losses in nats, and the share of sung steps that attend to their token.
    """
    labels, pattern = batch["labels"], model.config.decoder.pattern
    prepended = not model.config.lyrics_cross_attention
    auxiliary = AuxiliaryLosses(objective, model.decoder.model.layers, prepended=prepended)
    with auxiliary.recorded() as recorded:
        outputs = model(**batch)
    num_steps = labels.shape[1]
    logits = outputs.logits[:, -num_steps:].float()  # [rows, L, V]
    every = F.cross_entropy(
        logits.transpose(1, 2), labels[0].T, ignore_index=IGNORED_LABEL, reduction="none"
    )  # [rows, L]
    rows, steps = pattern.index(num_frames, labels.device)  # without the end mark
    losses = every[rows, steps - 1]
    if lyrics_labels is None:
        return losses, None
    masks = batch["lyrics_attention_mask"] if prepended else outputs.encoder_attention_mask
    _, metrics = auxiliary.add_to(
        losses.mean(),
        recorded,
        condition_mask=masks,
        num_lyrics=batch["lyrics_ids"].shape[1],
        lyrics_labels=lyrics_labels,
    )
    return losses, float(metrics["alignment_accuracy"])


def ratio(losses: Tensor) -> list[float]:
    """Sum and number of some losses."""
    return [float(losses.sum()), float(losses.numel())]


__all__ = ["Parts", "held_out_parts", "song_losses"]
