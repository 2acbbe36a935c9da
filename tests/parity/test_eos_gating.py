"""Tests of the end-of-sequence gate: a plain loop equals the reference, and the package the loop.

The recorded histories are random ids with end marks in any cell, also where the gate forbids one or
the pattern forces another id. The pointer of the reference moves by one row per call, so it lags on
such histories, which generation never produces. The plain loop is compared with every record, and
the logits processor of the package with the loop on all histories that generation can produce.
"""

import pytest
import torch

from songgen_hf.modeling.logits_process import CodebookPatternLogitsProcessor
from songgen_hf.modeling.patterns import SONGGEN_PATTERNS, CodebookPattern

from . import reference_patterns as reference
from .cases import golden_root, read_json

TABLE = "patterns/eos_gating.json"
BOS, EOS, FREE, VOCABULARY = 1025, 1024, -1, 1088


def records(kind: str) -> list:
    """Return the records of steps through a history ("steps") or of repeated calls ("calls")."""
    if not (golden_root() / TABLE).is_file():
        return []
    return [
        pytest.param(record, id=f"{i}-{record['track_pattern']}-b{record['batch_size']}")
        for i, record in enumerate(read_json(TABLE))
        if kind in record
    ]


def group_size(record: dict) -> int:
    """Return the number of rows that share a pointer, which are those of a track or of a song."""
    return record["num_codebooks_arg"] // (2 if "parallel" in record["track_pattern"] else 1)


def songs_of(record: dict) -> list:
    ids = torch.tensor(record["full_input_ids"])
    return ids.reshape(record["batch_size"], -1, ids.shape[-1]).tolist()


def blocked_by_package(processor, history: torch.Tensor) -> list[int]:
    """Return the rows of free cells in which the end mark is forbidden at the next step."""
    scores = processor(history, torch.zeros(len(history), VOCABULARY))
    free = scores.isfinite().sum(-1) > 1
    return (free & scores[:, EOS].isneginf()).nonzero().flatten().tolist()


def free_of_forced_cells(pattern: CodebookPattern, max_steps: int):
    """Return a processor with all cells free, so that only the gate has an effect."""
    processor = CodebookPatternLogitsProcessor(
        pattern,
        max_steps=max_steps + pattern.num_steps(1),
        num_frames=max_steps + 1,
        bos_token_id=BOS,
        pad_token_id=EOS,
        eos_token_id=EOS,
    )
    processor.forced_ids = torch.full_like(processor.forced_ids, FREE)
    return processor


@pytest.mark.parametrize("record", records("steps"))
def test_plain_loops_follow_the_recorded_pointers(record):
    songs = songs_of(record)
    num_rows = len(songs[0])

    walks = [reference.eos_blocked(song, group_size(record), EOS) for song in songs]

    for i, step in enumerate(record["steps"]):
        pointers, blocked = [], []
        for b, walk in enumerate(walks):
            pointers += [b * num_rows + pointer for pointer in walk[i][0]]
            blocked += [b * num_rows + row for row in walk[i][1]]
        assert blocked == step["eos_blocked_rows"]
        assert pointers == step["first_codebooks_unfinished"]


@pytest.mark.parametrize("record", records("steps"))
def test_the_gate_follows_the_recorded_rows_on_allowed_histories(record):
    songs = songs_of(record)
    name = record["track_pattern"]
    pattern = CodebookPattern(name, group_size(record))
    compared = 0

    for song in songs:
        history = torch.tensor(song)
        processor = free_of_forced_cells(pattern, history.shape[-1])
        walk = reference.eos_blocked(song, group_size(record), EOS)
        for columns in range(1, history.shape[-1] + 1):
            allowed = [row for row in range(len(song)) if row not in walk[columns - 2][1]]
            ends = (history[:, columns - 1] == EOS).nonzero().flatten().tolist()
            if columns > 1 and not set(ends) <= set(allowed):
                break  # an end mark where the gate forbids one
            assert blocked_by_package(processor, history[:, :columns]) == walk[columns - 1][1]
            compared += 1

    assert compared >= len(songs)


@pytest.mark.parametrize("record", records("calls"))
def test_the_gate_is_a_function_of_the_history_only(record):
    history = torch.tensor(record["input_ids"])
    pattern = CodebookPattern(record["track_pattern"], len(history))
    processor = free_of_forced_cells(pattern, history.shape[-1])

    blocked = [blocked_by_package(processor, history) for _ in record["calls"]]

    assert blocked == [blocked[0]] * len(blocked)


@pytest.mark.parametrize("name", SONGGEN_PATTERNS)
@pytest.mark.parametrize("seed", range(5))
def test_the_gate_equals_the_plain_loop_on_every_allowed_history(name, seed):
    pattern = CodebookPattern(name, 3)
    num_frames = 6
    num_steps = pattern.num_steps(num_frames)
    processor = CodebookPatternLogitsProcessor(
        pattern,
        max_steps=num_steps,
        num_frames=num_frames,
        bos_token_id=BOS,
        pad_token_id=EOS,
        eos_token_id=EOS,
    )
    forced = pattern.forced_ids(num_steps, num_frames, BOS, EOS)[0]
    counts = (forced == FREE).tolist()
    generator = torch.Generator().manual_seed(seed)
    history = forced[:, :1]

    for step in range(1, num_steps):
        _, blocked = reference.eos_blocked(history.tolist(), 3, EOS, counts)[-1]
        free = [row for row in range(pattern.num_rows) if counts[row][step]]
        assert blocked_by_package(processor, history) == [row for row in blocked if row in free]
        column = torch.randint(0, 1000, (pattern.num_rows,), generator=generator)
        draws = torch.rand(pattern.num_rows, generator=generator)
        for row in range(pattern.num_rows):
            ended = any(history[row, c] == EOS for c in range(step) if counts[row][c])
            if ended or (row in free and row not in blocked and draws[row] < 0.4):
                column[row] = EOS
            elif row not in free:
                column[row] = forced[row, step]
        history = torch.cat([history, column[:, None]], dim=1)
