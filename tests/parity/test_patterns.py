"""Tests of the token patterns against the recorded tables and against plain loops."""

import itertools

import pytest
import torch

from songgen_hf.modeling.patterns import SONGGEN_PATTERNS, CodebookPattern

from . import reference_patterns as reference
from .cases import golden_root, read_json

BOS, PAD = 1025, 1024
TABLES = "patterns/delay_tables.json"


def records(name: str) -> list:
    """Return the records of a table at collection time; empty if the golden folder has none."""
    if not (golden_root() / TABLES).is_file():
        return []
    return [
        pytest.param(record, id=f"{name}-{i}")
        for i, record in enumerate(read_json(TABLES).get(name, []))
    ]


def table(name: str):
    return pytest.mark.parametrize("record", records(name))


def samples_of(ids: list, num_codebooks: int) -> list:
    """Return ids [B*K][S] or [B][K][S] as [B][K][S]."""
    return torch.tensor(ids).reshape(-1, num_codebooks, torch.tensor(ids).shape[-1]).tolist()


def prompt_of(ids: list) -> list:
    """Return start ids [K][1 + S] of a track without their begin mark."""
    return [row[1:] for row in ids]


def package_mask(prompt: list, pattern: CodebookPattern, max_length: int, width: int) -> list:
    """Return the mask of the package for one sample, with the closing padding of the reference."""
    codes = torch.tensor(prompt, dtype=torch.long).reshape(
        1, pattern.num_tracks, pattern.num_codebooks, -1
    )
    return pattern.forced_ids(
        width,
        num_frames=max_length - pattern.num_codebooks,
        bos_token_id=BOS,
        pad_token_id=PAD,
        known_codes=codes,
    )[0].tolist()


@table("build_delay_pattern_mask")
def test_plain_loops_give_the_recorded_masks_of_one_track(record):
    samples = samples_of(record["input_ids"], record["num_codebooks"])
    if record["status"] == "crash":
        with pytest.raises(ValueError, match="exceed"):
            reference.delay_mask(samples[0], record["max_length"], BOS, PAD)
        return

    started = [reference.delay_mask(ids, record["max_length"], BOS, PAD) for ids in samples]

    flat = [line for ids, _ in started for line in ids]
    mask = [line for _, lines in started for line in lines]
    assert (
        torch.tensor(flat).flatten().tolist()
        == torch.tensor(record["output"]["input_ids"]).flatten().tolist()
    )
    assert mask == record["output"]["pattern_mask"]


@table("build_delay_pattern_mask")
def test_the_package_gives_the_recorded_masks_of_one_track(record):
    num_codebooks = record["num_codebooks"]
    if record["max_length"] < 2 * num_codebooks - 1:
        pytest.skip(
            "too short for the closing triangle: the reference drops the delay, ours keeps it"
        )
    samples = samples_of(record["input_ids"], num_codebooks)
    if any(row[0] != BOS for ids in samples for row in ids):
        pytest.skip(
            "start ids without a begin mark: ours takes codes only and adds the mark itself"
        )
    pattern = CodebookPattern("mixed", num_codebooks)
    if record["status"] == "crash":
        pytest.skip(
            "more start ids than columns: generate() refuses them, the pattern has no such limit"
        )
    expected = record["output"]["pattern_mask"]
    arguments = pattern, record["max_length"], len(expected[0])

    mask = [line for ids in samples for line in package_mask([prompt_of(ids)], *arguments)]

    assert mask == expected


@table("apply_delay_pattern_mask")
def test_applying_a_mask_matches_the_recorded_ids(record):
    assert reference.apply_mask(record["input_ids"], record["mask"]) == record["output"]


@table("delayed_labels")
def test_plain_loops_give_the_recorded_labels(record):
    codes = record["codes"]

    labels = [row[1:] for row in reference.delayed_training_ids(codes, BOS, PAD)]

    assert labels == record["labels"]


@table("delayed_labels")
def test_the_package_gives_the_recorded_labels(record):
    codes = torch.tensor(record["codes"])
    num_codebooks, frames = codes.shape
    if frames + 1 + num_codebooks < 2 * num_codebooks - 1:
        pytest.skip("too short for the closing triangle: the reference drops delay and codes")

    labels = CodebookPattern("mixed", num_codebooks).labels(
        codes[None, None], bos_token_id=BOS, eos_token_id=PAD
    )

    assert labels[0].T.tolist() == record["labels"]


@table("ref_audio_ids")
def test_recorded_reference_ids_follow_the_same_delay(record):
    codes = torch.tensor(record["codes"])
    codes = codes.reshape(-1, codes.shape[-1]).tolist()

    assert reference.delayed_training_ids(codes, record["bos"], record["eos"]) == record["output"]


