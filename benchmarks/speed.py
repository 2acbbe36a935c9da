"""Measure a step of generation in every format side by side, with its floor beside it.

    python benchmarks/speed.py [--threads 2] [--minutes 10] [--lengths 100 500 1500 3000]
                               [--page docs/speed.md]

A step of the decoder reads all its weights once. The floor of a format is the time of these matrix
products alone, in the fastest way that is known here: compiled, where a compiler is there. All rows
take turns, because the speed of a machine varies, and the table contains medians: compare the rows
of one run only. The weights are random, because the speed does not depend
on them; the conditions are those of a text and lyrics, for the row "voice" also of a voice.

The codec encodes and decodes audio; its floor is the time of as many operations in a large matrix
product or convolution, whichever is faster. MusicGen of transformers has the same sizes; its row is
its forward pass alone, without sampling. The row "mini" is songgen-mini with guidance on one
thread. With --lengths, steps after songs of these many steps are measured, too, of one song and of
a batch of 8, and compiled ones of integers. With --page, the table replaces that of a page. The
last line of the output is JSON; null stands for what this version or machine lacks.
"""

import argparse
import copy
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from speed_codec import codec, codec_calls, codec_floor
from speed_table import CODEC_DTYPES, ROWS, described, table, write_page
from torch import Tensor, nn
from transformers import GenerationConfig, MusicgenDecoderConfig, MusicgenForCausalLM
from transformers.cache_utils import DynamicCache, EncoderDecoderCache, StaticCache
from transformers.generation.streamers import BaseStreamer

from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.modeling.compiled_steps import (
    CPU_OPTIONS,
    compiled_generation,
    many_shapes,
    missing_compiler,
)
from songgen_hf.modeling.conditioning import SongGenConditionOutput
from songgen_hf.modeling.growing_cache import grow_between_steps, grow_in_place
from songgen_hf.modeling.int8_layers import compile_layers
from songgen_hf.modeling.int8_loading import quantize_model
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.presets.models import PRESETS, build_config

CONDITIONS, VOICE = 144, 149
"""Positions of the text and the lyrics, and of a voice of 3 s."""
STEPS = 12
"""Frames, and steps at least, of a row in one turn."""
WARM_UP = 3
"""Steps at the beginning of a turn that are left out."""
Measurement = Callable[[], list[float]]
"""Measures one turn of a row: milliseconds of each step."""


