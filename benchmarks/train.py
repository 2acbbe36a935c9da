"""Speed and memory of one training step: forward, backward, AdamW.

    python benchmarks/train.py [--preset mini] [--pattern mixed_pro] [--batch-size 8]
                               [--seconds 9] [--precision fp32 bf16] [--lora] [--rounds 5]

Tokens are the codes of the songs, which last ``--seconds``. The conditions are a caption of 24 ids,
lyrics of 120 ids and three seconds of voice. Codec and voice network are frozen, and at full size
also the text encoder. Weights and songs are random, as speed does not depend on them. Peak memory
is that of the device, or of the process on a CPU. The last line is JSON.
"""

import argparse
import json
import platform
import resource
import statistics
import time

import torch
import transformers

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.presets.models import PRESETS, build_config, build_processor
from songgen_hf.training.language_model.freezing import freeze
from songgen_hf.training.language_model.lora import LoraOptions, add_lora
from songgen_hf.training.language_model.objective import codebook_weights, song_objective

TEXT_LENGTH, LYRICS_LENGTH, VOICE_SECONDS = 24, 120, 3


def build_batch(model, batch_size: int, seconds: float, device) -> dict[str, torch.Tensor]:
    """Random songs of equal length with their conditions."""
    generator = torch.Generator().manual_seed(0)
    config, decoder = model.config, model.config.decoder
    num_frames = round(seconds * config.frame_rate)

    def integers(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, high, shape, generator=generator)

    def labels(num_tracks: int) -> torch.Tensor:
        shape = (batch_size, num_tracks, decoder.num_codebooks, num_frames)
        codes = integers(decoder.codebook_size, *shape)
        return decoder.pattern.labels(codes, bos_token_id=1025, eos_token_id=1024)

    samples = VOICE_SECONDS * config.voice_sampling_rate
    batch = {
        "input_ids": integers(32, batch_size, TEXT_LENGTH),
        "lyrics_ids": integers(32, batch_size, LYRICS_LENGTH),
        "voice_values": torch.randn(batch_size, samples, generator=generator),
        "labels": labels(decoder.num_tracks),
    }
    if decoder.add_vocal_loss:
        batch["vocal_labels"] = labels(1)
    return {name: tensor.to(device) for name, tensor in batch.items()}


def peak_bytes(device: torch.device) -> int:
    """The largest amount of memory in use, of the device or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(model, batch, precision: str, rounds: int, device: torch.device) -> float:
    """Median seconds of a step, after one step of warm-up."""
    weights = codebook_weights(0, 1, 8)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            outputs = model(**batch)
        objective = song_objective(
            outputs.codebook_losses, weights, vocal_codebook_losses=outputs.vocal_codebook_losses
        )
        objective.value.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="mini", choices=sorted(PRESETS))
    parser.add_argument("--pattern", default="mixed_pro")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8])
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=("fp32", "bf16"))
    parser.add_argument("--lora", action="store_true", help="train an adapter of rank 8")
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)

    torch.manual_seed(0)
    with device:
        model = SongGenForConditionalGeneration(build_config(arguments.preset, arguments.pattern))
    freeze(model, ["text_encoder"] if arguments.preset == "full" else [])
    if arguments.lora:
        # Frozen weights need no float32 master copy.
        model = add_lora(model.to(torch.bfloat16), LoraOptions(), build_processor("mini"))
    if arguments.checkpointing:
        model.activation_checkpointing_enable()
    model.train()
    base = model.get_base_model() if arguments.lora else model
    codes = round(arguments.seconds * base.config.frame_rate) * base.config.num_codebooks
    codes *= base.config.decoder.num_tracks
    rows = []
    print(
        f"{'precision':>9} {'batch':>5} {'s/step':>8} {'songs/s':>8} {'tokens/s':>9} {'peak GB':>8}"
    )
    for precision in arguments.precision:
        for size in arguments.batch_size:
            batch = build_batch(base, size, arguments.seconds, device)
            seconds = measure(model, batch, precision, arguments.rounds, device)
            row = {
                "precision": precision,
                "batch_size": size,
                "seconds_per_step": round(seconds, 4),
                "songs_per_second": round(size / seconds, 3),
                "tokens_per_second": round(size * codes / seconds),
                "peak_gigabytes": round(peak_bytes(device) / 1e9, 2),
            }
            rows.append(row)
            print("{:>9} {:>5} {:>8} {:>8} {:>9} {:>8}".format(*row.values()))
    report = vars(arguments) | {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "trained_weights": sum(w.numel() for w in model.parameters() if w.requires_grad),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "rows": rows,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
