"""Time and forward passes of one song, by a masked and by an autoregressive model in one run.

    python benchmarks/masked_speed.py [--preset full] [--seconds 30] [--passes 28] [--rounds 3]
                                      [--device cuda --dtype bfloat16]

Both pipelines generate a whole song of that length from text, lyrics and a reference voice,
conditions and decoding included. The autoregressive model generates both tracks in turn
(interleaving_A_V), the masked model all codes in a few steps, with either head, with and without
guidance (which doubles its batch). With "softmax-int8" in --heads its layers compute with integers
of 8 bits, with "mixture-int8", too. Forward passes are counted while they run. On a slow machine
--ar-seconds shortens the autoregressive song and scales its time by the number of steps; the table
marks such a row.

Weights are random, since speed does not depend on them. The models alternate, and the table shows
medians. Each time is printed when it is measured; after Ctrl-C the table shows the times so far.
The last line is JSON.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from songgen_hf.evaluation.protocol.timing import forward_passes
from songgen_hf.modeling.masked.model import HEADS, MaskedSongModel
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.pipelines.masked_song import MaskedSongPipeline
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.presets.models import PRESETS, build_config, build_processor

TRACK_PATTERN = "interleaving_A_V"
TEXT = "a slow folk song in three four time, female voice, acoustic guitar"
LYRICS = "\n".join(["the river carries what the mountain gave away"] * 4)
GUIDANCE = (1.02, 3.4)  # first and last pass: 0.02 to 2.4 over the conditional (ResGen, table 4)

Row = tuple[str, str | None, int | None, Any]  # mode, head, passes, guidance


def row_name(row: Row) -> str:
    """Describe a row."""
    mode, head, passes, guidance = row
    if mode == "ar":
        return "autoregressive"
    return f"{head}, {passes} passes, guidance {shown_guidance(guidance)}"


def shown_guidance(guidance: Any) -> str:
    """Return one guidance scale, or the first and the last one, as text."""
    return f"{guidance:g}" if isinstance(guidance, float) else "{:g} to {:g}".format(*guidance)


def build_model(preset: str, device: torch.device, dtype: torch.dtype, seed: int) -> Any:
    """Build a song model with the sizes of a preset and uniform random weights."""
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(build_config(preset, TRACK_PATTERN))
    model = model.to(dtype).to_empty(device=device).eval()
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-0.02, 0.02, generator=generator)
    model.config.trained = True  # no warning about an untrained model
    return model


def build_masked(model: Any, head: str, seed: int) -> MaskedSongPipeline:
    """Build a masked model of the same sizes with the conditioner and codec of a song model.

    Args:
        model: the song model.
        head: name of the head, with "-int8" for layers that compute with integers.
        seed: seed of the new weights.
    """
    torch.manual_seed(seed)
    kind, _, form = head.partition("-")
    with torch.device(model.device):
        transformer = MaskedSongModel.from_song_model(model, head=kind)
    for weight in transformer.parameters():  # the table of code vectors stays in float32
        weight.data = weight.data.to(model.dtype)
    if form == "int8":
        transformer.quantize()
    transformer.eval()
    pipe = MaskedSongPipeline.from_song_model(model, build_processor("mini"), transformer)
    pipe.set_progress_bar_config(disable=True)
    return pipe


class Clock:
    """Measures the time of calls and counts the forward passes of a network.

    Args:
        device: device whose work is waited for.
    """

    def __init__(self, device: torch.device):
        self.device = device

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def time(self, call: Callable[[], Any], network: Any) -> tuple[float, int]:
        """Return the seconds of a call and the forward passes of the network in it."""
        with forward_passes(network) as passes:
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            return time.perf_counter() - start, len(passes)


class Benchmark:
    """The models of a benchmark, and the times that are measured of them.

    Args:
        args: command-line arguments.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device, dtype = torch.device(args.device), getattr(torch, args.dtype)
        self.model = build_model(args.preset, self.device, dtype, args.seed)
        self.autoregressive = TextToSongPipeline(
            model=self.model, processor=build_processor("mini"), device=self.device
        )
        self.masked = {head: build_masked(self.model, head, args.seed) for head in args.heads}
        rate = self.model.config.voice_sampling_rate
        voice = np.random.default_rng(args.seed).normal(0, 0.1, 3 * rate).astype(np.float32)
        self.request = {"lyrics": LYRICS, "reference_voice": (voice, rate), "seed": args.seed}
        self.ar_seconds = args.ar_seconds or args.seconds
        self.frames = round(args.seconds * self.model.config.frame_rate)
        self.times: dict[Row, list[tuple[float, int]]] = {("ar", None, None, 1.0): []}
        for head in args.heads:
            for steps in args.passes:
                for guidance in (1.0, GUIDANCE):
                    self.times["masked", head, steps, guidance] = []
        self.codec_seconds: list[float] = []
        self.interrupted = False

    def generate(self, row: Row, *, warm_up: bool) -> tuple[float, Callable[[], Any], Any]:
        """Return the duration of a row's song, the call that generates it, and its network."""
        mode, head, steps, guidance = row
        if mode == "ar":
            seconds = min(1.0, self.ar_seconds) if warm_up else self.ar_seconds
            decoder = self.model.config.decoder
            special = list(range(decoder.codebook_size, decoder.vocab_size))
            options = {"max_seconds": seconds, "do_sample": True, "suppress_tokens": special}
            pipe, network = self.autoregressive, self.model.decoder.model
        else:
            is_short = warm_up and self.device.type == "cpu"
            seconds = min(1.0, self.args.seconds) if is_short else self.args.seconds
            options = {"seconds": seconds, "num_inference_steps": steps}
            options |= {"guidance_scale": guidance, "progress": False}
            pipe = self.masked[head or ""]
            network = pipe.transformer
        return seconds, lambda: pipe(TEXT, **self.request, **options), network

    def run(self) -> None:
        """Measure every row in every round; the first round warms up with short songs."""
        clock = Clock(self.device)
        decoder = self.model.config.decoder
        shape = (decoder.num_tracks, decoder.num_codebooks, self.frames)
        codes = torch.randint(decoder.codebook_size, shape, device=self.device)
        total = (self.args.rounds + 1) * (len(self.times) + 1)
        with tqdm(total=total, unit="run", file=sys.stderr) as bar:
            try:
                for number in range(self.args.rounds + 1):
                    self._run_round(clock, codes, bar, warm_up=number == 0)
            except KeyboardInterrupt:
                self.interrupted = True  # the times so far are kept

    def _run_round(self, clock: Clock, codes: torch.Tensor, bar: Any, *, warm_up: bool) -> None:
        for row, times in self.times.items():
            bar.set_description("warms up" if warm_up else row_name(row))
            length, call, network = self.generate(row, warm_up=warm_up)
            taken = clock.time(call, network)
            if not warm_up:
                times.append(taken)
                bar.write(
                    f"{row_name(row)}: {length:g} s of song in {taken[0]:.2f} s, {taken[1]} passes",
                    file=sys.stderr,
                )
            bar.update()
        bar.set_description("warms up" if warm_up else "codec")
        with torch.inference_mode():
            taken = clock.time(lambda: self.model.audio_encoder.decode(codes), self.model)
        if not warm_up:
            self.codec_seconds.append(taken[0])
        bar.update()

    def rows(self) -> list[dict[str, Any]]:
        """Return the medians of each row."""
        table = []
        for (mode, head, _, guidance), times in self.times.items():
            if not times:
                continue
            passes = statistics.median(count for _, count in times)
            factor = 1.0
            if mode == "ar" and self.ar_seconds != self.args.seconds:
                # By steps, not by seconds: short and long songs have the same lag.
                factor = self.model.config.decoder.pattern.num_steps(self.frames) / passes
            seconds = factor * statistics.median(taken for taken, _ in times)
            table.append(
                {
                    "mode": mode,
                    "head": head,
                    "passes": round(factor * passes),
                    "guidance": guidance if isinstance(guidance, float) else list(guidance),
                    "seconds": round(seconds, 3),
                    "seconds_per_pass": round(seconds / (factor * times[0][1]), 4),
                    "times_real_time": round(self.args.seconds / seconds, 2),
                    "scaled": factor != 1.0,
                }
            )
        return table

    def report(self) -> dict[str, Any]:
        """Return everything that was measured, and on what."""
        args, codec = self.args, self.codec_seconds
        is_gpu = self.device.type == "cuda"
        models = {"decoder": self.model.decoder} | {
            head: pipe.transformer for head, pipe in self.masked.items()
        }
        return {
            "preset": args.preset,
            "song_seconds": args.seconds,
            "rows": self.rows(),
            "codec_seconds": round(statistics.median(codec), 3) if codec else None,
            "interrupted": self.interrupted,
            "weights": {
                name: sum(weight.numel() for weight in network.parameters())
                for name, network in models.items()
            },
            "machine": torch.cuda.get_device_name(self.device)
            if is_gpu
            else platform.processor() or platform.machine(),
            "device": str(self.device),
            "dtype": args.dtype,
            "threads": torch.get_num_threads(),
            "batch": 1,
            "rounds": args.rounds,
            "seed": args.seed,
            "versions": {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "diffusers": diffusers.__version__,
            },
        }


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of the song")
    parser.add_argument(
        "--ar-seconds", type=float, help="duration of the autoregressive song, if shorter"
    )
    parser.add_argument(
        "--heads",
        nargs="+",
        choices=[f"{kind}{form}" for kind in HEADS for form in ("", "-int8")],
        default=[*HEADS],
    )
    parser.add_argument("--passes", type=int, nargs="+", default=[28])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    args = parse_arguments(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    benchmark = Benchmark(args)
    benchmark.run()
    result = benchmark.report()
    print(f"{'mode':<8}{'head':<13}{'guidance':>12}{'passes':>8}{'seconds':>10}{'real time':>11}")
    for row in result["rows"]:
        shown = shown_guidance(row["guidance"])
        seconds = f"{row['seconds']:.2f}" + ("*" if row["scaled"] else "")
        print(
            f"{row['mode']:<8}{row['head'] or '':<13}{shown:>12}{row['passes']:>8}{seconds:>10}"
            f"{row['times_real_time']:>10.2f}x"
        )
    if result["codec_seconds"] is not None:
        print(f"of which decoding takes: {result['codec_seconds']:.2f} s")
    if any(row["scaled"] for row in result["rows"]):
        print("* scaled from a shorter song")
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
