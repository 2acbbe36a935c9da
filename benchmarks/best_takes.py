"""Measurements of takes that a listener ranks, on songgen-mini, for docs/control.md.

    python benchmarks/best_takes.py best-of --judge RECOGNIZER [--songs FOLDER] [--prompts 30] ...

`best-of`: the phoneme error rate of the take that the listener ranks first, of N takes, and of one
draw (the mean over all takes), both by a recognizer that did not rank. The songs sing the first
line of the prompts of the evaluation. They are kept in a folder: an interrupted run goes on.

    python benchmarks/best_takes.py by-line --judge RECOGNIZER [--songs FOLDER] [--prompts 12] ...

`by-line`: two lines sung as the best of N whole songs, and as the best of 4 line by line, with as
many sampled seconds: N is the number of takes that comes nearest to those of the lines.

The last line of each measurement is JSON.
"""

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.embedded import RECOGNIZER_NAME
from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.checkpoints.take_listeners import take_listener
from songgen_hf.data.listening.spelling import lyrics_words
from songgen_hf.evaluation.metrics.bootstrap import bootstrap, grouped_ratio
from songgen_hf.evaluation.protocol.prompts import Prompt, read_prompts
from songgen_hf.files import write_files
from songgen_hf.pipelines.best_of import rank_takes

PROMPTS_TOGETHER = 5
SOUNDS = ("audio", "vocal", "accompaniment")


def draw_takes(
    pipe: Any, prompts: list[Prompt], folder: Path, *, takes: int, seconds: float, lines: int = 1
) -> list[list[dict[str, Any]]]:
    """Return the takes of each prompt's first lines, which are generated if the folder lacks them.

    Prompt ``i`` has the seeds from ``takes * i``.
    """
    paths = [folder / f"{prompt.id}.npz" for prompt in prompts]
    missing = [place for place, path in enumerate(paths) if not path.is_file()]
    for first in range(0, len(missing), PROMPTS_TOGETHER):
        places = missing[first : first + PROMPTS_TOGETHER]
        requests = [
            {
                "text": prompts[place].text,
                "lyrics": first_line(prompts[place], lines),
                "seed": takes * place,
            }
            for place in places
        ]
        songs = pipe(
            requests,
            batch_size=len(requests),
            num_return_sequences=takes,
            max_seconds=seconds,
        )
        for place, drawn in zip(places, songs, strict=True):
            buffer = io.BytesIO()
            arrays = {f"{name}{i}": song[name] for i, song in enumerate(drawn) for name in SOUNDS}
            np.savez(buffer, seeds=[song["seed"] for song in drawn], **arrays)
            write_files({paths[place]: buffer.getvalue()})
            print(f"{prompts[place].id}: {takes} takes", flush=True)
    return [_read_takes(path, pipe.model.config.sampling_rate) for path in paths]


def _read_takes(path: Path, rate: int) -> list[dict[str, Any]]:
    with np.load(path) as file:
        return [
            {
                **{name: file[f"{name}{place}"] for name in SOUNDS},
                "sampling_rate": rate,
                "seed": int(seed),
            }
            for place, seed in enumerate(file["seeds"])
        ]


def first_line(prompt: Prompt, lines: int = 1) -> str:
    """The first line of a prompt's lyrics, or several."""
    return "\n".join(prompt.lyrics.splitlines()[:lines])


def in_percent(values: Sequence[float] | np.ndarray, weights: Any = None) -> list[float]:
    """Return the weighted mean of shares [N] with its 95 % bootstrap interval, in percent."""
    statistic, count = grouped_ratio(values, weights)
    interval = bootstrap(statistic, count, seed=0)
    return [round(100 * float(one), 1) for one in (statistic(np.arange(count)), *interval)]


def error_rates(rates: np.ndarray, scores: np.ndarray, lengths: np.ndarray) -> dict[str, Any]:
    """Return the error rates of one draw and of the best take, and their difference.

    Args:
        rates: [prompts, takes], the phoneme error rates by the recognizer that judges.
        scores: [prompts, takes], the scores by which takes are ranked.
        lengths: [prompts], the phonemes of the lyrics.
    Returns:
        ``one_draw``, ``best`` and ``gain`` with 95 % bootstrap intervals over prompts, in percent,
        and ``least``, the rate of the takes that the judge itself would choose.
    """
    best = rates[np.arange(len(rates)), scores.argmax(axis=1)]
    columns = {"one_draw": rates.mean(axis=1), "best": best, "least": rates.min(axis=1)}
    columns["gain"] = columns["one_draw"] - best
    return {name: in_percent(values * lengths, lengths) for name, values in columns.items()}