@table("combine_track_input_ids")
def test_combining_tracks_matches_the_recorded_rows(record):
    rows = (
        [
            reference.combine(a, v, record["pattern"], BOS, PAD)
            for a, v in zip(record["acc"], record["vocal"], strict=True)
        ]
        if isinstance(record["acc"][0][0], list)
        else [reference.combine(record["acc"], record["vocal"], record["pattern"], BOS, PAD)]
    )

    assert rows == record["output"]


@table("split_combined_track_input_ids")
def test_splitting_rows_matches_the_recorded_tracks(record):
    num_codebooks = len(record["acc"][0])

    tracks = [reference.split(rows, record["pattern"], num_codebooks) for rows in record["input"]]

    assert [accompaniment for accompaniment, _ in tracks] == record["acc"]
    assert [vocal for _, vocal in tracks] == record["vocal"]


@table("build_combined_delay_pattern_mask")
def test_plain_loops_give_the_recorded_masks_of_two_tracks(record):
    pairs = list(zip(record["acc"], record["vocal"], strict=True))
    arguments = record["pattern"], record["max_length"], BOS, PAD
    if record["status"] == "crash":
        with pytest.raises(ValueError, match="exceed"):
            reference.combined_mask(*pairs[0], *arguments)
        return

    started = [reference.combined_mask(*pair, *arguments) for pair in pairs]

    assert [line for ids, _ in started for line in ids] == record["output"]["decoder_input_ids"]
    assert [line for _, mask in started for line in mask] == record["output"]["mask"]


@table("build_combined_delay_pattern_mask")
def test_the_package_gives_the_recorded_masks_of_two_tracks(record):
    num_codebooks = record["num_codebooks"]
    if record["max_length"] < 2 * num_codebooks - 1:
        pytest.skip(
            "too short for the closing triangle: the reference drops the delay, ours keeps it"
        )
    pattern = CodebookPattern(record["pattern"], num_codebooks)
    pairs = zip(record["acc"], record["vocal"], strict=True)
    prompts = [[prompt_of(accompaniment), prompt_of(vocal)] for accompaniment, vocal in pairs]
    if record["status"] == "crash":
        pytest.skip(
            "more start ids than columns: generate() refuses them, the pattern has no such limit"
        )
    expected = record["output"]["mask"]
    arguments = pattern, record["max_length"], len(expected[0])

    mask = [line for prompt in prompts for line in package_mask(prompt, *arguments)]

    assert mask == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", SONGGEN_PATTERNS)
def test_masks_equal_the_plain_loops_at_any_size(name):
    for num_codebooks, spare, prompt in itertools.product([1, 2, 5, 8], [0, 1, 6], [0, 1, 4]):
        pattern = CodebookPattern(name, num_codebooks)
        max_length = 2 * num_codebooks - 1 + prompt + spare
        generator = torch.Generator().manual_seed(7)
        codes = torch.randint(
            0, 1000, (pattern.num_tracks, num_codebooks, prompt), generator=generator
        ).tolist()

        _, mask = reference.full_mask(codes, name, max_length, BOS, PAD)

        ours = package_mask(codes, pattern, max_length, len(mask[0]))
        assert ours == mask, (num_codebooks, spare, prompt)


@pytest.mark.parametrize("name", SONGGEN_PATTERNS)
def test_revert_equals_the_plain_loops_at_any_length(name):
    for num_codebooks, spare in itertools.product([1, 2, 4, 8], [1, 2, 3, 8]):
        pattern = CodebookPattern(name, num_codebooks)
        length = 2 * (2 * num_codebooks - 1) + spare
        generator = torch.Generator().manual_seed(7)
        rows = torch.randint(0, 1000, (pattern.num_rows, length), generator=generator)

        codes = reference.read_back(rows.tolist(), name, num_codebooks, BOS, PAD)

        assert pattern.revert(rows[None])[0].tolist() == codes, (num_codebooks, spare)


@pytest.mark.parametrize("name", SONGGEN_PATTERNS)
def test_labels_equal_the_plain_loops_at_any_size(name):
    for num_codebooks, frames in [(1, 3), (2, 1), (4, 9), (8, 6), (8, 11)]:
        pattern = CodebookPattern(name, num_codebooks)
        generator = torch.Generator().manual_seed(7)
        codes = torch.randint(
            0, 1000, (pattern.num_tracks, num_codebooks, frames), generator=generator
        )

        tracks = [
            [row[1:] for row in reference.delayed_training_ids(track, BOS, PAD)]
            for track in codes.tolist()
        ]
        rows = tracks[0] if pattern.num_tracks == 1 else reference.combine(*tracks, name, BOS, PAD)

        labels = pattern.labels(codes[None], bos_token_id=BOS, eos_token_id=PAD)
        assert labels[0].T.tolist() == rows, (num_codebooks, frames)
