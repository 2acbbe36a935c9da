"""The benchmark of steps reports every row, and writes its table into a page."""

import json

import pytest

KEYS = (
    "fp32_ms fp32_compiled_ms fp32_floor_ms bf16_ms int8_ms int8_floor_ms int4_ms bf16_batch8_ms "
    "guidance_ms voice_ms interleaving_ms musicgen_ms mini_ms"
).split()
BEGIN, END = "<!-- begin of the table of speed.py -->", "<!-- end of the table of speed.py -->"
MEASURED = set(KEYS) - {"fp32_compiled_ms", "int8_ms", "int8_floor_ms", "int4_ms"}


@pytest.mark.slow
def test_the_last_line_has_every_row_and_the_page_has_the_table(benchmark, capsys, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    arguments = ["--preset", "mini", "--rounds", "1", "--eager", "--lengths", "20"]

    benchmark.main([*arguments, "--page", str(page)])

    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result.keys() >= set(KEYS) | {"machine", "threads", "seed", "versions", "rounds"}
    after = {"after_20_ms", "bf16_batch8_after_20_ms"}
    assert all(result[name] > 0 for name in MEASURED | after | {"read_gb_per_s"})
    assert result["fp32_compiled_ms"] is None
    for name in ("encode_fp32", "decode_bf16"):
        assert 0 < result[f"{name}_floor_ms"] < result[f"{name}_ms"]
    text = page.read_text()
    assert text.startswith("# Speed\n\n<!--") and text.endswith("-->\n\nThe end.\n")
    assert "| bfloat16, batch of 8, after 20 steps, without sampling |" in text
    assert "old" not in text and f"| float32 | {result['fp32_ms']:.1f} | 1.00 |" in text


def test_a_page_without_a_place_for_the_table_stays(benchmark, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Speed\n")

    with pytest.raises(ValueError, match="has no place for the table"):
        benchmark.write_page(page, {})

    assert page.read_text() == "# Speed\n"


def test_the_products_are_those_of_the_weights_that_a_step_reads(benchmark, tiny_model):
    model = tiny_model("mixed")
    counted = sum(layer.weight.numel() for layer in benchmark.step_layers(model))

    layers = model.decoder.model.layers
    every = sum(weight.numel() for weight in layers.parameters() if weight.ndim == 2)
    cached = sum(
        layer.encoder_attn.k_proj.weight.numel() + layer.encoder_attn.v_proj.weight.numel()
        for layer in layers
    )
    assert counted == every - cached + model.decoder.lm_heads.weight.numel()
