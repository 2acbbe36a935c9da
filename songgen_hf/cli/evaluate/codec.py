"""``songgen-hf evaluate codec``: codecs for every number of codebooks, and the part of a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...evaluation.codecs.options import CodecsOptions
from ...evaluation.protocol.options import CodecOptions
from ..flags import option
from ..output import CommandResult
from .report_flags import ReportFlags, log_to

_REPORT = (
    "part of a report",
    "Without positional arguments, one codec and a baseline become a part of the report of "
    "songgen-mini.",
)


@dataclass(frozen=True, kw_only=True)
class CodecFlags(ReportFlags):
    """Flags of ``songgen-hf evaluate codec``."""

    codecs: tuple[str, ...] = option(
        (),
        "codecs, or song models with a codec, and then the folder of songs: a rendered corpus, or "
        "sound files, which have no phoneme error rate and no ABX",
        positional=True,
        nargs="*",
        metavar="CODEC ... SONGS",
    )
    codebooks: tuple[int, ...] = option(
        CodecsOptions.codebooks, "numbers of codebooks to decode from"
    )
    protocol: Literal["xcodec"] | None = option(
        None, "published protocol: its numbers of codebooks, and its figures beside these"
    )
    split: str = option(CodecsOptions.split, "split of the corpus")
    recognizer: str = option(CodecsOptions.recognizer, "phoneme recognizer of the corpus")
    abx: bool = option(True, "no ABX")
    abx_phones: int = option(
        CodecsOptions.abx_phones, "phones of one phoneme, context and singer in ABX"
    )
    visqol: bool = option(True, "no ViSQOL where visqol-python is installed")
    draws: int = option(CodecsOptions.draws, "draws of the bootstrap")
    max_songs: int = option(CodecsOptions.max_songs, "test songs")
    seed: int = option(CodecsOptions.seed, "seed of all draws")
    device: str = option(CodecsOptions.device, "device of the codecs")
    model: str | None = option(
        None, "codec, or song model with a codec (default: that of songgen-mini)", group=_REPORT
    )
    baseline: str | None = option(None, "another codec to compare with", group=_REPORT)
    revision: str | None = option(None, "branch, tag or commit of a Hub checkpoint", group=_REPORT)
    songs: Path | None = option(None, "folder of a rendered corpus", group=_REPORT)
    judges: Path | None = option(None, "folder of trained judges", group=_REPORT)
    probe_songs: int = option(
        CodecOptions.probe_songs, "training songs of the phoneme probe", group=_REPORT
    )


def run_codec(flags: CodecFlags, command: str) -> CommandResult:
    """Measure codecs and write their card, or evaluate one and write its part of the report."""
    if not flags.codecs:
        return _run_report(flags, command)
    from ...evaluation.codecs.card import card_markdown, make_card, write_card
    from ...evaluation.codecs.measuring import measure_codecs
    from ...evaluation.codecs.songs import read_codec_songs

    *models, folder = flags.codecs
    if not models or flags.model or flags.baseline or flags.songs or flags.judges or flags.page:
        raise ValueError(
            "expected CODEC ... SONGS, or --model, --songs and --judges for the part of a report: "
            f"got {len(flags.codecs)} positional arguments"
        )
    shared = ("codebooks", "protocol", "split", "max_songs", "recognizer", "abx", "abx_phones")
    names = (*shared, "visqol", "seed", "draws", "device")
    options = CodecsOptions(
        models=tuple(models), songs=Path(folder), **{name: getattr(flags, name) for name in names}
    )
    songs = read_codec_songs(options)
    card = make_card(measure_codecs(options, songs), songs, options, command=command)
    written = write_card(flags.out, card)
    return CommandResult({"written": written, **card}, card_markdown(card).rstrip())


def _run_report(flags: CodecFlags, command: str) -> CommandResult:
    from ...checkpoints.loading import load_codec
    from ...evaluation.protocol.codec_report import evaluate_codecs
    from ...evaluation.protocol.report import write_report

    if flags.songs is None or flags.judges is None:
        raise ValueError(
            "expected codecs and a folder of songs (CODEC ... SONGS), or --songs and --judges for "
            "the part of a report"
        )
    options = CodecOptions(
        songs=flags.songs,
        judges=flags.judges,
        max_songs=flags.max_songs,
        probe_songs=flags.probe_songs,
        seed=flags.seed,
    )
    named = {"codec": flags.model}
    if flags.baseline is not None:
        named["baseline"] = flags.baseline
    codecs = {
        name: load_codec(model, revision=flags.revision, device=flags.device, dtype="float32")
        for name, model in named.items()
    }
    found = evaluate_codecs(codecs, options, log=log_to(quiet=False))
    write_report(flags.out, {"codec": {"command": command, **found}}, pages=flags.page, keep=True)
    return CommandResult(
        {"report": flags.out, "codec": found},
        f"{flags.out}: codec evaluated on {found['songs']} songs",
    )
