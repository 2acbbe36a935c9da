"""Measurements of timestamps, for docs/control.md.

    python benchmarks/timestamps.py truth CORPUS [--model MODEL] [--count 24] [--save-heads FOLDER]

`truth`: songs of a rendered corpus, whose words have exact times, are aligned by teacher forcing:
errors of the starts and ends of words, and how many words of a line that is not sung, at the end or
after the first line, are noticed. Without `lyrics_attention_heads` the heads are those that are
found without the truth. With `--save-heads` they are first chosen by the truth, on 8 other songs,
and written into the generation config of a folder.

    python benchmarks/timestamps.py generated [--model MODEL] [--count 24] [--seconds 8] ...

`generated`: songs that sing the first line of the prompts of the evaluation, against the alignment
of their vocal by the phoneme recognizer.

The last line of each measurement is JSON.
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from transformers import GenerationConfig

from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.data.corpus.rows import read_songs
from songgen_hf.data.preparation.alignment import AlignmentOptions, align_lyrics
from songgen_hf.evaluation.protocol.prompts import read_prompts
from songgen_hf.modeling.lyrics_words import letters

COLUMNS = ["captions", "lyrics", "words", "vocal", "accompaniment", "mixture"]
CHOOSING_SONGS = 8
FOREIGN = "seven yellow elephants wander over icy mountains"
"""Words of which no song of the corpus sings a line."""


def corpus_songs(folder: Path, split: str, first: int, count: int) -> list[dict[str, Any]]:
    """Some songs of a corpus."""
    files = folder / "data" / f"{split}-*.parquet"
    return list(read_songs(files, COLUMNS, first=first, count=count))


def recording_of(pipe: Any, song: dict[str, Any]) -> Any:
    """The sound of a song as the model hears songs."""
    rate = pipe.processor.sampling_rate
    sizes = pipe.transformer.config if pipe.mode == "masked" else pipe.model.config.decoder
    if sizes.num_tracks == 1:
        return (song["mixture"], rate)
    return ((song["accompaniment"], rate), (song["vocal"], rate))


def word_errors(found: list[dict[str, Any]], true: list[dict[str, Any]]) -> np.ndarray:
    """The errors of the starts and ends of words in seconds, [words, 2]; none for other words."""
    spelled = [[letters(word["word"]) for word in words] for words in (found, true)]
    if spelled[0] != spelled[1]:
        return np.zeros((0, 2))
    pairs = zip(found, true, strict=True)
    return np.array([[one[end] - other[end] for end in ("start", "end")] for one, other in pairs])


def summary(errors: np.ndarray) -> dict[str, Any]:
    """Quantiles of the absolute errors, in milliseconds."""
    found: dict[str, Any] = {"words": len(errors)}
    for place, name in enumerate(("start", "end")):
        size = 1000 * np.abs(errors[:, place])
        found[name] = {
            "median": round(float(np.median(size))),
            "p90": round(float(np.quantile(size, 0.9))),
            "within_100": round(100 * float((size <= 100).mean()), 1),
            "bias": round(1000 * float(np.median(errors[:, place]))),
        }
    return found


def choose_heads(pipe: Any, songs: list[dict[str, Any]]) -> list[list[int]]:
    """The heads whose strongest token belongs to the sung word in the most frames, by the truth.

    At most two, and none with less than half of the share of the best.
    """
    model, decoder = pipe.model, pipe.model.config.decoder
    layers, count = decoder.num_hidden_layers, decoder.num_attention_heads
    hits = dict.fromkeys([(i, j) for i in range(layers) for j in range(count)], 0)
    total = 0
    for song in songs:
        codes = pipe.encode(recording_of(pipe, song))
        inputs = pipe.processor(text=song["captions"][0], lyrics=song["lyrics"])
        words, _ = pipe.processor.lyrics_words(song["lyrics"])
        time = (np.arange(codes.shape[-1]) + 0.5) / model.config.frame_rate
        sung = np.zeros((len(time), inputs["lyrics_ids"].shape[1]), dtype=bool)
        for word, true in zip(words, song["words"], strict=True):
            inside = (time >= true["start"]) & (time < true["end"])
            sung[np.ix_(inside, word.tokens)] = True
        frames = np.flatnonzero(sung.any(axis=1))
        total += len(frames)
        for head in hits:
            weights, _ = model.lyrics_attention(codes[None], heads=[head], **inputs)
            strongest = weights.argmax(dim=-1).numpy()
            hits[head] += int(sung[frames, strongest[frames]].sum())
    best = sorted(hits, key=lambda head: -hits[head])[:2]
    for head in best:
        print(f"layer {head[0]}, head {head[1]}: {100 * hits[head] / total:.1f} % of sung frames")
    return [list(head) for head in best if hits[head] >= hits[best[0]] / 2]


def truth(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure timestamps of recordings with exact times."""
    pipe = load_pipeline(arguments.model, device="cpu")
    if arguments.save_heads is not None:
        others = corpus_songs(arguments.corpus, arguments.split, arguments.count, CHOOSING_SONGS)
        heads = choose_heads(pipe, others)
        config = GenerationConfig.from_pretrained(arguments.save_heads)
        config.lyrics_attention_heads = heads
        config.save_pretrained(arguments.save_heads)
        pipe.model.generation_config.lyrics_attention_heads = heads
    errors, sung, false_alarms = [], [], []
    skipped: dict[str, list[bool]] = {"end": [], "middle": []}
    for song in corpus_songs(arguments.corpus, arguments.split, 0, arguments.count):
        text, lyrics = song["captions"][0], song["lyrics"]
        codes = pipe.encode(recording_of(pipe, song))
        plain = pipe.align(recording_of(pipe, song), lyrics, text=text)
        errors.append(word_errors(plain.words, song["words"]))
        sung.append(plain.coverage["share"])
        false_alarms.append(plain.coverage["skipped"] + plain.coverage["repeated"])
        first, *rest = lyrics.splitlines()
        for place, added in {
            "end": [first, *rest, FOREIGN],
            "middle": [first, FOREIGN, *rest],
        }.items():
            coverage = pipe.align(codes, "\n".join(added), text=text).coverage
            skipped[place] += [word in coverage["skipped"] for word in FOREIGN.split()]
    found = summary(np.concatenate(errors)) | {
        "share": round(100 * float(np.mean(sung)), 1),
        "foreign_words_skipped": {
            place: round(100 * float(np.mean(found)), 1) for place, found in skipped.items()
        },
        "sung_words_named": sum(map(len, false_alarms)),
        "songs": len(errors),
    }
    print(json.dumps(found, indent=1))
    return {"model": arguments.model, **found}


