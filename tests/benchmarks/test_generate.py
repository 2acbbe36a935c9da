"""The benchmark of generation runs and reports all documented numbers."""

import json

import pytest

DOCUMENTED = {
    "ms_per_step",
    "ms_per_step_voice",
    "matmul_ms",
    "ratio",
    "prefill_ms",
    "codec_rtf",
    "dtype",
    "threads",
    "versions",
}


@pytest.mark.slow
def test_the_last_line_is_json_with_all_documented_numbers(benchmark, capsys):
    benchmark.main(["--preset", "mini", "--frames", "2", "--rounds", "1"])

    *table, last = capsys.readouterr().out.strip().splitlines()
    result = json.loads(last)
    assert result.keys() >= DOCUMENTED
    assert all(result[name] > 0 for name in DOCUMENTED - {"dtype", "versions"})
    assert len(table) == 7


@pytest.mark.slow
def test_the_matrix_products_use_all_weights_that_a_step_reads(benchmark, tiny_model):
    model = tiny_model("mixed")
    decoder = model.decoder

    counted = sum(weight.numel() for weight in benchmark.step_weights(model))

    layers = sum(p.numel() for p in decoder.model.layers.parameters() if p.ndim == 2)
    prefill_only = sum(
        layer.encoder_attn.k_proj.weight.numel() + layer.encoder_attn.v_proj.weight.numel()
        for layer in decoder.model.layers
    )
    assert counted == layers - prefill_only + decoder.lm_heads.weight.numel()
