"""The benchmark of separation: recordings of known stems, their scores, and the whole script."""

import json

import datasets
import numpy as np
import pytest
import soundfile

from ..tools.judge_cases import invented_row
from ..tools.separation_cases import tiny_separator


def test_the_mean_of_both_channels_is_the_sum_of_the_stems(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    stems = {name: 0.1 * rng.standard_normal(16000).astype(np.float32) for name in benchmark.STEMS}

    benchmark.write_recording(stems, tmp_path / "song.wav", rng)

    samples, rate = soundfile.read(tmp_path / "song.wav")
    assert rate == 44100 and samples.shape == (44100, 2)
    assert np.abs(samples[:, 0] - samples[:, 1]).max() > 0.01
    wanted = benchmark.resample(sum(stems.values()), 16000, 44100)
    np.testing.assert_allclose(samples.mean(axis=1), wanted, atol=1e-3)


def test_the_script_prints_scores_and_speed(benchmark, tmp_path, capsys):
    rows = [invented_row(index, seconds=1.5) for index in range(3)]
    parts = [{name: row[name] for name in benchmark.STEMS} for row in rows]
    datasets.Dataset.from_list(parts).to_parquet(tmp_path / "songs.parquet")
    tiny_separator().save_pretrained(tmp_path / "network")
    arguments = [str(tmp_path / "songs.parquet"), "--separator", str(tmp_path / "network")]

    benchmark.main([*arguments, "--songs", "2"])

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["songs"] == 2 and result["times_real_time"] > 1
    # An untrained mask hardly differs from a constant, which leaves the mixture.
    assert abs(result["vocal_improvement"]) < 6
    with pytest.raises(ValueError, match="no songs in"):
        benchmark.main([str(tmp_path / "none-*.parquet")])
