"""Runs an experiment: trains each variant with each seed, scores it, and compares the variants.

The folder of a training is named by its options, so an experiment that is run again repeats no
finished training, a killed one goes on at its last checkpoint, and experiments share trainings.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...data.packed import is_packed
from ...data.tables import contents_digest, load_rows, source_digest
from ...files import encode_json, new_directory, write_files
from ...modeling.lyrics_normalization import normalize_lyrics
from ...presets.tokenizers import learn_lyrics_tokenizer
from ...training.kinds import options_of, train
from ...training.option_parsing import assignments, make_options, resolved_values
from ...training.options import FREE_ON_RESUME
from .definition import Experiment, read_experiment
from .measures import measured_parts
from .options import ExperimentOptions
from .results import describe, write_results

logger = logging.getLogger(__name__)

TRAINED_FILE = "trained.json"
SOURCES = {"codec", "dataset", "model", "preset", "voice_encoder"}
"""Options that a resumed run may name differently, but that decide what is trained."""
BUDGET = {
    "max_steps": "steps",
    "steps": "steps",
    "per_device_train_batch_size": "songs a step",
    "batch_size": "crops a step",
    "learning_rate": "learning rate",
}

Log = Callable[[str], None]


def run_experiment(options: ExperimentOptions, *, log: Log = logger.info) -> dict[str, Any]:
    """Run what is missing of an experiment, and write its results.

    Seeds come one after the other, so that all variants can be compared after the first of them;
    the results are written after every training.

    Args:
        options: the experiment and its data.
        log: called with each progress line.
    Returns:
        The report.
    Raises:
        ValueError, OSError: if the definition, the options, the data or a page cannot be used.
    """
    experiment = read_experiment(options.name or "")
    names = list(options.variants or experiment.variants)
    for name in names:
        if name not in experiment.variants:
            raise ValueError(
                f"{experiment.name} has no variant {name!r}: expected some of "
                f"{', '.join(experiment.variants)}"
            )
    if options.page is not None:
        options.page.read_text(encoding="utf-8")  # an error before the trainings
    changes = assignments(options.changes, "--set")
    if options.dataset is not None:
        changes["data" if experiment.kind == "codec" else "dataset"] = options.dataset
    scores: dict[str, dict[int, Any]] = {name: {} for name in names}
    report: dict[str, Any] = {}
    number, total = 0, len(names) * len(options.seeds)
    for seed in options.seeds:
        for name in names:
            number += 1
            run = VariantRun(experiment, name, seed, changes, options, log)
            log(f"[{number}/{total}] {experiment.name}: {name}, seed {seed}: {run.state()}")
            scores[name][seed] = run.scores()
            finished = {key: found for key, found in scores.items() if found}
            report = describe(experiment, finished, run.budget())
            pages = [] if options.page is None else [options.page]
            write_results(report, options.output / f"{experiment.name}.json", pages)
    return report


class VariantRun:
    """The training of one variant with one seed, and its scores.

    Args:
        experiment: the experiment.
        name: the variant.
        seed: seed of the training.
        changes: options of every training that the caller sets.
        options: where the run is, and how it is scored.
        log: called with each progress line.
    """

    def __init__(
        self,
        experiment: Experiment,
        name: str,
        seed: int,
        changes: Mapping[str, Any],
        options: ExperimentOptions,
        log: Log,
    ):
        self.experiment, self.name, self.seed, self.options = experiment, name, seed, options
        self.log = log
        self.variant = experiment.variants[name]
        trained = self.variant.model_of or name
        self.values = experiment.training_values(trained, changes) | {"seed": seed}
        if pieces := experiment.variants[trained].lyrics_pieces:
            folder = learned_pieces(str(self.values.get("dataset")), pieces, options.output)
            self.values["lyrics_tokenizer"] = str(folder)
        self.folder = options.output / "runs" / self._key()
        self.values |= experiment.output_values(self.folder)

    def _key(self) -> str:
        """A name that follows from the options that decide what is trained.

        Options with their default are left out, so that names stay when options are added.
        """
        place = self.experiment.output_values("unused")
        made = self._made(place)
        codec = self.experiment.kind == "codec"
        free = (made[-1].free_on_resume() if codec else FREE_ON_RESUME) - SOURCES
        usual = resolved_values(make_options(options_of(self.experiment.kind), place))
        kept = {
            name: value
            for name, value in resolved_values(made).items()
            if name not in free and value != usual.get(name)
        }
        content = json.dumps([self.experiment.kind, kept], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def _made(self, more: Mapping[str, Any]) -> tuple[Any, ...]:
        kinds = options_of(self.experiment.kind)
        program = f"songgen-hf experiment {self.experiment.name}"
        return make_options(kinds, {**self.values, **more}, program=program)

    @property
    def scores_file(self) -> Path:
        """Where the scores of the variant are kept, which depend on how it is scored."""
        options = self.options
        parts: list[Any] = [options.split, options.songs]
        if options.judges is not None:
            parts += [str(options.prompts_file), options.prompts, options.max_seconds]
            files = (path for path in options.judges.rglob("*") if path.is_file())
            parts += [self.variant.setting, contents_digest(files)]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
        return self.folder / f"scores-{digest}.json"

    def state(self) -> str:
        """What is left to do, in words."""
        if self.scores_file.is_file():
            return "finished"
        return "trained" if (self.folder / TRAINED_FILE).is_file() else "to train"

    def budget(self) -> dict[str, Any]:
        """What the trainings of all variants have in common."""
        found = {text: self.values[name] for name, text in BUDGET.items() if name in self.values}
        return {**found, "songs scored": f"up to {self.options.songs}"}

    def scores(self) -> dict[str, Any]:
        """The scores; what is missing is trained and computed first."""
        if not self.scores_file.is_file():
            made = self._made({})
            if not (self.folder / TRAINED_FILE).is_file():
                self._train(made)
            found = measured_parts(
                self.experiment.kind,
                self.folder,
                made,
                self.variant.setting,
                self.options,
                self.log,
            )
            write_files({self.scores_file: encode_json(found)})
        return dict(json.loads(self.scores_file.read_text(encoding="utf-8")))

    def _train(self, made: tuple[Any, ...]) -> None:
        train(self.experiment.kind, made)
        facts = {"experiment": self.experiment.name, "variant": self.name, "seed": self.seed}
        write_files({self.folder / TRAINED_FILE: encode_json(facts)})
        for checkpoint in self.folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)  # the model itself stays


def learned_pieces(dataset: str, size: int, output: Path) -> Path:
    """The folder of a lyrics tokenizer learned from the training songs; it is learned once.

    Args:
        dataset: codes parquet.
        size: number of pieces.
        output: where the folder is.
    Raises:
        ValueError: for packed codes, which have no text.
    """
    if is_packed(dataset):
        raise ValueError(
            f"{dataset} holds packed codes, whose lyrics are ids, expected the codes parquet that "
            "they were packed from: pieces of lyrics are learned from text"
        )
    digest = source_digest(dataset) or hashlib.sha256(dataset.encode()).hexdigest()
    folder = output / f"lyrics-pieces-{size}-{digest[:8]}"
    if not folder.is_dir():
        songs = load_rows(dataset, "train").select_columns(["lyrics"])
        texts = [normalize_lyrics(song["lyrics"] or "", "en") for song in songs]
        with new_directory(folder) as directory:
            learn_lyrics_tokenizer(texts, size).save_pretrained(directory)
    return folder


__all__ = ["VariantRun", "learned_pieces", "run_experiment"]
