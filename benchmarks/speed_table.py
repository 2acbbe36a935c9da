"""The rows of ``benchmarks/speed.py``, as a Markdown table that replaces that of a page."""

from pathlib import Path
from typing import Any

import torch

from songgen_hf.files import write_files

BEGIN, END = "<!-- begin of the table of speed.py -->", "<!-- end of the table of speed.py -->"

ROWS = {
    "fp32_ms": "float32",
    "fp32_compiled_ms": "float32, compiled",
    "fp32_floor_ms": "float32, products alone",
    "bf16_ms": "bfloat16",
    "bf16_compiled_ms": "bfloat16, compiled",
    "int8_ms": "int8",
    "int8_compiled_ms": "int8, compiled",
    "int8_floor_ms": "int8, products alone",
    "int4_ms": "int4",
    "bf16_batch8_ms": "bfloat16, batch of 8",
    "guidance_ms": "float32, guidance",
    "guidance_compiled_ms": "float32, guidance, compiled",
    "voice_ms": "float32, voice",
    "interleaving_ms": "float32, interleaved tracks",
    "musicgen_ms": "MusicGen, float32",
    "mini_eager_ms": "songgen-mini, guidance, 1 thread",
    "mini_int8_ms": "songgen-mini, guidance, 1 thread, int8",
    "mini_ms": "songgen-mini, guidance, 1 thread, compiled",
}
AFTER = {
    "": "float32, after {} steps, without sampling",
    "bf16_batch8_": "bfloat16, batch of 8, after {} steps, without sampling",
    "int8_compiled_": "int8, compiled, after {} steps, without sampling",
}
CODEC_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def table(result: dict[str, Any]) -> str:
    """The rows as a Markdown table, with the ratio to float32."""
    names = {**ROWS}
    if not result["mini_compiled"]:
        names["mini_ms"] = names["mini_ms"].removesuffix(", compiled")
    for name in result:
        row, found, length = name.removesuffix("_ms").rpartition("after_")
        if found:
            names[name] = AFTER[row].format(length)
    lines = ["| a step of | ms | float32 = 1 |", "| --- | ---: | ---: |"]
    for name, title in names.items():
        value = result[name]
        shown = "-" if value is None else f"{value:.1f}"
        ratio = "-" if value is None else f"{value / result['fp32_ms']:.2f}"
        lines.append(f"| {title} | {shown} | {ratio} |")
    lines += ["", "| a second of audio | ms | its floor |", "| --- | ---: | ---: |"]
    for way in ("encode", "decode"):
        for name, dtype in CODEC_DTYPES.items():
            value, floor = result[f"{way}_{name}_ms"], result[f"{way}_{name}_floor_ms"]
            title = f"codec, {way}, {str(dtype).removeprefix('torch.')}"
            lines.append(f"| {title} | {value:.0f} | {floor:.0f} |")
    return "\n".join(lines)


def described(result: dict[str, Any]) -> str:
    """The machine and the versions of a run, in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['machine']}, which read {result['read_gb_per_s']} GB/s; {result['threads']} "
        f"threads; {versions}; preset {result['preset']}, random weights, seed {result['seed']}; "
        f"medians of {result['rounds']} rounds."
    )


def write_page(page: Path, result: dict[str, Any]) -> None:
    """Replace the table of a page.

    Raises:
        ValueError: if the page does not mark its place.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, rest = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table: expected {BEGIN} and {END}")
    text = f"{before}{BEGIN}\n\n{table(result)}\n\n{described(result)}\n\n{END}{rest}"
    write_files({page: text.encode()})
