"""Write the table of memory in docs/released-weights.md, computed from configurations.

    python docs/memory.py

Nothing is allocated or measured: ``songgen_hf/cli/footprint.py`` counts the weights and the keys
and values that songs of 30 seconds have at their end.
"""

import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "released-weights.md"
PLACE = re.compile(r"(<!-- memory -->\n).*?(<!-- end of memory -->)", re.S)
PRESETS = {"full": "published size", "mini": "songgen-mini"}
PATTERNS = ("mixed_pro", "interleaving_A_V")
SONGS = (1, 8, 64)
SECONDS = 30
CONDITIONS = 400  # states of a description, two lines of lyrics and three seconds of a voice
GIB = 2**30


def main() -> None:
    """Write the table into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PLACE.sub(rf"\1{table()}\2", page), encoding="utf-8")


def table() -> str:
    """The table as Markdown, in GiB."""
    heads = " | ".join(f"{count} song{'s' if count > 1 else ''}" for count in SONGS)
    lines = [f"| model | precision | weights | {heads} |", "|---" * (3 + len(SONGS)) + "|"]
    for preset, label in PRESETS.items():
        for pattern in PATTERNS:
            for dtype, weights, caches in sizes(preset, pattern):
                numbers = [weights, *(weights + cache for cache in caches)]
                cells = " | ".join(f"{number / GIB:.2f}" for number in numbers)
                lines.append(f"| {label}, {pattern} | {dtype} | {cells} |")
    return "\n".join(lines) + "\n"


def sizes(preset: str, pattern: str) -> Iterator[tuple[str, int, list[int]]]:
    """For each precision: its name, the bytes of the weights, and those of so many songs."""
    from songgen_hf.cli.footprint import cache_bytes, empty_model, weight_bytes
    from songgen_hf.modeling.int8_layers import linear_layers
    from songgen_hf.modeling.int8_loading import ROUNDED
    from songgen_hf.presets.models import build_config

    config = build_config(preset, pattern)
    model = empty_model(config)
    for dtype in ("float32", "bfloat16", "int8"):
        computed = "float32" if dtype == "int8" else dtype
        weights = weight_bytes(model, computed)
        if dtype == "int8":  # one byte instead of four, and a scale of each row
            weights -= sum(
                3 * layer.weight.numel() - 4 * layer.out_features
                for part in ROUNDED
                for _, layer in linear_layers(model.get_submodule(part))
            )
        caches = [
            cache_bytes(config, SECONDS, songs=songs, conditions=CONDITIONS, dtype=computed)
            for songs in SONGS
        ]
        yield dtype, weights, caches


if __name__ == "__main__":
    main()
