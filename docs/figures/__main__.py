"""Draw the figures of the documentation: python docs/figures [name ...]

Every figure is a module in this folder with ``data()``, which calls the classes of the package, and
``draw(data, palette)``. The command writes the data as JSON, a figure for light and one for dark
pages, and the clips of ``sounds()`` if the module has it. tests/docs/test_figures.py compares data
and drawing code with the digest in each figure.
"""

import hashlib
import importlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
IMAGES = HERE.parent / "img" / "figures"
AUDIO = HERE.parent / "audio"
FIGURES = ("overview", "delay", "patterns", "end_gate", "guidance", "codec", "metric_card")


def content_digest(name: str, found: dict[str, Any]) -> str:
    """The digest of the data, the drawing code and the colors of a figure."""
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode())
    for module in (name, "patterns", "palette"):
        digest.update((HERE / f"{module}.py").read_bytes())
    return digest.hexdigest()[:16]


def write_figure(name: str) -> list[Path]:
    """Compute the data of one figure, draw it and write its files."""
    import matplotlib
    import soundfile
    from palette import PALETTES, settings

    from songgen_hf.files import write_files

    module = importlib.import_module(name)
    found = module.data()
    text = json.dumps(found, separators=(",", ":")) + "\n"
    files = {IMAGES / f"{name}.json": text.encode()}
    about = f"content {content_digest(name, found)}"
    for palette in PALETTES:
        with matplotlib.rc_context(settings(palette)):
            picture = io.BytesIO()
            module.draw(found, palette).savefig(
                picture, format="svg", metadata={"Date": None, "Description": about}
            )
        files[IMAGES / f"{name}-{palette.name}.svg"] = picture.getvalue()
    for file, (samples, rate) in getattr(module, "sounds", dict)().items():
        sound = io.BytesIO()
        soundfile.write(sound, samples, rate, format="MP3")
        files[AUDIO / file] = sound.getvalue()
    write_files(files)
    return list(files)


def main(names: list[str]) -> None:
    """Write the figures of these names, or all."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise SystemExit(f"no figure {unknown[0]!r}: expected some of {', '.join(FIGURES)}")
    for name in names or FIGURES:
        for path in write_figure(name):
            size = path.stat().st_size / 1000
            print(path.relative_to(HERE.parents[1]), f"{size:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
