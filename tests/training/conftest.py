"""Tiny models and tiny codes parquet for the tests of training."""

import io
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

TINY_CODEBOOKS = 3
FRAME_RATE = 50
VOICE_RATE = 16000
VOICE_SECONDS = 0.2
SIZES = {
    "text_encoder": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
    "lyrics_encoder": {
        "output_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
    },
    "voice_encoder": {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "conv_dim": [4] * 7,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    },
    "audio_encoder": {
        "target_bandwidths": [0.5, 1, 1.5],
        "acoustic_model_config": {
            "encoder_hidden_size": 2,
            "decoder_hidden_size": 32,
            "hidden_size": 4,
        },
        "semantic_model_config": {
            "hidden_size": 4,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 8,
            "conv_dim": [4] * 7,
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        },
    },
    "decoder": {
        "num_codebooks": TINY_CODEBOOKS,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 64,
    },
}


def build_tiny(pattern: str, *, dropout: float = 0.1, **decoder):
    """A fresh tiny model with the mini tokenizers; ``decoder`` overrides the decoder's sizes."""
    from songgen_hf.presets import models as presets

    sizes = {name: dict(section) for name, section in SIZES.items()}
    sizes["text_encoder"]["dropout_rate"] = dropout
    sizes["lyrics_encoder"]["dropout"] = dropout
    sizes["decoder"] |= {"dropout": dropout, **decoder}
    presets.PRESETS["tiny"] = sizes
    try:
        config = presets.build_config("tiny", pattern)
    finally:
        del presets.PRESETS["tiny"]
    processor = presets.build_processor("mini")
    processor.voice_feature_extractor.chunk_length_s = VOICE_SECONDS
    config.text_encoder.vocab_size = config.lyrics_encoder.vocab_size = 0
    presets.fit_to_processor(config, processor)
    import torch

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SongGenForConditionalGeneration(config)
    return model.eval(), processor


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory):
    """Factory ``tiny_checkpoint(pattern, dropout=0.1)`` -> folder of an untrained tiny model."""
    made = {}

    def save(pattern: str = "mixed", *, dropout: float = 0.1) -> str:
        if (pattern, dropout) not in made:
            folder = tmp_path_factory.mktemp("model") / pattern
            model, processor = build_tiny(pattern, dropout=dropout)
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            made[pattern, dropout] = str(folder)
        return made[pattern, dropout]

    return save


@contextmanager
def interrupted_after(step: int):
    """Interrupt the training of song models in the block after the given step."""
    from songgen_hf.training.language_model.song_trainer import SongTrainer

    after_step = SongTrainer.after_step

    def interrupting(self, done):
        after_step(self, done)
        if done == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SongTrainer, "after_step", interrupting)
        yield


def flac(seconds: float, seed: int, rate: int = VOICE_RATE) -> bytes:
    """Noise as FLAC bytes."""
    import soundfile

    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise.astype(np.float32), rate, format="FLAC")
    return buffer.getvalue()


def song_row(number: int, num_frames: int) -> dict:
    """One row of codes parquet; its codes follow from its number."""
    random = np.random.default_rng(number)

    def codes():
        return random.integers(0, 1024, (TINY_CODEBOOKS, num_frames)).astype(np.int16).tolist()

    return {
        "id": f"song-{number}",
        "codes": codes(),
        "vocal_codes": codes(),
        "accompaniment_codes": codes(),
        "captions": [f"caption {number} {letter}" for letter in "ab"],
        "lyrics": f"line number {number}",
        "language": "en",
        "num_frames": num_frames,
        "vocal": {"bytes": flac(0.5, number), "path": None},
    }


def annotated_row(number: int, num_frames: int) -> dict:
    """A row with timed words and phonemes and with labels, some of which are unknown."""
    words = [
        {"word": "stone", "start": 0.02, "end": 0.09},
        {"word": "river", "start": 0.1, "end": 0.2},
    ]
    phonemes = [
        {
            "symbol": symbol,
            "start": 0.02 + 0.025 * place,
            "end": 0.045 + 0.025 * place,
            "word": word,
        }
        for place, (symbol, word) in enumerate([("s", 0), ("t", 0), ("o", 0), ("r", 1), ("v", 1)])
    ]
    phonemes.append({"symbol": f"z{number % 2}", "start": 0.2, "end": 0.2, "word": 1})  # no frame
    labels = {
        "lyrics": "Stone, river",
        "words": words,
        "phonemes": phonemes,
        "tempo": 90.0 + 10 * number,
        "lead_instrument": ("flute", "oboe")[number % 2],
        "gender": ("female", None)[number % 2],
        "genre": "folk",
        "voice_id": f"voice {number % 3}",
        "vocal": {"bytes": flac(0.5, number, 24000), "path": None},  # the rate of the processor
    }
    if number % 4 == 3:
        labels |= dict.fromkeys(("words", "phonemes", "tempo"))
    return song_row(number, num_frames) | labels


def write_songs(path: Path, lengths: list[int]) -> None:
    """A parquet file of songs of those lengths in frames."""
    write_table(path, [song_row(number, length) for number, length in enumerate(lengths)])


def write_table(path: Path, rows: list[dict]) -> None:
    """A parquet file of rows of songs."""
    import pyarrow
    import pyarrow.parquet

    codes = pyarrow.list_(pyarrow.list_(pyarrow.int16()))
    table = pyarrow.Table.from_pylist(rows)
    for name in ("codes", "vocal_codes", "accompaniment_codes"):
        table = table.set_column(
            table.column_names.index(name), name, table.column(name).cast(codes)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


@pytest.fixture(scope="session")
def songs_folder(tmp_path_factory) -> str:
    """A folder with 10 songs of unequal lengths to train on and 2 to evaluate on."""
    folder = tmp_path_factory.mktemp("songs")
    write_songs(folder / "train-00000-of-00001.parquet", [9, 12, 7, 14, 10, 8, 11, 13, 9, 12])
    write_songs(folder / "validation-00000-of-00001.parquet", [8, 10])
    return str(folder)


@pytest.fixture(scope="session")
def annotated_folder(tmp_path_factory) -> str:
    """A folder with 7 annotated songs to train on and 2 to evaluate on."""
    folder = tmp_path_factory.mktemp("annotated")
    for split, lengths in (("train", [9, 12, 7, 14, 10, 8, 11]), ("validation", [8, 10])):
        rows = [annotated_row(number, length) for number, length in enumerate(lengths)]
        write_table(folder / f"{split}-00000-of-00001.parquet", rows)
    return str(folder)


@pytest.fixture(autouse=True)
def own_datasets_cache(tmp_path_factory, monkeypatch):
    """The cache of the datasets library in a temporary folder."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "c")
