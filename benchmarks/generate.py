"""Measure the time of a generation step relative to its matrix products alone.

    python benchmarks/generate.py [--preset full] [--frames 32] [--rounds 5] [--attention eager]

A step of the decoder reads every weight once, so for a batch of one its lower bound is the time of
the plain matrix products: self-attention q, k, v, out, cross-attention q, out, fc1 and fc2 of every
layer, and the heads. Prefill is what runs once in each call: the text, lyrics and voice encoders,
the cross-attention keys and the first step. The measurements alternate, because the speed of a
machine varies, and the table contains medians. Compare only ratios within one run.

The weights are random, because the speed does not depend on them. The last line of the output is
JSON.
"""

import argparse
import json
import platform
import statistics
import time

import torch
import torch.nn.functional as F
import transformers
from transformers.generation.streamers import BaseStreamer

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.presets.models import PRESETS, build_config

TEXT_LENGTH, LYRICS_LENGTH, VOICE_SECONDS = 24, 120, 3


class StepClock(BaseStreamer):
    """Records the time of each column of ids."""

    def __init__(self):
        self.times: list[float] = []

    def put(self, value) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def build_model(preset: str, track_pattern: str, seed: int) -> SongGenForConditionalGeneration:
    """Build a model with the sizes of a preset and uniform random weights in float32."""
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(build_config(preset, track_pattern))
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-0.02, 0.02, generator=generator)
    return model


def build_conditions(model: SongGenForConditionalGeneration, seed: int) -> dict[str, torch.Tensor]:
    """Build the inputs of one request: text, lyrics and a voice of typical lengths."""
    generator = torch.Generator().manual_seed(seed)
    samples = VOICE_SECONDS * model.config.voice_sampling_rate
    vocabularies = model.config.text_encoder.vocab_size, model.config.lyrics_encoder.vocab_size
    text, lyrics = (
        torch.randint(3, size, (1, length), generator=generator)
        for size, length in zip(vocabularies, (TEXT_LENGTH, LYRICS_LENGTH), strict=True)
    )
    return {
        "input_ids": text,
        "attention_mask": torch.ones_like(text),
        "lyrics_ids": lyrics,
        "lyrics_attention_mask": torch.ones_like(lyrics),
        "voice_values": torch.randn(1, samples, generator=generator),
        "voice_attention_mask": torch.ones(1, samples, dtype=torch.int64),
    }


def time_generation(
    model: SongGenForConditionalGeneration, conditions: dict[str, torch.Tensor], num_frames: int
) -> tuple[float, list[float]]:
    """Measure the milliseconds until the first column and of each further step."""
    clock = StepClock()
    start = time.perf_counter()
    special = range(model.config.decoder.codebook_size, model.config.decoder.vocab_size)
    model.generate(
        **conditions,
        max_new_frames=num_frames,
        do_sample=False,
        suppress_tokens=list(special),
        streamer=clock,
    )
    _, *times = clock.times  # the first entry is the prompt, before any computation
    steps = [1e3 * (after - before) for before, after in zip(times, times[1:], strict=False)]
    return 1e3 * (times[0] - start), steps


def step_weights(model: SongGenForConditionalGeneration) -> list[torch.Tensor]:
    """The weight matrices of a step of the decoder, in the order of their use."""
    weights = []
    for layer in model.decoder.model.layers:
        self_attention, cross = layer.self_attn, layer.encoder_attn
        projections = [getattr(self_attention, f"{name}_proj") for name in ("q", "k", "v", "out")]
        modules = [*projections, cross.q_proj, cross.out_proj]
        weights += [module.weight for module in (*modules, layer.fc1, layer.fc2)]
    return [*weights, model.decoder.lm_heads.weight]


@torch.inference_mode()
def time_matmuls(weights: list[torch.Tensor], repeats: int) -> list[float]:
    """Measure the milliseconds of the plain matrix products of a step, for a batch of one."""
    inputs = {weight.shape[1]: torch.randn(1, weight.shape[1]) for weight in weights}
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for weight in weights:
            F.linear(inputs[weight.shape[1]], weight)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def time_codec(model: SongGenForConditionalGeneration, num_frames: int, seed: int) -> float:
    """Measure the seconds of computation per second of audio for decoding one track."""
    decoder = model.config.decoder
    shape = (1, decoder.num_codebooks, num_frames)
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, decoder.codebook_size, shape, generator=generator)
    start = time.perf_counter()
    with torch.inference_mode():
        model.audio_encoder.decode(codes)
    return (time.perf_counter() - start) * model.config.frame_rate / num_frames


def measure(args: argparse.Namespace) -> dict:
    """Run all rounds and return the medians."""
    model = build_model(args.preset, args.track_pattern, args.seed)
    model.decoder.set_attn_implementation(args.attention)
    voiced = build_conditions(model, args.seed)
    plain = {name: value for name, value in voiced.items() if not name.startswith("voice")}
    weights = step_weights(model)
    times: dict[str, list[float]] = {
        name: [] for name in ("step", "step_voice", "matmul", "prefill", "prefill_voice", "codec")
    }
    for conditions in (plain, voiced):  # warm-up
        time_generation(model, conditions, 2)
    for _ in range(args.rounds):
        for suffix, conditions in (("", plain), ("_voice", voiced)):
            times["matmul"] += time_matmuls(weights, 4)
            prefill, steps = time_generation(model, conditions, args.frames)
            times["prefill" + suffix].append(prefill)
            times["step" + suffix] += steps
        times["codec"].append(time_codec(model, args.frames, args.seed))
    median = {name: statistics.median(values) for name, values in times.items()}
    decoder_weights = sum(weight.numel() for weight in weights)
    return {
        "ms_per_step": round(median["step"], 2),
        "ms_per_step_voice": round(median["step_voice"], 2),
        "matmul_ms": round(median["matmul"], 2),
        "ratio": round(median["step"] / median["matmul"], 3),
        "prefill_ms": round(median["prefill"], 1),
        "prefill_ms_voice": round(median["prefill_voice"], 1),
        "codec_rtf": round(median["codec"], 3),
        "matmul_gb_per_s": round(4e-6 * decoder_weights / median["matmul"], 1),
        "preset": args.preset,
        "track_pattern": args.track_pattern,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": model.decoder.config._attn_implementation,
        "batch": 1,
        "threads": torch.get_num_threads(),
        "device": platform.processor() or platform.machine(),
        "seed": args.seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--track-pattern", default="mixed_pro")
    parser.add_argument("--frames", type=int, default=16, help="new frames of each generation")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict:
    args = parse_arguments(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    result = measure(args)
    rows = [
        ("step", result["ms_per_step"], "ms"),
        ("step, with a voice", result["ms_per_step_voice"], "ms"),
        ("plain matmuls of a step", result["matmul_ms"], "ms"),
        ("step / matmuls", result["ratio"], ""),
        ("prefill", result["prefill_ms"], "ms"),
        ("prefill, with a voice", result["prefill_ms_voice"], "ms"),
        ("codec decode", result["codec_rtf"], "s per s of audio"),
    ]
    for name, value, unit in rows:
        print(f"{name:<26}{value:>10} {unit}".rstrip())
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
