"""How far each format of the weights moves the predictions of a song model from float32.

    python benchmarks/quantization.py [--model songgen-mini/interleaving_A_V | --preset full]
                                      [--songs 8] [--seconds 8] [--seed 0] [--formats int8 bfloat16]
                                      [--sing 24]

The model sings the first prompts of the evaluation in float32. Each format then predicts every code
of these songs after the true codes before it, and the table shows the mean divergence
(Kullback-Leibler, in nats a code), how often both find the same code the most probable, and the
bytes that the weights take in memory. `int8 files` are rounded weights that compute as floats,
`int8` computes with integers; `bfloat16 keys` are floats whose keys and values are rounded, as
compiled steps of integers keep them. `--preset` takes random weights of that size and random codes.

With `--sing`, each format also sings so many prompts with the same seeds, and recognizer-mini
counts the phoneme errors of the vocal, or of the mixture of a one-track model. The last line is
JSON.
"""

import argparse
import copy
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.evaluation.backbones.phonemes import Phonemes
from songgen_hf.evaluation.metrics.paired_difference import paired_difference, sums_of_prompts
from songgen_hf.evaluation.metrics.phoneme_error_rate import phoneme_edits
from songgen_hf.evaluation.protocol.prompts import read_prompts
from songgen_hf.modeling.int8_layers import (
    dequantize_rows,
    is_quantizable,
    quantize_rows,
)
from songgen_hf.modeling.int8_loading import quantize_model
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.presets.models import PRESETS, build

BATCH = 6
LONGEST = 13.0  # seconds
FORMATS = ("bfloat16", "int8 files", "int8", "bfloat16 keys")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="songgen-mini/interleaving_A_V")
    parser.add_argument("--preset", choices=PRESETS)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--sing", type=int, default=0)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    return parser.parse_args(arguments)


def converted(model: SongGenForConditionalGeneration, form: str) -> Any:
    """Return a copy of a model of floats in a format."""
    model = copy.deepcopy(model)
    if form == "bfloat16":
        return model.bfloat16()
    if form == "int8":
        quantize_model(model)
        return model
    if form == "bfloat16 keys":
        for name, layer in model.decoder.named_modules():
            if name.endswith(("k_proj", "v_proj")):
                layer.register_forward_hook(lambda _, __, states: states.bfloat16().float())
        return model
    for name, weight in model.named_parameters():
        if is_quantizable(name, weight):
            weight.data = dequantize_rows(*quantize_rows(weight))
    return model


