"""Scores of a finished training: on held-out songs, of generated songs, and of a codec.

Every function returns a numerator and a denominator for each song, see ``held_out.py``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...training.language_model.dataset import SongDataset, read_songs
from ...training.options import DataOptions
from .held_out import Parts, held_out_parts
from .options import ExperimentOptions

CODEC_SONGS = ("mixture", "vocal", "phonemes")


def measured_parts(
    kind: str,
    folder: Path,
    made: tuple[Any, ...],
    setting: str,
    options: ExperimentOptions,
    log: Callable[[str], None],
) -> Parts:
    """All scores of a training that can be computed with what the options name.

    Args:
        kind: lm, masked or codec.
        folder: folder of the training.
        made: options of the training.
        setting: how songs are sampled.
        options: songs, and judges for generated ones.
        log: called with each progress line.
    """
    if kind == "codec":
        return codec_parts(folder / "codec", options)
    data, objective = made[1:3]
    if kind == "masked":
        parts = masked_parts(folder, data, options)
    else:
        parts = held_out_parts(
            folder, data, objective, split=options.split, max_songs=options.songs
        )
    if options.judges is not None:
        parts |= generated_parts(kind, folder, setting, options, log)
    return parts


@torch.no_grad()
def masked_parts(folder: Path, data: DataOptions, options: ExperimentOptions) -> Parts:
    """The loss of hidden codes of a masked model, with the same masks for all models.

    Returns:
        ``masked_loss`` in nats per hidden code. Losses of different heads do not compare: that of a
        mixture belongs to code vectors.
    """
    from ...training.masked.dataset import MaskedSongCollator, MaskedSongs, masked_positions
    from ...training.masked.objective import MaskedStep
    from ...training.masked.options import MaskedObjectiveOptions
    from ...training.masked.run import read_pipeline

    pipe = read_pipeline(str(folder))
    config, objective = pipe.conditioner.config, MaskedObjectiveOptions()
    step = MaskedStep(pipe.transformer, pipe.conditioner, objective).eval()
    rows = read_songs(data.dataset or "", options.split)
    rows = rows.select(range(min(options.songs, len(rows))))
    seconds = pipe.processor.voice_seconds
    songs = MaskedSongs(
        SongDataset(rows, config, data, training=False, voice_seconds=seconds), objective
    )
    collate = MaskedSongCollator(config, pipe.processor)
    pairs = []
    for place in range(len(songs)):
        batch = collate([songs[place]])
        num_codebooks = batch["codes"].shape[2]
        positions = masked_positions(batch["visible"], batch["frame_mask"], num_codebooks)
        hidden = (num_codebooks - batch["visible"]).sum()
        loss = float(step(**batch)["masked_loss"])
        pairs.append([loss * float(positions), float(hidden)])
    return {"masked_loss": pairs}


def generated_parts(
    kind: str,
    folder: Path,
    setting: str,
    options: ExperimentOptions,
    log: Callable[[str], None],
) -> Parts:
    """The ratios of :func:`~songgen_hf.evaluation.protocol.scores.score_songs` of generated songs.

    Raises:
        ValueError: for a setting that cannot be read, or judges that do not fit.
    """
    from ..protocol.evaluation import Evaluation
    from ..protocol.options import AutoregressiveSetting, EvaluationOptions, MaskedSetting
    from ..protocol.sampling import AutoregressiveSampler, MaskedSampler

    assert options.judges is not None and options.corpus is not None
    evaluation = Evaluation(
        EvaluationOptions(
            songs=options.corpus,
            judges=options.judges,
            prompts_file=options.prompts_file,
            prompts=options.prompts,
            max_seconds=options.max_seconds,
            cache=options.output / "songs",
        ),
        log,
    )
    masked = kind == "masked"
    sampler: Any = evaluation.sampler(
        MaskedSampler if masked else AutoregressiveSampler, str(folder)
    )
    chosen = (MaskedSetting if masked else AutoregressiveSetting).parse(setting)
    row = evaluation.row(sampler, chosen, evaluation.prompts, (0,))
    return {name: _pairs(above, below) for name, (above, below) in row.scores.parts.items()}


def codec_parts(folder: Path, options: ExperimentOptions) -> Parts:
    """Reconstruction of a codec and, with judges, the phoneme error rate of decoded vocals.

    Raises:
        ValueError: without a corpus.
    """
    from ...checkpoints.loading import load_codec
    from ...data.corpus.rows import read_sound
    from ...data.listening.phonemes import row_phonemes
    from ..codec_round_trip import codec_round_trip
    from ..judges.loading import Judges
    from ..metrics.phoneme_error_rate import lyrics_edits
    from ..metrics.reconstruction import reconstruction_scores
    from ..protocol.prompts import corpus_rows

    if options.corpus is None:
        raise ValueError("codecs are scored on songs of a corpus: name its folder with --corpus")
    codec: Any = load_codec(str(folder), device="cpu", dtype=torch.float32)
    rows = corpus_rows(options.corpus, options.split, columns=CODEC_SONGS)[: options.songs]
    parts: Parts = {}
    for column, ending in (("mixture", ""), ("vocal", "_vocal")):
        waveforms = [read_sound(row, column) for row in rows]
        decoded = codec_round_trip(codec, waveforms)
        found = reconstruction_scores(waveforms, decoded, codec.config.sample_rate)
        for name, values in found.items():
            parts[name + ending] = _pairs(values, np.ones(len(values)))
    if options.judges is not None:
        lyrics = [row_phonemes(row) for row in rows]
        parts["per"] = _pairs(*lyrics_edits(Judges.load(options.judges), decoded, lyrics))
    return parts


def _pairs(above: np.ndarray, below: np.ndarray) -> list[list[float]]:
    return [[float(one), float(other)] for one, other in zip(above, below, strict=True)]


__all__ = ["codec_parts", "generated_parts", "masked_parts", "measured_parts"]
