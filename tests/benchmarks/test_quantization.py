"""The benchmark of the formats of weights runs on a small model and reports each format."""

import pytest


@pytest.mark.slow
def test_rounding_moves_predictions_more_the_fewer_bits_there_are(benchmark, capsys):
    results = benchmark.main(["--preset", "mini", "--songs", "1", "--seconds", "0.4"])

    assert list(results) == list(benchmark.FORMATS)
    stored, computed = results["int8 files"], results["int8"]
    assert 0 < stored["divergence"] < computed["divergence"] < 0.1
    assert computed["bytes"] < 0.6 * stored["bytes"]
    assert capsys.readouterr().out.splitlines()[-1].startswith('{"bfloat16"')


@pytest.mark.slow
def test_formats_sing_the_same_prompts(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "LONGEST", 0.5)
    words = ["--songs", "1", "--seconds", "0.4", "--sing", "2", "--formats", "int8 files"]
    (result,) = benchmark.main(words).values()

    assert result["low"] <= result["difference"] <= result["high"]
    assert result["phoneme_error_rate"] > 0
