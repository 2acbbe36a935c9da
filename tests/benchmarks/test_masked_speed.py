"""The benchmark of masked and autoregressive songs runs and reports what it promises."""

import json

import pytest

pytest.importorskip("diffusers", reason="needs the extra diffusers")


@pytest.mark.slow
def test_both_models_generate_the_song_and_forward_passes_are_counted(benchmark, capsys):
    benchmark.main(
        ["--preset", "mini", "--seconds", "0.4", "--ar-seconds", "0.2", "--passes", "2", "3"]
        + ["--rounds", "1", "--device", "cpu"]
    )

    out, err = capsys.readouterr()
    assert "mixture, 3 passes, guidance 1: 0.4 s of song in" in err  # as it was taken
    *table, last = out.strip().splitlines()
    result = json.loads(last)
    rows = result["rows"]
    assert [(row["mode"], row["head"]) for row in rows] == [("ar", None)] + [
        ("masked", head) for head in ("softmax", "mixture") for _ in range(4)
    ]
    assert [row["passes"] for row in rows[1:]] == 2 * [2, 2, 3, 3]
    assert rows[0]["scaled"] and not any(row["scaled"] for row in rows[1:])
    assert 2 * 20 < rows[0]["passes"] < 2 * 20 + 20  # two tracks of 20 frames, and their lag
    assert all(row["seconds"] > 0 for row in rows) and result["codec_seconds"] > 0
    assert len(table) == 1 + 9 + 2 and not result["interrupted"]


@pytest.mark.slow
def test_layers_of_integers_are_measured_beside_those_of_floats(benchmark):
    from songgen_hf.modeling.int8_layers import Int8Linear

    run = ["--preset", "mini", "--seconds", "0.2", "--heads", "softmax", "softmax-int8"]
    args = benchmark.parse_arguments([*run, "--passes", "1", "--rounds", "1", "--device", "cpu"])
    models = benchmark.Benchmark(args).masked

    kinds = {
        head: {type(layer) for layer in pipe.transformer.layers.modules()}
        for head, pipe in models.items()
    }
    assert Int8Linear in kinds["softmax-int8"] and Int8Linear not in kinds["softmax"]


@pytest.mark.slow
def test_an_interrupted_run_reports_the_times_so_far(benchmark, capsys, monkeypatch):
    counted = benchmark.Clock.time

    def stop_at_the_third(clock, call, network):
        stop_at_the_third.calls += 1
        if stop_at_the_third.calls == 6:  # three runs warm up
            raise KeyboardInterrupt
        return counted(clock, call, network)

    stop_at_the_third.calls = 0
    monkeypatch.setattr(benchmark.Clock, "time", stop_at_the_third)
    benchmark.main(
        ["--preset", "mini", "--seconds", "0.2", "--heads", "softmax", "--passes", "1"]
        + ["--rounds", "1", "--device", "cpu"]
    )

    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["interrupted"] and result["codec_seconds"] is None
    assert [row["mode"] for row in result["rows"]] == ["ar"]