def phoneme_edits_of(pipe: Any, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Sing prompts, and count the errors and the phonemes of each song."""
    ear = Phonemes(find_checkpoint("recognizer-mini"))
    prompts = read_prompts()[: options.sing]
    heard = []
    for first in range(0, len(prompts), BATCH):
        part = prompts[first : first + BATCH]
        songs = pipe(
            [prompt.text for prompt in part],
            lyrics=[prompt.lyrics for prompt in part],
            seed=[options.seed + first + number for number in range(len(part))],
            guidance_scale=options.guidance,
            max_seconds=LONGEST,
            batch_size=BATCH,
        )
        for song in songs:
            sound = song["audio"] if song["vocal"] is None else song["vocal"]
            heard.append([str(phoneme) for phoneme in ear(sound.reshape(-1))["phonemes"]])
    return phoneme_edits([prompt.phonemes for prompt in prompts], heard)


def songs_of(options: argparse.Namespace) -> tuple[Any, list[tuple[Tensor, dict[str, Tensor]]]]:
    """Return the pipeline in float32, and the codes [1, tracks, K, T] and inputs of its songs."""
    from songgen_hf.checkpoints.loading import load_pipeline
    from songgen_hf.pipelines.text_to_song import TextToSongPipeline

    prompts = read_prompts()[: options.songs]
    if options.preset is None:
        pipe = load_pipeline(options.model, device="cpu", dtype="float32")
    else:
        model, processor = build(options.preset, seed=options.seed)
        pipe = TextToSongPipeline(model=model.eval(), processor=processor, device="cpu")
    config = pipe.model.config.decoder
    generator = torch.Generator().manual_seed(options.seed)
    found = []
    for number, prompt in enumerate(prompts):
        inputs = pipe.processor(text=[prompt.text], lyrics=[prompt.lyrics], return_tensors="pt")
        if options.preset is None:
            song = pipe(
                prompt.text,
                lyrics=prompt.lyrics,
                max_seconds=options.seconds,
                guidance_scale=options.guidance,
                seed=options.seed + number,
            )
            codes = torch.from_numpy(song["codes"])[None]
            codes = codes[..., (codes < config.codebook_size).all(dim=(0, 1, 2))]
        else:
            frames = round(options.seconds * pipe.model.config.frame_rate)
            shape = 1, config.num_tracks, config.num_codebooks, frames
            codes = torch.randint(config.codebook_size, shape, generator=generator)
        found.append((codes, dict(inputs)))
    return pipe, found


@torch.no_grad()
def predictions(
    model: SongGenForConditionalGeneration, codes: Tensor, conditions: dict[str, Tensor]
) -> Tensor:
    """Log probabilities of the codes [codes, V] after the codes before each."""
    config = model.config.decoder
    special = {"bos_token_id": config.bos_token_id, "pad_token_id": config.pad_token_id}
    ids = model.pattern.apply(codes, **special)
    logits = model(**conditions, decoder_input_ids=ids[..., :-1]).logits.float()
    logits = logits.view(len(codes), model.pattern.num_rows, *logits.shape[-2:])
    rows, steps = model.pattern.index(codes.shape[-1], codes.device)
    chosen = logits[:, rows, steps - 1][..., : config.codebook_size]
    return chosen.log_softmax(dim=-1).flatten(0, -2)


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print the table, and return its numbers."""
    options = parse(arguments)
    pipe, songs = songs_of(options)
    model = pipe.model
    truths = [predictions(model, codes, conditions) for codes, conditions in songs]
    results: dict[str, dict[str, float]] = {}
    size = memory_of(model)
    print(f"{'format':12} {'divergence':>12} {'same code':>10} {'MB':>8}")
    print(f"{'float32':12} {0:12.6f} {1:10.2%} {size / 1e6:8.1f}", flush=True)
    for form in options.formats:
        changed = converted(model, form)
        divergences, same = [], []
        for truth, (codes, conditions) in zip(truths, songs, strict=True):
            found = predictions(changed, codes, conditions)
            divergences.append((truth.exp() * (truth - found)).sum(dim=-1))
            same.append(truth.argmax(dim=-1) == found.argmax(dim=-1))
        results[form] = {
            "divergence": torch.cat(divergences).mean().item(),
            "same_code": torch.cat(same).float().mean().item(),
            "bytes": memory_of(changed),
        }
        row = results[form]
        print(
            f"{form:12} {row['divergence']:12.6f} {row['same_code']:10.2%} "
            f"{row['bytes'] / 1e6:8.1f}",
            flush=True,
        )
    if options.sing:
        sing(pipe, options, results)
    print(json.dumps(results))
    return results


def sing(pipe: Any, options: argparse.Namespace, results: dict[str, dict[str, float]]) -> None:
    """Add the phoneme error rate of each format to its results, and its difference to float32."""
    model = pipe.model
    before, lengths = phoneme_edits_of(pipe, options)
    truth = sums_of_prompts(range(len(before)), before, lengths)
    print(f"float32      phoneme error rate {before.sum() / lengths.sum():.1%}", flush=True)
    for form in options.formats:
        pipe.model = converted(model, form)
        edits, _ = phoneme_edits_of(pipe, options)
        results[form]["phoneme_error_rate"] = float(edits.sum() / lengths.sum())
        found = sums_of_prompts(range(len(edits)), edits, lengths)
        difference = paired_difference(truth, found, seed=options.seed)
        low, high = difference.interval or (0.0, 0.0)
        results[form] |= {"difference": difference.value, "low": low, "high": high}
        print(
            f"{form:12} phoneme error rate {results[form]['phoneme_error_rate']:.1%}, difference "
            f"{difference.value:+.1%} ({low:+.1%} to {high:+.1%})",
            flush=True,
        )


def memory_of(model: nn.Module) -> int:
    """Bytes of the weights of a model, without its codec."""
    weights = model.state_dict().items()
    return sum(w.nbytes for name, w in weights if not name.startswith("audio_encoder."))


if __name__ == "__main__":
    main()
