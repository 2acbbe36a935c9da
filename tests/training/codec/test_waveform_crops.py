"""Crops of sounds for codec training: seeds, files, columns and errors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from songgen_hf.training.codec.waveform_crops import WaveformCrops


def test_crops_depend_on_seed_step_and_place_alone(sounds):
    crops = WaveformCrops(sounds, 16000)
    batch = crops.batch(4, 3200, seed=1, step=2)

    assert batch.shape == (4, 1, 3200) and batch.dtype == torch.float32
    assert torch.equal(batch[2:], crops.batch(2, 3200, seed=1, step=2, first=2))
    assert not torch.equal(batch, crops.batch(4, 3200, seed=1, step=3))


def test_crops_of_parquet_rows_come_from_all_stems(tmp_path, sounds):
    datasets = pytest.importorskip("datasets")
    files = [path.read_bytes() for path in sorted(sounds.iterdir())[:4]]
    table = {
        "mixture": files[:2],
        "vocal": [{"bytes": data} for data in files[2:]],
        "id": ["a", "b"],
    }
    datasets.Dataset.from_dict(table).to_parquet(tmp_path / "songs.parquet")

    crops = WaveformCrops(tmp_path, 16000)

    assert len(crops) == 4
    loudness = [float(np.abs(crops.read(index, 1600)).max()) for index in range(4)]
    assert min(loudness) > 0.1


def test_short_sounds_are_padded_with_silence(sounds):
    waveform = WaveformCrops(sounds, 16000).read(0, 20000)

    assert waveform.shape == (20000,)
    assert np.abs(waveform[:16000]).max() > 0.1 and np.abs(waveform[16000:]).max() == 0


def test_a_glob_pattern_selects_files_of_a_folder(sounds):
    everything = WaveformCrops(sounds, 16000)
    first = sorted(Path(sounds).glob("*.wav"))[0]

    some = WaveformCrops(f"{first.parent}/{first.name[:-5]}?.wav", 16000)

    assert 0 < len(some) <= len(everything)
    assert np.array_equal(some.read(0, 100), everything.read(0, 100))
    with pytest.raises(FileNotFoundError, match="does not exist: give a folder of sounds"):
        WaveformCrops(f"{first.parent}/nothing-*.wav", 16000)


def test_places_without_sounds_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist: give a folder of sounds"):
        WaveformCrops(tmp_path / "nothing", 16000)
    with pytest.raises(ValueError, match="holds no sound: expected files ending in .wav"):
        WaveformCrops(tmp_path, 16000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and then nothing")
    with pytest.raises(ValueError, match="broken.wav cannot be read as sound"):
        WaveformCrops(tmp_path, 16000).read(0, 10)


def test_the_error_for_missing_sound_columns_names_the_existing_ones(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "songs.parquet")

    with pytest.raises(ValueError, match="columns text, expected one or more of mixture, vocal"):
        WaveformCrops(tmp_path, 16000)
