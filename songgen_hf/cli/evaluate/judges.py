"""``songgen-hf evaluate judges`` and ``prompts``: the judges and prompts of the other parts."""

from dataclasses import dataclass
from pathlib import Path

from ...evaluation.judges.options import JudgeTrainingOptions
from ..flags import option
from ..output import CommandResult


@dataclass(frozen=True, kw_only=True)
class JudgesFlags:
    """Flags of ``songgen-hf evaluate judges``."""

    data: str = option(help="parquet files of the songs to train on, a pattern")
    second_data: str | None = option(
        None,
        "parquet files of other songs, to train a second phoneme recognizer of another kind with "
        "another seed",
    )
    validation_data: str | None = option(None, "parquet files of other songs to validate with")
    out: Path = option(help="folder to write; a run in it is continued")
    seed: int = option(JudgeTrainingOptions.seed, "seed of weights, crops and augmentations")
    recognizer_steps: int = option(
        JudgeTrainingOptions.recognizer_steps, "steps of the phoneme recognizer"
    )
    classifier_steps: int = option(
        JudgeTrainingOptions.classifier_steps, "steps of the song classifier"
    )
    codec: str | None = option(
        None, "codec, or song model with a codec, that encodes and decodes some of the songs"
    )
    coded_songs: int = option(JudgeTrainingOptions.coded_songs, "number of those songs")
    bf16: bool = option(True, "no bfloat16 matrix products", flag="--fp32")
    progress: bool = option(True, "show no progress bars", flag="--quiet")


@dataclass(frozen=True, kw_only=True)
class PromptsFlags:
    """Flags of ``songgen-hf evaluate prompts``."""

    songs: Path = option(help="folder of a rendered corpus", positional=True)
    out: Path = option(help="JSON file to write")
    split: str = option("test", "split of the corpus")
    count: int = option(120, "number of prompts")
    seed: int = option(0, "seed of the captions")


def run_judges(flags: JudgesFlags, command: str) -> CommandResult:
    """Train the networks and report their scores on the validation songs."""
    from ...checkpoints.loading import load_codec
    from ...evaluation.judges.training import train_judges
    from ...evaluation.protocol.judge_validation import validate_judges

    codec = None
    if flags.codec is not None:
        codec = load_codec(flags.codec, device="cpu", dtype="float32")
    scores = train_judges(
        flags.data,
        flags.out,
        JudgeTrainingOptions(
            seed=flags.seed,
            recognizer_steps=flags.recognizer_steps,
            classifier_steps=flags.classifier_steps,
            coded_songs=flags.coded_songs,
            bf16=flags.bf16,
        ),
        second_data=flags.second_data,
        validation_data=flags.validation_data,
        validate=validate_judges,
        codec=codec,
        progress=flags.progress,
    )
    lines = [f"  {name:<28} {value:.4g}" for name, value in scores.items()]
    return CommandResult(
        {"judges": flags.out, "scores": scores},
        "\n".join([f"{flags.out}: judges trained", *lines]),
    )


def run_prompts(flags: PromptsFlags, command: str) -> CommandResult:
    """Write prompts made from the songs of a corpus."""
    from ...evaluation.protocol.prompts import corpus_rows, describe_prompts, make_prompts
    from ...files import encode_json, write_files

    prompts = make_prompts(corpus_rows(flags.songs, flags.split), flags.count, seed=flags.seed)
    described = describe_prompts(prompts, split=flags.split, seed=flags.seed)
    write_files({flags.out: encode_json(described)})
    return CommandResult(
        {"prompts": flags.out, "count": len(prompts)}, f"{flags.out}: {len(prompts)} prompts"
    )