class StepClock(BaseStreamer):
    """Records the time of each column of ids."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass

    def steps(self) -> list[float]:
        """The milliseconds of each step after those that warm up."""
        pairs = zip(self.times[1 + WARM_UP :], self.times[2 + WARM_UP :], strict=False)
        return [1e3 * (after - before) for before, after in pairs]


def build_model(preset: str, pattern: str, seed: int) -> Any:
    """Build a model whose decoder has the sizes of a preset, with random weights in float32.

    The conditioner and the codec, which are not part of a step, have those of the mini preset.
    """
    config = build_config("mini", pattern)
    config.decoder = build_config(preset, pattern).decoder
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(config)
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-0.02, 0.02, generator=generator)
    return model


def with_pattern(model: Any, pattern: str) -> Any:
    """Return a model of another token pattern that shares the decoder."""
    config = copy.deepcopy(model.config)
    config.decoder.track_pattern = pattern
    with torch.device("meta"):
        other: Any = SongGenForConditionalGeneration(config)
    other.decoder, other.conditioner = model.decoder, model.conditioner
    other.audio_encoder = model.audio_encoder
    return other.eval()


def as_dtype(model: Any, dtype: torch.dtype) -> Any:
    """Return a copy of a model in another precision."""
    return copy.deepcopy(model).to(dtype)


def quantized(model: Any) -> Any:
    """Return a copy of a model that computes with weights of 8 bits."""
    model = copy.deepcopy(model)
    quantize_model(model)
    return model


def step_layers(model: Any) -> list[nn.Module]:
    """The linear layers of a step of the decoder, in the order of their use."""
    layers: list[nn.Module] = []
    for layer in model.decoder.model.layers:
        own, cross = layer.self_attn, layer.encoder_attn
        layers += [getattr(own, f"{name}_proj") for name in ("q", "k", "v", "out")]
        layers += [cross.q_proj, cross.out_proj, layer.fc1, layer.fc2]
    return [*layers, model.decoder.lm_heads]


def generation(model: Any, *, seed: int, batch: int = 1, **settings: Any) -> Measurement:
    """Measure the steps of ``generate()``."""
    rows = batch * (2 if settings.get("guidance_scale", 1.0) != 1.0 else 1)
    length = settings.pop("conditions", CONDITIONS)
    width = model.config.decoder.hidden_size
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, length, width, generator=generator).to(model.dtype)
    mask = torch.ones(rows, length, dtype=torch.int64)
    decoder = model.config.decoder
    suppressed = list(range(decoder.codebook_size, decoder.vocab_size))

    def measure() -> list[float]:
        clock = StepClock()
        model.generate(
            torch.zeros(batch, 1, dtype=torch.int64),  # of which only the batch size is used
            encoder_outputs=SongGenConditionOutput(last_hidden_state=states, attention_mask=mask),
            min_new_frames=STEPS,
            max_new_frames=STEPS,
            seed=seed,
            suppress_tokens=suppressed,
            streamer=clock,
            **settings,
        )
        return clock.steps()

    return measure


def products(layers: list[nn.Module], compiled: bool) -> Measurement:
    """Measure the matrix products of a step for one row."""
    sizes = {layer.in_features for layer in layers}
    rows: Any = {size: torch.ones(1, size) for size in sizes}

    def multiply(rows: Any) -> list[Tensor]:
        return [layer(rows[layer.in_features]) for layer in layers]

    ways = [multiply]
    if compiled:
        ways.append(torch.compile(multiply, dynamic=False, options=CPU_OPTIONS))

    @torch.inference_mode()
    def measure() -> list[float]:
        times = []
        for way in ways:
            for _ in range(4):
                start = time.perf_counter()
                way(rows)
                times.append(1e3 * (time.perf_counter() - start))
        return [min(times)]

    return measure


def musicgen(preset: str, seed: int) -> Measurement:
    """Measure forward passes of MusicGen of transformers with the sizes of a preset."""
    sizes = build_config(preset, "mixed").decoder
    config = MusicgenDecoderConfig(
        vocab_size=sizes.codebook_size,
        num_hidden_layers=sizes.num_hidden_layers,
        ffn_dim=sizes.ffn_dim,
        num_attention_heads=sizes.num_attention_heads,
        hidden_size=sizes.hidden_size,
        num_codebooks=sizes.num_codebooks,
        pad_token_id=0,
        bos_token_id=0,
    )
    torch.manual_seed(seed)
    model = MusicgenForCausalLM._from_config(config).eval()
    states = torch.randn(1, CONDITIONS, sizes.hidden_size)

    @torch.inference_mode()
    def measure() -> list[float]:
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        ids = torch.zeros(sizes.num_codebooks, 1, dtype=torch.int64)
        times = []
        for _ in range(STEPS + WARM_UP):
            start = time.perf_counter()
            ids = model(ids, encoder_hidden_states=states, past_key_values=cache).logits.argmax(-1)
            times.append(1e3 * (time.perf_counter() - start))
        return times[WARM_UP:]

    return measure


def after(
    model: Any, num_steps: int, seed: int, batch: int = 1, compiled: bool = False
) -> Measurement:
    """Measure forward passes after a song of that many steps, with the cache of generate()."""
    decoder = model.config.decoder
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(model.dtype)

    states = draw(batch, CONDITIONS, decoder.hidden_size)
    mask = torch.ones(batch, CONDITIONS, dtype=torch.int64)
    past = draw(batch, decoder.num_attention_heads, num_steps, decoder.head_dim)
    settings = GenerationConfig(**compiled_generation() if compiled else {})

    @torch.inference_mode()
    def measure() -> list[float]:
        sizes = num_steps + STEPS + WARM_UP, CONDITIONS
        if compiled:
            cache = EncoderDecoderCache(*(StaticCache(decoder, size) for size in sizes))
            grow_between_steps(cache, torch.bfloat16)
        else:
            cache = EncoderDecoderCache(*(DynamicCache(config=decoder) for _ in sizes))
            grow_in_place(cache, *sizes)
        for layer in range(decoder.num_hidden_layers):
            cache.self_attention_cache.update(past, past, layer)
        ids = torch.zeros(batch, decoder.num_rows, 1, dtype=torch.int64)
        times, step = [], model  # the first step computes keys and values of the conditions
        for _ in range(STEPS + WARM_UP):
            start = time.perf_counter()
            output = step(
                encoder_outputs=SongGenConditionOutput(states, mask),
                decoder_input_ids=ids,
                past_key_values=cache,
                use_cache=True,
            )
            ids = output.logits.argmax(-1).view(ids.shape)
            times.append(1e3 * (time.perf_counter() - start))
            if compiled:
                step = model.get_compiled_call(settings.compile_config)
        return times[WARM_UP:]

    def within_limits() -> list[float]:
        with many_shapes(settings):
            return measure()

    return within_limits


def mini(seed: int, compiled: bool = False, quantization: str | None = None) -> Measurement:
    """Measure songgen-mini with guidance on one thread."""
    model = load_pipeline(device="cpu", quantization=quantization).model
    inner = generation(model, seed=seed, guidance_scale=2.0, compile=compiled)

    def measure() -> list[float]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return inner()
        finally:
            torch.set_num_threads(threads)

    return measure


def measurements(args: argparse.Namespace) -> dict[str, Measurement]:
    """Build the models and return how each row is measured; a row that is missing is left out."""
    preset, seed = args.preset, args.seed
    compiled = missing_compiler() is None and not args.eager
    model = build_model(preset, "mixed_pro", seed)
    rows: dict[str, Measurement] = {
        "fp32_ms": generation(model, seed=seed),
        "fp32_floor_ms": products(step_layers(model), compiled),
        "guidance_ms": generation(model, seed=seed, guidance_scale=2.0),
        "voice_ms": generation(model, seed=seed, conditions=CONDITIONS + VOICE),
        "interleaving_ms": generation(with_pattern(model, "interleaving_A_V"), seed=seed),
        "musicgen_ms": musicgen(preset, seed),
        "mini_eager_ms": mini(seed),
        "mini_int8_ms": mini(seed, quantization="int8"),
        "mini_ms": mini(seed, compiled),
    }
    half, small = as_dtype(model, torch.bfloat16), quantized(model)
    rows["bf16_ms"] = generation(half, seed=seed)
    rows["bf16_batch8_ms"] = generation(half, seed=seed, batch=8)
    rows["int8_ms"] = generation(small, seed=seed)
    if compiled:
        rows["fp32_compiled_ms"] = generation(model, seed=seed, compile=True)
        rows["guidance_compiled_ms"] = generation(
            model, seed=seed, compile=True, guidance_scale=2.0
        )
        rows["bf16_compiled_ms"] = generation(half, seed=seed, compile=True)
        rows["int8_compiled_ms"] = generation(small, seed=seed, compile=True)
        compile_layers(small)
    rows["int8_floor_ms"] = products(step_layers(small), compiled)
    for name, dtype in CODEC_DTYPES.items():
        for way, call in codec_calls(preset, dtype, seed).items():
            rows[f"{way}_{name}_ms"] = codec(call)
    for length in args.lengths:
        rows[f"after_{length}_ms"] = after(model, length, seed)
    for length in args.lengths:
        rows[f"bf16_batch8_after_{length}_ms"] = after(half, length, seed, batch=8)
    for length in args.lengths if compiled else ():
        rows[f"int8_compiled_after_{length}_ms"] = after(small, length, seed, compiled=True)
    return rows


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Let all rows take turns until the rounds are done or the time is up."""
    start = time.perf_counter()
    rows = measurements(args)
    times: dict[str, list[float]] = {name: [] for name in rows}
    rounds = 0
    longest = 0.0
    for number in range(args.rounds + 1):  # the first one warms up and compiles
        began = time.perf_counter()
        if number > 1 and began - start + longest > 60 * args.minutes:
            break
        for name, measure in rows.items():
            gc.collect()
            found = measure()
            if number:
                times[name] += found
        if number:
            rounds, longest = number, max(longest, time.perf_counter() - began)
    floors = {
        f"{way}_{name}_floor_ms": round(codec_floor(call, dtype), 3)
        for name, dtype in CODEC_DTYPES.items()
        for way, call in codec_calls(args.preset, dtype, args.seed).items()
    }
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {
        **{name: medians.get(name) for name in ROWS},
        "mini_compiled": "fp32_compiled_ms" in rows,
        **{name: value for name, value in medians.items() if name not in ROWS},
        **floors,
        "read_gb_per_s": round(bandwidth(), 1),
        "rounds": rounds,
        "preset": args.preset,
        "machine": processor(),
        "threads": torch.get_num_threads(),
        "seed": args.seed,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "minutes": round((time.perf_counter() - start) / 60, 1),
    }


def bandwidth() -> float:
    """Measure how many gigabytes a sum over a large tensor reads in a second."""
    tensor = torch.ones(2**26)  # 256 MiB
    times = []
    for _ in range(5):
        start = time.perf_counter()
        tensor.sum()
        times.append(time.perf_counter() - start)
    return tensor.nbytes / min(times) / 1e9


def processor() -> str:
    """The name of the processor, and its number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if "model name" in line]
    return f"{names[0] if names else platform.machine()}, {len(names) or '?'} cores"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="no round begins that would end later"
    )
    parser.add_argument(
        "--lengths", type=int, nargs="*", default=[], help="steps before the measured ones"
    )
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    args = parse_arguments(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    result = run(args)
    print(table(result))
    print(described(result))
    if args.page:
        write_page(args.page, result)
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
