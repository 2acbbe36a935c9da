"""Time and forward passes of one song, by a masked and by an autoregressive model in one run.

    python benchmarks/masked_speed.py [--preset full] [--seconds 30] [--passes 28] [--rounds 3]
                                      [--device cuda --dtype bfloat16]

Both pipelines generate a whole song of that length from text, lyrics and a reference voice,
conditions and decoding included. The autoregressive model generates both tracks in turn
(interleaving_A_V), the masked model all codes in a few steps, with either head, with and without
guidance (which doubles its batch). Forward passes are counted while they run. On a slow machine
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
from songgen_hf.modeling.masked.model import MaskedSongModel
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
    """Build a masked model of the same sizes with the conditioner and codec of a song model."""
    torch.manual_seed(seed)
    with torch.device(model.device):
        transformer = MaskedSongModel.from_song_model(model, head=head)
    for weight in transformer.parameters():  # the table of code vectors stays in float32
        weight.data = weight.data.to(model.dtype)
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


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds and return the medians."""
    device, dtype = torch.device(args.device), getattr(torch, args.dtype)
    model = build_model(args.preset, device, dtype, args.seed)
    autoregressive = TextToSongPipeline(
        model=model, processor=build_processor("mini"), device=device
    )
    rate = model.config.voice_sampling_rate
    voice = np.random.default_rng(args.seed).normal(0, 0.1, 3 * rate).astype(np.float32)
    request = {"lyrics": LYRICS, "reference_voice": (voice, rate), "seed": args.seed}
    decoder = model.config.decoder
    special = list(range(decoder.codebook_size, decoder.vocab_size))
    ar_seconds = args.ar_seconds or args.seconds

    def generate(seconds: float) -> Any:
        options = {"max_seconds": seconds, "do_sample": True, "suppress_tokens": special}
        return autoregressive(TEXT, **request, **options)

    masked = {head: build_masked(model, head, args.seed) for head in args.heads}

    def generate_masked(head: str, guidance: Any, seconds: float, passes: int) -> Any:
        return masked[head](
            TEXT,
            **request,
            seconds=seconds,
            num_inference_steps=passes,
            guidance_scale=guidance,
            progress=False,
        )

    rows: dict[Row, list[tuple[float, int]]] = {("ar", None, None, 1.0): []}
    for head in args.heads:
        for passes in args.passes:
            for guidance in (1.0, GUIDANCE):
                rows["masked", head, passes, guidance] = []
    clock = Clock(device)
    frames = round(args.seconds * model.config.frame_rate)
    codes = torch.randint(
        decoder.codebook_size, (decoder.num_tracks, decoder.num_codebooks, frames), device=device
    )
    codec_seconds: list[float] = []
    interrupted = False
    bar = tqdm(total=(args.rounds + 1) * (len(rows) + 1), unit="run", file=sys.stderr)
    try:
        for number in range(args.rounds + 1):  # the first round warms up, with short songs
            warm = number == 0
            for row, found in rows.items():
                mode, head, passes, guidance = row
                bar.set_description("warms up" if warm else row_name(row))
                if mode == "ar":
                    length = min(1.0, ar_seconds) if warm else ar_seconds
                    taken = clock.time(lambda n=length: generate(n), model.decoder.model)
                else:
                    short = warm and device.type == "cpu"
                    length = min(1.0, args.seconds) if short else args.seconds
                    taken = clock.time(
                        lambda h=head, g=guidance, n=length, p=passes: generate_masked(h, g, n, p),
                        masked[head or ""].transformer,
                    )
                if not warm:
                    found.append(taken)
                    bar.write(
                        f"{row_name(row)}: {length:g} s of song in {taken[0]:.2f} s, "
                        f"{taken[1]} passes",
                        file=sys.stderr,
                    )
                bar.update()
            bar.set_description("warms up" if warm else "codec")
            with torch.inference_mode():
                taken = clock.time(lambda: model.audio_encoder.decode(codes), model)
            if not warm:
                codec_seconds.append(taken[0])
            bar.update()
    except KeyboardInterrupt:
        interrupted = True  # the times so far are kept
    bar.close()
    pattern, scaled = decoder.pattern, ar_seconds != args.seconds
    table = []
    for (mode, head, _, guidance), found in rows.items():
        if not found:
            continue
        # By steps, not by seconds: short and long songs have the same lag.
        factor = 1.0
        if mode == "ar" and scaled:
            factor = pattern.num_steps(frames) / statistics.median(count for _, count in found)
        seconds = factor * statistics.median(taken for taken, _ in found)
        table.append(
            {
                "mode": mode,
                "head": head,
                "passes": round(factor * statistics.median(count for _, count in found)),
                "guidance": guidance if isinstance(guidance, float) else list(guidance),
                "seconds": round(seconds, 3),
                "seconds_per_pass": round(seconds / (factor * found[0][1]), 4),
                "times_real_time": round(args.seconds / seconds, 2),
                "scaled": factor != 1.0,
            }
        )
    name = platform.processor() or platform.machine()
    return {
        "preset": args.preset,
        "song_seconds": args.seconds,
        "rows": table,
        "codec_seconds": round(statistics.median(codec_seconds), 3) if codec_seconds else None,
        "interrupted": interrupted,
        "weights": {
            "decoder": sum(weight.numel() for weight in model.decoder.parameters()),
            **{
                head: sum(weight.numel() for weight in pipe.transformer.parameters())
                for head, pipe in masked.items()
            },
        },
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else name,
        "device": str(device),
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
    parser.add_argument("--heads", nargs="+", default=["softmax", "mixture"])
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
    result = measure(args)
    print(f"{'mode':<8}{'head':<9}{'guidance':>12}{'passes':>8}{'seconds':>10}{'real time':>11}")
    for row in result["rows"]:
        shown = shown_guidance(row["guidance"])
        seconds = f"{row['seconds']:.2f}" + ("*" if row["scaled"] else "")
        print(
            f"{row['mode']:<8}{row['head'] or '':<9}{shown:>12}{row['passes']:>8}{seconds:>10}"
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
