"""What has to be known of a GPU, in one table: the tests, generation, masked passes, training.

    python benchmarks/gpu.py [--tests] [--report gpu.json] [--preset mini] [--minutes 5]
    python benchmarks/gpu.py --smoke          tiny sizes on the CPU, to see that it runs

`make gpu` runs it with the tests marked gpu. It needs torch, transformers and accelerate; rows of
packages that are missing are left out and said so. Weights are random, since speed does not depend
on them. Every row is printed when it is measured; rows beyond the time are left out. The last line
is JSON.

Columns: milliseconds of a decoder step, pass or optimizer step; songs a second; real-time factor
(seconds of computing for a second of song, all songs of the batch together); peak gigabytes.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainerCallback

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration  # noqa: E402
from songgen_hf.presets.models import PRESETS, build_config, build_processor  # noqa: E402
from tests.tools.packed_cases import write_packed  # noqa: E402

PATTERN = "interleaving_A_V"
TEXT = "a slow folk song in three four time, female voice, acoustic guitar"
LYRICS = "\n".join(["the river carries what the mountain gave away"] * 4)
COLUMNS = ("what", "batch", "ms", "songs/s", "rtf", "GB")
WARM_UP = 3  # optimizer steps before time is taken
TEST_SECONDS = 300


class Report:
    """The rows so far, which are printed when they come.

    Args:
        device: device that is measured.
        seconds: time after which no further row is started.
    """

    def __init__(self, device: torch.device, seconds: float):
        self.device, self.end = device, time.monotonic() + seconds
        self.rows: list[dict[str, Any]] = []
        print(("{:<34}" + "{:>11}" * 5).format(*COLUMNS), flush=True)

    def add(self, what: str, batch: int | None, call: Callable[[], dict[str, float]]) -> None:
        """Measure a row; its error becomes part of the table, so that the others are measured."""
        row: dict[str, Any] = {"what": what, "batch": batch}
        if time.monotonic() > self.end:
            row["error"] = "left out: no time"
        else:
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            try:
                row |= call()
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:90]}"
            if self.device.type == "cuda" and "error" not in row:
                row["GB"] = torch.cuda.max_memory_allocated() / 1e9
        self.rows.append(row)
        cells = [row.get(name) for name in COLUMNS[1:]]
        shown = "".join(f"{'' if cell is None else f'{cell:.4g}':>11}" for cell in cells)
        print(f"{what:<34}{row.get('error') or shown}", flush=True)


def synchronized(device: torch.device) -> float:
    """The time after all work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def run_tests(device: torch.device) -> dict[str, float]:
    """Run the tests marked gpu: their number, and the seconds they take."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tests.xml"
        # Warnings of other versions of the libraries are no failures here.
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
        command += ["-o", "filterwarnings=default", "-p", "no:cacheprovider", f"--junitxml={path}"]
        environment = os.environ | {"SONGGEN_TEST_DEVICE": device.type}
        start = time.perf_counter()
        try:
            subprocess.run(command, cwd=ROOT, env=environment, timeout=TEST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return {"errors": 1, "seconds": TEST_SECONDS}
        suite = next(ElementTree.parse(path).getroot().iter("testsuite")).attrib
    counts = {name: int(suite[name]) for name in ("tests", "failures", "errors", "skipped")}
    return {**counts, "seconds": time.perf_counter() - start}


def build_model(args: argparse.Namespace, dtype: torch.dtype) -> Any:
    """A model with the sizes of the preset and random weights, in evaluation mode."""
    torch.manual_seed(0)
    with torch.device(args.device):
        model = SongGenForConditionalGeneration(build_config(args.preset, PATTERN))
    model.config.trained = True  # no warning about an untrained model
    return model.to(dtype).eval()


def generation(model: Any, batch: int, seconds: float, **options: Any) -> dict[str, float]:
    """Generate and decode a batch of songs of that length; the first time warms up."""
    config, device = model.config, model.device
    inputs = build_processor("mini")(text=[TEXT] * batch, lyrics=[LYRICS] * batch)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items() if "voice" not in name}
    frames = max(2, round(seconds * config.frame_rate))
    decoder = config.decoder
    settings = {
        "do_sample": True,
        "seed": list(range(batch)),
        "suppress_tokens": list(range(decoder.codebook_size, decoder.vocab_size)),
        **options,
    }
    model.generate(**inputs, max_new_frames=frames if options else 2, **settings)
    start = synchronized(device)
    codes = model.generate(**inputs, max_new_frames=frames, **settings)
    generated = synchronized(device)
    model.decode_codes(codes)
    end = synchronized(device)
    steps = model.pattern.num_steps(frames) - 1
    return {
        "ms": (generated - start) / steps * 1e3,
        "songs/s": batch / (end - start),
        "rtf": (end - start) / (batch * frames / config.frame_rate),
        "decode_ms": (end - generated) * 1e3,
    }


def masked(model: Any, batch: int, seconds: float, passes: int) -> dict[str, float]:
    """Generate a batch of songs with a masked model of the same sizes."""
    from songgen_hf.modeling.masked.model import MaskedSongModel
    from songgen_hf.pipelines.masked_song import MaskedSongPipeline

    with torch.device(model.device):
        transformer = MaskedSongModel.from_song_model(model, head="softmax").eval()
    for weight in transformer.parameters():  # the table of code vectors stays in float32
        weight.data = weight.data.to(model.dtype)
    pipe = MaskedSongPipeline.from_song_model(model, build_processor("mini"), transformer)
    settings = {"lyrics": [LYRICS] * batch, "seconds": seconds, "progress": False}

    def call(number: int) -> None:
        pipe([TEXT] * batch, **settings, num_inference_steps=number, seed=list(range(batch)))

    call(2)
    start = synchronized(model.device)
    call(passes)
    taken = synchronized(model.device) - start
    return {
        "ms": taken / passes * 1e3,
        "songs/s": batch / taken,
        "rtf": taken / (batch * seconds),
    }


class Clock(TrainerCallback):
    """Notes when the steps after the warm-up begin and end."""

    def __init__(self, device: torch.device):
        self.device, self.times = device, [0.0, 0.0]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step in (WARM_UP, state.max_steps):
            self.times[state.global_step == state.max_steps] = synchronized(self.device)


def training(args: argparse.Namespace, **options: Any) -> dict[str, float]:
    """Train a new model on packed songs, with the loader and the optimizer of real runs."""
    batch = args.train_batch
    from songgen_hf.training.language_model.dataset import SongDataset, read_songs
    from songgen_hf.training.language_model.options import ObjectiveOptions
    from songgen_hf.training.language_model.trainer import SongGenTrainer
    from songgen_hf.training.options import DataOptions, SongGenTrainingArguments

    model, processor = build_model(args, torch.float32), build_processor("mini")
    lengths = [round(args.train_seconds * model.config.frame_rate)] * (2 * batch)
    with tempfile.TemporaryDirectory() as folder:
        words = {"text": TEXT, "lyrics": LYRICS, "voice_seconds": processor.voice_seconds}
        write_packed(Path(folder), model, processor, lengths=lengths, **words)
        songs = SongDataset(read_songs(folder, "train"), model.config, DataOptions())
        trainer = SongGenTrainer(
            model,
            SongGenTrainingArguments(
                output_dir=folder,
                max_steps=WARM_UP + args.train_steps,
                per_device_train_batch_size=batch,
                dataloader_num_workers=args.workers,
                dataloader_persistent_workers=args.workers > 0,
                use_cpu=args.device.type == "cpu",
                save_strategy="no",
                logging_steps=1000,
                disable_tqdm=True,
                **options,
            ),
            processor=processor,
            train_dataset=songs,
            objective=ObjectiveOptions(guided_attention_weight=0.1, frame_label_weight=0.1),
            callbacks=[clock := Clock(args.device)],
        )
        with contextlib.redirect_stdout(sys.stderr):
            trainer.train()
    taken = (clock.times[1] - clock.times[0]) / args.train_steps
    return {"ms": taken * 1e3, "songs/s": batch / taken}


def measure(args: argparse.Namespace, report: Report) -> None:
    """Measure all rows, the most needed ones first."""
    has_diffusers = importlib.util.find_spec("diffusers") is not None
    for name, options in training_modes(args):
        report.add(f"train {name}", args.train_batch, partial(training, args, **options))
    model = build_model(args, args.dtype)
    for batch in args.batches:
        report.add("generate", batch, partial(generation, model, batch, args.seconds))
    if has_diffusers:
        for batch in args.batches:
            call = partial(masked, model, batch, args.seconds, args.passes)
            report.add(f"masked, {args.passes} passes", batch, call)
    else:
        print("masked: left out, diffusers is not installed", flush=True)
    if not args.smoke:
        static = {"cache_implementation": "static"}
        for batch in args.batches[:2]:
            call = partial(generation, model, batch, args.seconds, **static)
            report.add("generate, static and compiled", batch, call)


def training_modes(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """The precisions to train in."""
    yield "bf16", {"bf16": True}
    if not args.smoke:
        yield "float32 (TF32)", {"tf32": True}
        yield "bf16, compiled", {"bf16": True, "torch_compile": True}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and the JSON, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on the CPU")
    parser.add_argument("--tests", action="store_true", help="run the tests marked gpu first")
    parser.add_argument("--report", type=Path, help="JSON file to write")
    parser.add_argument("--preset", default="mini", choices=sorted(PRESETS))
    parser.add_argument("--minutes", type=float, default=5.0, help="start no row after this time")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=5.0, help="length of generated songs")
    parser.add_argument("--passes", type=int, default=16)
    parser.add_argument("--train-batch", type=int, default=128)
    parser.add_argument("--train-seconds", type=float, default=9.0)
    parser.add_argument("--train-steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    args = parser.parse_args(arguments)
    args.device, args.dtype = torch.device("cuda"), torch.bfloat16
    if args.smoke:
        tiny = {"batches": [2], "seconds": 0.1, "passes": 2, "workers": 0, "train_batch": 2}
        tiny |= {"train_seconds": 0.2, "train_steps": 1, "dtype": torch.float32}
        vars(args).update(tiny, device=torch.device("cpu"))
    elif not torch.cuda.is_available():
        print("no CUDA device: `make gpu` needs one; --smoke runs tiny sizes on the CPU")
        return 1
    facts: dict[str, Any] = {
        "device": args.device.type,
        "name": platform.processor(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "preset": args.preset,
        "dtype": str(args.dtype).removeprefix("torch."),
        "seconds": args.seconds,
        "train_seconds": args.train_seconds,
    }
    if args.device.type == "cuda":
        facts["name"] = torch.cuda.get_device_name()
    if args.tests and importlib.util.find_spec("pytest") is None:
        print("tests: left out, pytest is not installed", flush=True)
    elif args.tests:
        facts["tests"] = run_tests(args.device)
        print("tests:", ", ".join(f"{k} {v:.4g}" for k, v in facts["tests"].items()), flush=True)
    report = Report(args.device, args.minutes * 60)
    measure(args, report)
    text = json.dumps(facts | {"rows": report.rows})
    if args.report is not None:
        args.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    tests = facts.get("tests", {})
    broken = [row for row in report.rows if not row.get("error", "left out").startswith("left out")]
    return int(bool(tests.get("failures") or tests.get("errors") or broken))


if __name__ == "__main__":
    sys.exit(main())
