"""Makes the small set in this folder out of the full recordings.

    python tests/golden/select_small_set.py FULL_FOLDER [CASE ...]

Kept are some variants and runs of a few cases. Embedding rows of ids that no kept call reads are
set to zero, so that the weights compress; nothing that is compared depends on them.
"""

import json
import lzma
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

CASES = ("interleaving_A_V", "mixed_pro", "parallel_A_V")
VARIANTS = ("forward_noref", "forward_ref", "forward_dii_mask", "forward_no_lyrics")
RUNS = (
    "gen_b1",
    "gen_b1_continue",
    "gen_b1_continue_av_bypass",
    "gen_b1_max_new_tokens",
    "gen_b1_ref_nocache",
    "gen_b2_ref_row1_silent",
    "gen_eos_b2",
    "intended_b2",
)
TABLES = ("patterns/delay_tables.json", "patterns/eos_gating.json", "probes.json")
LOSSES = "training/losses.json"
SHARED = ("in.", "labels_src.", "text_encoder.", "lyrics.", "eos_rows")
TABLE_NAME = "decoder.model.decoder.embed_tokens.{}.weight"


def select_case(source: Path, target: Path) -> None:
    """Copy one case with the kept variants and runs only."""
    target.joinpath("model").mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "generation_config.json", "tiny_overrides.json"):
        shutil.copyfile(source / "model" / name, target / "model" / name)
    record = json.loads((source / "golden.json").read_text())
    record["forward"] = {n: r for n, r in record["forward"].items() if n in VARIANTS}
    record["generate"] = {n: r for n, r in record["generate"].items() if n in RUNS}
    tensors = {
        name: tensor
        for name, tensor in load_file(source / "golden.safetensors").items()
        if name.startswith(SHARED) or name.split(".")[0] in (*VARIANTS, *RUNS)
    }
    record["tensors"] = {name: record["tensors"][name] for name in sorted(tensors)}
    write_json(target / "golden.json", record)
    (target / "golden.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))

    weights = load_file(source / "model" / "model.safetensors")
    for row, used in used_ids(tensors).items():
        table = weights[TABLE_NAME.format(row)]
        table[[i for i in range(len(table)) if i not in used]] = 0
    packed = lzma.compress(save(weights, metadata={"format": "pt"}), preset=9 | lzma.PRESET_EXTREME)
    (target / "model" / "model.safetensors.xz").write_bytes(packed)


def used_ids(tensors: dict[str, torch.Tensor]) -> dict[int, set[int]]:
    """Row -> ids that some kept call feeds to the decoder."""
    num_rows = tensors["in.labels"].shape[-1]
    fed = [tensors["in.labels"].transpose(1, 2)]
    for name, tensor in tensors.items():
        if name.endswith("in.decoder_input_ids") and name.startswith("forward"):
            fed.append(tensor)
        elif name.endswith(".raw_sequences"):
            mask = tensors[name.replace("raw_sequences", "delay_pattern_mask")]
            mask = mask[:, : tensor.shape[-1]]
            ids = torch.where(mask == -1, tensor, mask)
            fed.append(ids.reshape(-1, num_rows, ids.shape[-1]))
    used = {row: {1024, 1025} for row in range(num_rows)}
    for ids in fed:
        for row in range(num_rows):
            used[row] |= set(ids[:, row].flatten().tolist())
    return used


def write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def main(full: Path, cases: tuple[str, ...]) -> None:
    here = Path(__file__).parent
    for name in TABLES:
        write_json(here / name, json.loads((full / name).read_text()))
    losses = json.loads((full / LOSSES).read_text())
    losses["cases"] = {name: case for name, case in losses["cases"].items() if name in cases}
    write_json(here / LOSSES, losses)
    for case in cases:
        select_case(full / "models" / case, here / "models" / case)


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or CASES)
