"""A small folder of packed songs, written without the packages that read parquet or sound."""

from pathlib import Path
from typing import Any

import numpy as np

from songgen_hf.data.packed import write_index, write_shard
from songgen_hf.training.language_model.packed_songs import CODE_COLUMNS, vocabulary_digest

SYMBOLS = ["a", "m", "s"]


def write_packed(
    folder: Path,
    model: Any,
    processor: Any,
    *,
    lengths: list[int],
    text: str = "a warm folk song",
    lyrics: str = "the river runs",
    voice_seconds: float = 1.0,
) -> Path:
    """Write songs with random codes and labels, and return the folder.

    Args:
        folder: folder to write.
        model, processor: the model that the songs are for.
        lengths: frames of each song.
        text, lyrics: words of every song.
        voice_seconds: duration of the voice of each song; 0 for none.
    """
    decoder, random = model.config.decoder, np.random.default_rng(0)
    inputs = processor(text=text, lyrics=lyrics, return_tensors="np")
    null = processor(return_tensors="np")
    rate = processor.voice_feature_extractor.sampling_rate
    num_samples = round(voice_seconds * rate)

    def numbers(high: int, *shape: int, dtype: Any = np.int32) -> np.ndarray:
        return random.integers(0, high, shape).astype(dtype)

    def song(length: int) -> dict[str, np.ndarray]:
        codes = {
            name: numbers(decoder.codebook_size, length, decoder.num_codebooks, dtype=np.uint16)
            for name in CODE_COLUMNS
        }
        ids = inputs["input_ids"][0].astype(np.int32)
        lyrics_ids = inputs["lyrics_ids"][0].astype(np.int32)
        return codes | {
            "text": ids,
            "text_lengths": np.array([len(ids)], np.int32),
            "lyrics": lyrics_ids,
            "tempo": np.array([random.uniform(60, 180)]),
            "genre": numbers(2, 1),
            "phonemes": numbers(len(SYMBOLS) + 1, length, dtype=np.uint16),
            "phoneme_names": np.arange(len(SYMBOLS), dtype=np.uint16),
            "sung_tokens": numbers(len(lyrics_ids), length, dtype=np.int16),
            "voice": numbers(20000, num_samples, dtype=np.int16),
            "voice_lengths": np.array([num_samples] * (num_samples > 0), np.int32),
        }

    songs = [song(length) for length in lengths]
    columns = {name: [song[name] for song in songs] for name in songs[0]}
    names = {"phonemes": SYMBOLS, "genre": ["folk", "rock"]}
    path = folder / "train-00000.safetensors"
    write_shard(path, columns, {"first": 0, "last": len(songs), "names": names})
    kept = ["captions", "lyrics", "tempo", "genre", "phonemes", "words", "vocal"]
    identity = {
        "columns": [*CODE_COLUMNS, *kept],
        "voice": {"column": "vocal", "sampling_rate": rate, "clips": 0},
        "tokenizers": {
            "text tokenizer": vocabulary_digest(processor.tokenizer),
            "lyrics tokenizer": vocabulary_digest(processor.lyrics_tokenizer),
        },
        "null_ids": {
            "text": null["input_ids"][0].tolist(),
            "lyrics": {"en": null["lyrics_ids"][0].tolist()},
        },
        "phonemes": sorted(SYMBOLS),
    }
    write_index(folder, identity, {"train": [path]})
    return folder
