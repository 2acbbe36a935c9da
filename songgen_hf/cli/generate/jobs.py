"""``songgen-hf generate --jobs``: many songs from a file of JSON lines."""

import dataclasses
import functools
from typing import Any

from ...files import SOUND_FORMATS
from ..flags import flag_of
from ..output import EXIT_DONE, EXIT_FAILED, CommandResult
from .options import GenerateOptions

SHARED = (
    "jobs batch_size out model mode revision device dtype quantize threads adapter progress seed "
    "language seconds max_seconds min_seconds separate_voice guidance_scale guidance_schedule "
    "guidance_interval temperature top_k top_p greedy check_tracks loudness stems raw compile "
    "steps reveal schedule"
).split()
"""Options that apply to all jobs."""
MODEL = ("model", "mode", "revision", "adapters", "dtype")
LARGEST_BATCH = {"cpu": 16, "cuda": 64}
USUAL_SECONDS, USUAL_CONDITIONS = 30.0, 512


def check_jobs(options: GenerateOptions) -> None:
    """Refuse options that belong in the lines of the jobs, or to one song.

    Raises:
        ValueError: for such an option, or a batch size below 1.
    """
    for field in dataclasses.fields(options):
        if field.name not in SHARED and getattr(options, field.name) != field.default:
            name = "a text" if field.name == "text" else flag_of(field.name)
            from ...pipelines.song_jobs import JOB_KEYS

            raise ValueError(
                f"{name} was given with --jobs: each line of the jobs says what is sung, with the "
                f"keys {', '.join(JOB_KEYS)}"
            )
    if str(options.out) == "-":
        raise ValueError("--jobs writes many files: got --out -, expected a folder")
    if options.out.suffix in SOUND_FORMATS:
        raise ValueError(f"--jobs writes many files: got --out {options.out}, expected a folder")
    if options.batch_size is not None and options.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1: got {options.batch_size}")


def run_jobs(options: GenerateOptions, pipeline: Any, settings: dict[str, Any]) -> CommandResult:
    """Generate the songs of a file of jobs."""
    from tqdm.auto import tqdm

    from ...pipelines.song_jobs import SongJobs, generate_jobs, read_jobs

    assert options.jobs is not None
    given = {
        "language": options.language,
        "separate_voice": options.separate_voice,
        "seconds": options.seconds,
        "max_seconds": options.max_seconds,
        "min_seconds": options.min_seconds,
        "raw": options.raw,
        **({"check_tracks": True} if options.check_tracks else {}),
    }
    jobs = read_jobs(options.jobs)
    quantized = [] if options.quantize is None else [options.quantize]
    function = SongJobs(
        functools.partial(lambda: pipeline),
        options.out,
        first_seed=0 if options.seed is None else options.seed,
        inputs=options.jobs.parent,
        loudness=options.loudness,
        stems=options.stems,
        settings={**given, **settings, "progress": False},
        version=" ".join([*(str(getattr(options, name)) for name in MODEL), *quantized]),
    )
    batch_size = options.batch_size or automatic_batch_size(
        pipeline, options.seconds or options.max_seconds or USUAL_SECONDS, settings
    )
    with tqdm(total=len(jobs), desc="songs", disable=not options.shows_progress) as bar:
        results = generate_jobs(
            jobs,
            function,
            batch_size=batch_size,
            report=lambda done, _: bar.update(done - bar.n),
        )
    failed = [result for result in results if "error" in result]
    lines = [f"line {result['line']}: {result['error']}" for result in failed]
    lines.append(f"{len(results) - len(failed)} of {len(results)} songs are in {options.out}")
    facts = {"jobs": results, "failed": len(failed), "batch_size": batch_size}
    return CommandResult(facts, "\n".join(lines), EXIT_FAILED if failed else EXIT_DONE)


def automatic_batch_size(pipeline: Any, seconds: float, settings: dict[str, Any]) -> int:
    """Return how many songs fit in half of the free memory, from 1 to ``LARGEST_BATCH``.

    Args:
        pipeline: the pipeline.
        seconds: length of the songs.
        settings: arguments of the pipeline.
    """
    from ..doctor.machine import memory
    from ..footprint import DTYPES, cache_bytes

    device = pipeline.device
    largest = LARGEST_BATCH.get(device.type, 1)
    if device.type == "cuda":
        import torch

        free: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        free = memory()[0]
    if free is None:
        return 1
    if pipeline.mode == "masked":  # keeps no keys and values; its states are of the same order
        return min(largest, 8)
    dtype = str(pipeline.model.dtype).removeprefix("torch.")
    each = cache_bytes(
        pipeline.model.config,
        seconds,
        guidance=settings.get("guidance_scale", 2.0) != 1.0,
        conditions=USUAL_CONDITIONS,
        dtype=dtype if dtype in DTYPES else "float32",
        on_cpu=device.type == "cpu",
    )
    return int(max(1, min(largest, free // 2 // (2 * each))))  # a growing cache is copied
