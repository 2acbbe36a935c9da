"""Measure the memory of loading a model, of a song and of the codec.

    python benchmarks/memory.py [--preset full] [--formats float32 bfloat16 int8] [--seconds 30]
                                [--compile] [--clips 10 60 600] [--layout reference]
                                [--checkpoint FOLDER]

A model with random weights in float32 is saved as one file, in the layout of the published
checkpoints or of this package, in a temporary folder. Each row is a process of its own. It reads
`/proc/self/status` every few milliseconds: `anon` is memory that only this process has, `file` are
pages of mapped files, libraries and weights, which the system takes back when it needs memory. A
peak has both at the largest sum that was seen, and as its sum the one that the system counted.

- `load`: the pipeline with the weights in that format, after the libraries have been imported.
- `song`: one song of that many seconds from text, lyrics and a voice, conditions and decoding of
  the codec included, and how long it took. Its peak contains that of loading; with `--compile`
  its steps are compiled, and a song of a second, which is measured apart, compiles them first.
- `encode`, `decode`: the codec of the model in float32, with a clip of that many seconds.

Linux only. The last line of the output is JSON.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
INTERVAL = 0.005
"""Seconds between two looks at the memory."""
SEED = 0
TEXT = "a slow folk song in three four time, female voice, acoustic guitar"
LYRICS = "\n".join(["the river carries what the mountain gave away"] * 4)
MIB = 1024  # the file states kB


def held() -> dict[str, int]:
    """The memory of this process in kB, of its own and of mapped files."""
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    anon, file = (int(fields[name].split()[0]) for name in ("RssAnon", "RssFile"))
    return {"anon": anon, "file": file}


def highest() -> int:
    """The largest memory that this process has ever held, in kB."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


class Watch:
    """Keeps the largest memory of this process while it exists."""

    def __init__(self) -> None:
        self.most = held()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.most = max(self.most, held(), key=lambda one: sum(one.values()))


def save_random_model(folder: Path, preset: str, track_pattern: str, layout: str) -> None:
    """Save a model with uniform random weights and the processor of the mini preset."""
    import torch

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
    from songgen_hf.presets.models import build_config, build_processor

    with torch.device("meta"):
        model = SongGenForConditionalGeneration(build_config(preset, track_pattern))
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-0.02, 0.02, generator=generator)
    model.config.trained = True  # no warning about an untrained model
    model.save_pretrained(
        folder, save_original_format=layout == "reference", max_shard_size="100GB"
    )
    build_processor("mini").save_pretrained(folder)


def sing(folder: str, form: str, seconds: float, compile_steps: bool) -> dict[str, Any]:
    """Load the pipeline and generate a song; return what is held at each stage."""
    import numpy as np

    from songgen_hf.checkpoints.loading import load_pipeline

    stages: dict[str, Any] = {"imported": held()}
    options = {"quantization": form} if form == "int8" else {"dtype": form}
    with Watch() as watch:
        start = time.perf_counter()
        pipe = load_pipeline(folder, device="cpu", **options)
        stages["load_seconds"] = round(time.perf_counter() - start, 2)
        stages["loaded"] = held()
        stages["load_peak"], stages["load_highest"] = watch.most, highest()
        stages["weights"] = sum(
            weight.nbytes for weight in {**dict(pipe.model.named_parameters())}.values()
        )
        if seconds:
            rate = pipe.model.config.voice_sampling_rate
            voice = np.random.default_rng(SEED).normal(0, 0.1, 3 * rate).astype(np.float32)
            settings = {"reference_voice": (voice, rate), "seed": SEED, "compile": compile_steps}
            if compile_steps:
                start = time.perf_counter()
                pipe(TEXT, LYRICS, seconds=1.0, **settings)
                stages["compile_seconds"] = round(time.perf_counter() - start, 1)
            start = time.perf_counter()
            song = pipe(TEXT, LYRICS, seconds=seconds, **settings)
            stages["song_seconds"] = round(time.perf_counter() - start, 1)
            stages["audio_seconds"] = song["audio"].shape[-1] / song["sampling_rate"]
            stages["after"] = held()
    return {**stages, "peak": watch.most, "highest": highest()}