def generated(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure timestamps of generated songs against the recognizer."""
    pipe = load_pipeline(arguments.model, device="cpu")
    errors, clear = [], []
    for place, prompt in enumerate(read_prompts(arguments.prompts)[: arguments.count]):
        lyrics = prompt.lyrics.splitlines()[0]
        song = pipe(
            prompt.text, lyrics=lyrics, seed=place, max_seconds=arguments.seconds, timestamps=True
        )
        vocal = song["audio"] if song["vocal"] is None else song["vocal"]
        buffer = io.BytesIO()
        soundfile.write(buffer, vocal[0], song["sampling_rate"], format="WAV", subtype="FLOAT")
        clip = {"id": prompt.id, "lyrics": lyrics, "language": "en", "clip_start": 0.0}
        clip["clip_seconds"] = vocal.shape[-1] / song["sampling_rate"]
        clip["vocal"] = {"bytes": buffer.getvalue(), "path": None}
        heard = align_lyrics([clip], AlignmentOptions())[0]
        own = word_errors(song.words, heard["words"])
        errors.append(own)
        clear.append(np.array([word["score"] for word in heard["words"]][: len(own)]) > -1)
        print(f"{prompt.id}: {song.coverage}, {np.median(np.abs(own), axis=0)} s", flush=True)
    together = np.concatenate(errors)
    found = {"all": summary(together), "clear": summary(together[np.concatenate(clear)])}
    print(json.dumps(found, indent=1))
    return {"model": arguments.model, "songs": len(errors), **found}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    exact = commands.add_parser("truth", help="recordings with exact times")
    exact.set_defaults(measure=truth)
    exact.add_argument("corpus", type=Path, help="folder of a rendered corpus")
    exact.add_argument("--split", default="validation")
    exact.add_argument("--save-heads", type=Path, help="folder of an autoregressive model")
    own = commands.add_parser("generated", help="generated songs against the recognizer")
    own.set_defaults(measure=generated)
    own.add_argument("--prompts", type=Path, help="file of prompts (default: those built in)")
    own.add_argument("--seconds", type=float, default=8.0, help="longest song (default 8)")
    for command in (exact, own):
        command.add_argument("--model", default="songgen-mini/interleaving_A_V")
        command.add_argument("--count", type=int, default=24, help="number of songs (default 24)")
    arguments = parser.parse_args()
    print(json.dumps(arguments.measure(arguments)))


if __name__ == "__main__":
    main()
