"""``songgen-hf evaluate settings``: sing some prompts under several settings, and keep the best."""

import argparse
from pathlib import Path

from ..loading import DTYPES
from ..output import CommandResult

COLUMNS = ("per", "per_mixture", "gender", "instrument", "tempo", "fad", "voice_match", "seconds")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf evaluate settings``."""
    parser.add_argument("checkpoint", help="song model: a directory, a Hub id or songgen-mini")
    parser.add_argument("--songs", type=Path, required=True, help="rendered corpus")
    parser.add_argument("--judges", type=Path, required=True, help="folder of trained judges")
    parser.add_argument(
        "--prompts-file",
        type=Path,
        required=True,
        help="of songs that the final evaluation does not sing: `songgen-hf evaluate prompts "
        "SONGS --split validation`",
    )
    parser.add_argument(
        "--settings",
        nargs="+",
        required=True,
        metavar="SETTING",
        help="such as guidance=2,voice=no,temperature=0.9,top_k=50; the checkpoint's own for "
        "what is not named",
    )
    parser.add_argument("--prompts", type=int, default=24, help="of each (default 24)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of each (default 0)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument(
        "--keep-best",
        action="store_true",
        help="write the setting with the lowest phoneme error rate into the checkpoint's "
        "generation_config.json; the checkpoint is a directory",
    )
    add_singing(parser)


def add_singing(parser: argparse.ArgumentParser, *, batch_size: int = 50) -> None:
    """How an evaluation sings: cache, batch, length, device."""
    from ...evaluation.protocol.options import MAX_SECONDS

    parser.add_argument("--cache", type=Path, help="folder of what is sung (default: temporary)")
    parser.add_argument(
        "--batch-size", type=int, default=batch_size, help=f"songs at a time (default {batch_size})"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=MAX_SECONDS, help=f"default {MAX_SECONDS:g}"
    )
    parser.add_argument("--device", default="cpu", help="of the models (default cpu)")
    parser.add_argument(
        "--dtype", default="float32", choices=DTYPES, help="precision (default float32)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not say what has been judged")


def run_settings(arguments: argparse.Namespace) -> CommandResult:
    """Sing, judge, compare and, if asked to, keep the best."""
    import tempfile
    from dataclasses import asdict

    from transformers import GenerationConfig

    from ...checkpoints.embedded import find_checkpoint
    from ...checkpoints.loading import checked_device
    from ...evaluation.protocol.mini import compare_settings
    from ...evaluation.protocol.options import MiniOptions, parse_setting
    from ...files import encode_json, write_files

    checkpoint = find_checkpoint(arguments.checkpoint)
    settings = [parse_setting(text) for text in arguments.settings]
    if arguments.keep_best and not (Path(checkpoint) / "generation_config.json").is_file():
        raise ValueError(
            f"got --keep-best for {checkpoint}, expected a directory with generation_config.json; "
            "leave the flag out and give the setting to `songgen-hf generate`"
        )
    options = MiniOptions(
        checkpoints=(checkpoint,),
        songs=arguments.songs,
        judges=arguments.judges,
        cache=arguments.cache or Path(tempfile.gettempdir()) / "songgen-hf-evaluation",
        prompts_file=arguments.prompts_file,
        prompts=arguments.prompts,
        row_seeds=tuple(arguments.seeds),
        batch_size=arguments.batch_size,
        max_seconds=arguments.max_seconds,
        device=str(checked_device(arguments.device)),
        dtype=arguments.dtype,
    )
    rows = compare_settings(
        options, settings, tell=(lambda line: None) if arguments.quiet else _tell
    )
    scores = [row.scores.scores() for row in rows]
    best = min(range(len(rows)), key=lambda place: scores[place]["per"])
    facts = {
        "rows": [
            {"setting": asdict(setting), "scores": found}
            for setting, found in zip(settings, scores, strict=True)
        ],
        "best": asdict(settings[best]),
    }
    if arguments.keep_best:
        config = GenerationConfig.from_pretrained(checkpoint)
        chosen = {k: v for k, v in settings[best].generation.items() if k != "do_sample"}
        config.update(do_sample=True, **chosen)
        config.save_pretrained(checkpoint)
    if arguments.out is not None:
        write_files({arguments.out: encode_json(facts)})
    lines = ["| setting | " + " | ".join(COLUMNS) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for place, (row, found) in enumerate(zip(rows, scores, strict=True)):
        values = " | ".join(f"{found[name]:.3f}" if name in found else "" for name in COLUMNS)
        lines.append(f"| {row.setting}{' (best)' if place == best else ''} | {values} |")
    return CommandResult(facts, "\n".join(lines))


def _tell(line: str) -> None:
    print(line, flush=True)


__all__ = ["add_settings", "add_singing", "run_settings"]