def run_codec(folder: str, direction: str, seconds: float) -> dict[str, Any]:
    """Encode or decode a clip with the codec of the model in float32."""
    import torch

    from songgen_hf.checkpoints.loading import load_codec

    codec = load_codec(folder, device="cpu", dtype="float32")
    generator = torch.Generator().manual_seed(SEED)
    stages: dict[str, Any] = {"loaded": held()}
    with torch.inference_mode(), Watch() as watch:
        start = time.perf_counter()
        if direction == "encode":
            samples = round(seconds * codec.config.sampling_rate)
            codec.encode(0.1 * torch.randn(1, 1, samples, generator=generator))
        else:
            shape = (1, codec.config.num_quantizers, round(seconds * codec.config.frame_rate))
            codes = torch.randint(0, codec.config.codebook_size, shape, generator=generator)
            codec.decode(codes)
        stages["codec_seconds"] = round(time.perf_counter() - start, 2)
    return {**stages, "peak": watch.most, "highest": highest()}


def measured(arguments: argparse.Namespace, measure: str, seconds: float, form: str) -> Any:
    """Run a measurement in a process of its own."""
    command = [sys.executable, __file__, "--checkpoint", str(arguments.checkpoint)]
    command += ["--threads", str(arguments.threads), "--measure", measure]
    command += ["--seconds", str(seconds), "--formats", form]
    command += ["--compile"] if arguments.compile else []
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all measurements, and print each when it is there."""
    rows: dict[str, Any] = {}
    print(f"{'MiB':<22}{'anon':>8}{'file':>8}{'sum':>8}", flush=True)

    def show(name: str, memory: dict[str, int], total: int | None = None) -> None:
        total = total or sum(memory.values())
        numbers = "".join(f"{number / MIB:>8.0f}" for number in (*memory.values(), total))
        print(f"{name:<22}{numbers}", flush=True)

    for form in arguments.formats:
        found = rows[form] = measured(arguments, "song", arguments.seconds, form)
        show(f"{form}, loaded", found["loaded"])
        show(f"{form}, load, peak", found["load_peak"], found["load_highest"])
        if arguments.seconds:
            show(f"{form}, song, peak", found["peak"], found["highest"])
            show(f"{form}, after", found["after"])
            print(f"{form}, {found['audio_seconds']:.1f} s of song in {found['song_seconds']} s")
    for direction in ("encode", "decode"):
        for seconds in arguments.clips:
            name = f"{direction} {seconds:g} s"
            rows[name] = measured(arguments, direction, seconds, "float32")
            show(f"{name}, peak", rows[name]["peak"], rows[name]["highest"])
    return rows


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="full", help="sizes of the model")
    parser.add_argument("--track-pattern", default="mixed_pro")
    parser.add_argument("--formats", nargs="*", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--seconds", type=float, default=30.0, help="of the song; 0 for none")
    parser.add_argument("--compile", action="store_true", help="compile the steps of the song")
    parser.add_argument("--clips", nargs="*", type=float, default=[10.0, 60.0, 600.0])
    parser.add_argument("--layout", choices=("reference", "own"), default="reference")
    parser.add_argument("--checkpoint", type=Path, help="folder of a model, in place of a new one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", choices=("save", "song", "encode", "decode"), help="one row")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    args = parse_arguments(arguments)
    if not STATUS.is_file():
        sys.exit("benchmarks/memory.py reads /proc/self/status, which only Linux has")
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    if args.measure == "save":
        save_random_model(args.checkpoint, args.preset, args.track_pattern, args.layout)
        return {}
    if args.measure is not None:
        folder, form = str(args.checkpoint), args.formats[0]
        if args.measure == "song":
            result = sing(folder, form, args.seconds, args.compile)
        else:
            result = run_codec(folder, args.measure, args.seconds)
        print(json.dumps(result))
        return result
    with tempfile.TemporaryDirectory() as temporary:
        if args.checkpoint is None:
            args.checkpoint = Path(temporary)
            sizes = ["--preset", args.preset, "--track-pattern", args.track_pattern]
            command = [sys.executable, __file__, "--measure", "save", "--checkpoint", temporary]
            subprocess.run([*command, *sizes, "--layout", args.layout], check=True)
        rows = measure_all(args)
    result = {
        "kb": rows,
        "preset": args.preset,
        "layout": args.layout,
        "batch": 1,
        "threads": args.threads,
        "seed": SEED,
        "device": platform.processor() or platform.machine(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
