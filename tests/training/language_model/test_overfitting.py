"""A tiny model memorizes four songs in token patterns of every layout of rows."""

import pytest

from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.option_parsing import make_options

from ..conftest import build_tiny, write_songs

LENGTHS = [5, 7, 6, 6]
PATTERNS = ("mixed_pro", "mixed_flat", "mixed_no_delay", "parallel_A_V", "interleaving_A_V")


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_model_memorizes_four_songs(tmp_path, pattern):
    write_songs(tmp_path / "songs" / "train.parquet", LENGTHS)
    model, processor = build_tiny(pattern, dropout=0.0, hidden_size=64, ffn_dim=128)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    values = {
        "model": str(tmp_path / "model"),
        "dataset": str(tmp_path / "songs"),
        "output_dir": str(tmp_path / "out"),
        "voice_column": None,
        "max_steps": 110,
        "warmup_steps": 10,
        "learning_rate": 8e-3,
        "lr_scheduler_type": "constant_with_warmup",
        "adam_beta2": 0.98,
        "per_device_train_batch_size": 4,
        "codebook_weighting": False,
        "save_strategy": "no",
        "disable_tqdm": True,
    }

    trainer = train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    model, songs = trainer.model.eval(), trainer.train_dataset
    songs.training = False
    batch = SongCollator(model.config, processor)([songs[index] for index in range(4)])
    conditions = {name: value for name, value in batch.items() if "labels" not in name}
    sung = model.generate(**conditions, do_sample=False, max_new_frames=max(LENGTHS) + 3)
    equal = total = 0
    for index, length in enumerate(LENGTHS):
        codes = songs[index]["codes"]
        ended = sung[index, ..., length:]
        if pattern == "mixed_no_delay":  # the other codebooks end one frame after the lowest one
            ended = ended[:, :1]
        equal += (sung[index, ..., :length] == codes).sum() + (ended == 1024).sum()
        total += codes.numel() + ended.numel()
    assert equal / total >= 0.99
