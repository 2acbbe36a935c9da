"""What a model predicts from the true past of songs: its phoneme error rate, and its coherence.

    python benchmarks/exposure_bias.py [MODEL] --dataset CODES --judges JUDGES
                                       [--split validation] [--songs 16] [--seed 0]

Each code is predicted from the true codes of all earlier steps (teacher forcing), also from the
true lower codebooks of its own frame, which the delay pattern places in earlier steps. The
predicted codes are decoded, and the judges' phoneme recognizer measures their error rate: of the
most likely codes (`best`), of sampled codes (`drawn`), and of codes sampled in the first codebook
only or in all other codebooks only. `true` is the error rate of the true codes, the codec's own.
Sampled codes of a frame do not know of each other here, while those of `generate` do, and the songs
are not the prompts of `songgen-hf evaluate mini`: a difference from its error rate is no measure of
exposure bias. `coherence` is how much the second code of a frame depends on the first one, in nats
for each track (`songgen_hf/evaluation/metrics/codebook_coherence.py`). The last line is JSON.
"""

import argparse
import json

import torch
from torch import Tensor
from transformers import AutoProcessor

from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.data.listening.phonemes import row_phonemes
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.metrics.codebook_coherence import codebook_coherence
from songgen_hf.evaluation.metrics.phoneme_error_rate import phoneme_error_rate
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.dataset import SongDataset, read_songs
from songgen_hf.training.options import DataOptions


def predicted(model, batch: dict, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the labels, the most likely codes and sampled codes, [B, rows, L] each.

    Special tokens of the labels stay as they are.
    """
    with torch.no_grad():
        outputs = model(**batch)
    true = batch["labels"].transpose(1, 2)
    logits = outputs.logits.unflatten(0, true.shape[:2])[:, :, -true.shape[-1] :]
    codebook_size = model.config.decoder.codebook_size
    probabilities = logits[..., :codebook_size].float().softmax(-1)
    drawn = torch.multinomial(probabilities.flatten(0, 2), 1, generator=generator).view(true.shape)
    is_code = (true >= 0) & (true < codebook_size)
    return true, probabilities.argmax(-1).where(is_code, true), drawn.where(is_code, true)


def decode_vocals(model, labels: Tensor, lengths: list[int]) -> list:
    """Decode the vocal track of each song, or the mixture of mixed models, float32 [S]."""
    pattern = model.config.decoder.pattern
    waveforms = []
    for rows, length in zip(labels, lengths, strict=True):
        first = rows.new_full((1, len(rows), 1), model.config.decoder.bos_token_id)
        codes = pattern.revert(torch.cat([first, rows[None]], dim=-1), length)
        with torch.no_grad():
            song = model.decode_codes(codes)
        waveforms.append((song.waveform if song.vocal is None else song.vocal)[0, 0].numpy())
    return waveforms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="songgen-mini", help="default songgen-mini")
    parser.add_argument("--dataset", required=True, help="codes of corpus songs, with phonemes")
    parser.add_argument("--judges", required=True, help="folder of trained judges")
    parser.add_argument("--split", default="validation", help="default validation")
    parser.add_argument("--songs", type=int, default=16, help="number of songs (default 16)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sampling (default 0)")
    arguments = parser.parse_args()

    checkpoint = find_checkpoint(arguments.model)
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint).eval()
    processor = AutoProcessor.from_pretrained(checkpoint)
    rows = read_songs(arguments.dataset, arguments.split)
    dataset = SongDataset(rows, model.config, DataOptions(), training=False)
    songs = [dataset[place] for place in range(min(arguments.songs, len(dataset)))]
    lyrics = [row_phonemes(rows[place]) for place in range(len(songs))]
    judges = Judges.load(arguments.judges)
    generator = torch.Generator().manual_seed(arguments.seed)
    batch = SongCollator(model.config, processor)(songs)
    true, best, drawn = predicted(model, batch, generator)
    in_first = (torch.arange(true.shape[1]) % model.config.decoder.num_codebooks == 0)[:, None]
    versions = {
        "true": true,
        "best": best,
        "drawn": drawn,
        "first codebook drawn": drawn.where(in_first, true),
        "other codebooks drawn": true.where(in_first, drawn),
    }
    lengths = [song["codes"].shape[-1] for song in songs]
    found = {}
    for name, labels in versions.items():
        recognized = judges.phonemes(decode_vocals(model, labels, lengths))
        found[name] = round(phoneme_error_rate(lyrics, recognized), 4)
        print(f"{name:<24} phoneme error rate {100 * found[name]:.1f} %", flush=True)
    inputs = {name: value for name, value in batch.items() if not name.endswith("labels")}
    inputs["decoder_input_ids"] = model.shift_right(batch["labels"])
    coherence = codebook_coherence(model, inputs, generator=generator).round(3).tolist()
    print(f"{'coherence':<24} {', '.join(f'{track:.2f}' for track in coherence)} nats")
    result = {"track_pattern": model.config.decoder.track_pattern, "songs": len(songs)}
    print(json.dumps(result | {"per": found, "coherence": coherence}))


if __name__ == "__main__":
    main()
