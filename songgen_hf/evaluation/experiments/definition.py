"""Reads the definition of an experiment: its variants, what they share, and the paper's claims.

    title: Token patterns
    mirrors: SongGen (arXiv 2502.13128), table of the track patterns
    recipe: song-mini                    # options of `songgen-hf train` by name
    train: {max_steps: 1200}             # further options of every training
    variants:
      mixed: {track_pattern: mixed}      # options of one training
      mixed_pro: {track_pattern: mixed_pro}
    claims:
      - {better: mixed_pro, worse: mixed, metric: sung_loss, paper: PER 40.58 and 51.84 %}

A variant with ``model_of`` is not trained: it samples from the model of another variant, with its
own ``setting``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...training.option_parsing import RECIPES_FOLDER, read_yaml

FOLDER = Path(__file__).parent / "definitions"
KINDS = ("lm", "masked", "codec")
LOWER_IS_BETTER = {
    "loss": True,
    "sung_loss": True,
    "sung_loss_0": True,
    "masked_loss": True,
    "per": True,
    "mel_distance": True,
    "mel_distance_vocal": True,
    "lyrics_gain": False,
    "attended": False,
    "voice_match": False,
}
"""Metrics of claims -> whether a lower value is better."""


@dataclass(frozen=True)
class Claim:
    """A direction that a paper reports.

    Args:
        better, worse: names of variants.
        metric: a name of ``LOWER_IS_BETTER``.
        paper: the paper's numbers, as text.
    """

    better: str
    worse: str
    metric: str
    paper: str

    @property
    def text(self) -> str:
        """The claim in words."""
        return f"{self.better} is better than {self.worse}"


@dataclass(frozen=True)
class Variant:
    """One variant of an experiment.

    Args:
        train: options of its training, beside those of the experiment.
        setting: how songs are sampled, in the form of ``songgen-hf evaluate settings``.
        model_of: variant whose trained model is used.
        lyrics_pieces: number of pieces of a lyrics tokenizer that is learned from the dataset.
    """

    train: Mapping[str, Any] = field(default_factory=dict)
    setting: str = ""
    model_of: str | None = None
    lyrics_pieces: int | None = None


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment as its YAML file defines it.

    Args:
        name: name of the file without its ending.
        title: what is compared.
        mirrors: table of a paper.
        variants: by name.
        claims: directions that the paper reports.
        kind: kind of training: lm, masked or codec.
        recipe: recipe of the package that every training starts from.
        train: options of every training.
        remarks: what a reader of the results has to know.
    """

    name: str
    title: str
    mirrors: str
    variants: Mapping[str, Variant]
    claims: tuple[Claim, ...] = ()
    kind: str = "lm"
    recipe: str | None = None
    train: Mapping[str, Any] = field(default_factory=dict)
    remarks: str = ""

    def training_values(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the training of a variant.

        Later sources win: the recipe, the experiment, ``changes``, the variant. Lists of
        ``config_overrides`` are joined.

        Args:
            name: the variant.
            changes: options that the caller sets for every training.
        """
        recipe = read_yaml(RECIPES_FOLDER / f"{self.recipe}.yaml") if self.recipe else {}
        sources = (recipe, self.train, changes, self.variants[name].train)
        values = {key: value for source in sources for key, value in source.items()}
        overrides = [text for source in sources for text in source.get("config_overrides", ())]
        return values | ({"config_overrides": overrides} if overrides else {})

    def output_values(self, folder: Path | str) -> dict[str, Any]:
        """The options of a training that is written to a folder, and resumed there."""
        if self.kind == "codec":
            return {"out": str(folder)}
        return {"output_dir": str(folder), "resume_from_checkpoint": "auto"}


VARIANT_KEYS = {entry.name for entry in fields(Variant)}


def experiment_names() -> list[str]:
    """Names of the experiments of the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_experiment(name: str) -> Experiment:
    """Read an experiment of the package, or a YAML file.

    Raises:
        ValueError: for an unknown name, key, variant or metric.
        OSError: if the file cannot be read.
    """
    path = FOLDER / f"{name}.yaml"
    if name not in experiment_names():
        path = Path(name)
        if not path.is_file():
            raise ValueError(
                f"unknown experiment: got {name!r}, expected one of "
                f"{', '.join(experiment_names())}, or a YAML file"
            )
    values = read_yaml(path)
    try:
        variants = {
            key: Variant(**own) if VARIANT_KEYS & own.keys() else Variant(own)
            for key, own in values.pop("variants").items()
        }
        claims = tuple(Claim(**claim) for claim in values.pop("claims", ()))
        found = Experiment(name=path.stem, variants=variants, claims=claims, **values)
    except (AttributeError, KeyError, TypeError) as error:
        known = ", ".join(entry.name for entry in fields(Experiment) if entry.name != "name")
        raise ValueError(
            f"{path} is not an experiment: {error}; expected the keys {known}"
        ) from error
    _check(found, path)
    return found


def _check(experiment: Experiment, path: Path) -> None:
    names = [variant.model_of for variant in experiment.variants.values() if variant.model_of]
    names += [name for claim in experiment.claims for name in (claim.better, claim.worse)]
    checks = {
        "variant": (names, tuple(experiment.variants)),
        "metric": ([claim.metric for claim in experiment.claims], tuple(LOWER_IS_BETTER)),
        "kind": ([experiment.kind], KINDS),
    }
    for what, (found, known) in checks.items():
        for name in found:
            if name not in known:
                raise ValueError(
                    f"{path}: unknown {what} {name!r}, expected one of {', '.join(known)}"
                )


__all__ = [
    "LOWER_IS_BETTER",
    "Claim",
    "Experiment",
    "Variant",
    "experiment_names",
    "read_experiment",
]