def best_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what ranking takes changes."""
    pipe = load_pipeline(arguments.model, device="cpu")
    prompts = read_prompts()[: arguments.prompts]
    drawn = draw_takes(
        pipe, prompts, arguments.songs, takes=arguments.best_of, seconds=arguments.seconds
    )
    rates, scores, lengths = [], [], []
    for prompt, takes in zip(prompts, drawn, strict=True):
        request = {"text": prompt.text, "lyrics": first_line(prompt), "language": "en"}
        judge = take_listener(request, str(arguments.judge))
        rates.append([judge(take)["phoneme_error_rate"] for take in takes])
        rank_takes(takes, take_listener(request, arguments.rank_by))
        scores.append([take["score"] for take in takes])
        lengths.append(sum(len(word.phonemes) for word in lyrics_words(first_line(prompt))))
    found = error_rates(np.array(rates), np.array(scores), np.array(lengths))
    for name, (value, low, high) in found.items():
        print(f"{name:<9} {value:5.1f} % ({low:.1f} to {high:.1f})")
    return {
        "model": weights_digest(pipe.model),
        "rank_by": arguments.rank_by,
        "prompts": len(prompts),
        "takes": arguments.best_of,
        "seconds": arguments.seconds,
        **found,
    }


WHOLE_TAKES = 8
"""Whole songs that are drawn of each prompt, to have as many sampled seconds as line by line."""


def by_line(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the best of whole takes with the best of takes of each line."""
    pipe = load_pipeline(arguments.model, device="cpu")
    prompts = read_prompts()[: arguments.prompts]
    length = {"seconds": arguments.seconds, "lines": 2}
    drawn = draw_takes(pipe, prompts, arguments.songs, takes=WHOLE_TAKES, **length)
    rates, scores, lengths, lined, sampled = [], [], [], [], []
    for place, (prompt, takes) in enumerate(zip(prompts, drawn, strict=True)):
        request = {"text": prompt.text, "lyrics": first_line(prompt, 2), "language": "en"}
        judge = take_listener(request, str(arguments.judge))
        rates.append([judge(take)["phoneme_error_rate"] for take in takes])
        rank_takes(takes, take_listener(request, arguments.rank_by))
        scores.append([take["score"] for take in takes])
        lengths.append(sum(len(word.phonemes) for word in lyrics_words(request["lyrics"])))
        song = _line_by_line(pipe, request, 10**6 * (place + 1), arguments)
        lined.append(judge(song)["phoneme_error_rate"])
        whole = np.mean([take["audio"].shape[-1] / take["sampling_rate"] for take in takes])
        sampled.append((song["sampled"], float(whole)))
        print(prompt.id, np.round(rates[-1], 2), round(lined[-1], 2), sampled[-1], flush=True)
    (of_lines, of_whole) = np.mean(sampled, axis=0)
    count = int(np.clip(round(of_lines / of_whole), 1, WHOLE_TAKES))
    known, ranks = np.array(rates)[:, :count], np.array(scores)[:, :count]
    best = known[np.arange(len(known)), ranks.argmax(axis=1)]
    columns = {"one_draw": np.mean(rates, axis=1), "whole": best, "by_line": np.array(lined)}
    columns["gain"] = best - columns["by_line"]
    found: dict[str, Any] = {}
    weights = np.array(lengths, dtype=float)
    for name, values in columns.items():
        found[name] = in_percent(values * weights, weights)
        print(f"{name:<9} {found[name][0]:5.1f} % ({found[name][1]} to {found[name][2]})")
    seconds = {"by_line": round(of_lines, 1), "whole": round(count * of_whole, 1)}
    facts = {"prompts": len(prompts), "takes": count, "sampled_seconds": seconds}
    return {"model": weights_digest(pipe.model), "rank_by": arguments.rank_by, **facts, **found}


def _line_by_line(
    pipe: Any, request: dict[str, Any], seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """A song line by line with its ``sampled`` seconds, kept in the folder of the songs."""
    path = arguments.songs / f"by-line-{seed}.npz"
    if not path.is_file():
        sampled = 0.0
        decode = pipe.model.decode_codes

        def counted(codes: Any, **options: Any) -> Any:
            nonlocal sampled
            sampled += codes.shape[0] * codes.shape[-1] / pipe.model.config.frame_rate
            return decode(codes, **options)

        pipe.model.decode_codes = counted
        try:
            own = {"max_seconds": arguments.seconds, "seed": seed, "rank_by": arguments.rank_by}
            song = pipe(request, best_of=arguments.best_of, best_of_by="line", **own)
        finally:
            del pipe.model.decode_codes
        lines = song["line_takes"]
        known = sum(line["start"] for line in lines) * arguments.best_of
        buffer = io.BytesIO()
        sounds = {name: song[name] for name in SOUNDS}
        np.savez(buffer, sampled=sampled - known, seeds=song["seed"], **sounds)
        write_files({path: buffer.getvalue()})
    with np.load(path) as file:
        song = {name: file[name] for name in SOUNDS}
        return {**song, "sampled": float(file["sampled"]), "sampling_rate": pipe.sampling_rate}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    for name, measure, text, prompts, takes, seconds in (
        ("best-of", best_of, "phoneme error rates of ranked takes", 30, "a prompt", 5.0),
        ("by-line", by_line, "best of N of whole songs and line by line", 12, "a line", 9.0),
    ):
        command = commands.add_parser(
            name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.set_defaults(measure=measure)
        command.add_argument("--model", default="songgen-mini/interleaving_A_V", help="its name")
        command.add_argument("--judge", type=Path, required=True, help="folder of a recognizer")
        command.add_argument("--rank-by", default=RECOGNIZER_NAME, help="recognizer that ranks")
        command.add_argument("--songs", type=Path, default=Path(name), help="folder of the songs")
        command.add_argument("--prompts", type=int, default=prompts, help="number of prompts")
        command.add_argument("--best-of", type=int, default=4, help=f"takes of {takes}")
        command.add_argument("--seconds", type=float, default=seconds, help="longest song")
    arguments = parser.parse_args()
    print(json.dumps(arguments.measure(arguments)))


if __name__ == "__main__":
    main()
