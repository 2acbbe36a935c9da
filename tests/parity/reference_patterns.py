"""The pattern functions of the reference as plain loops that follow its specification.

They connect the recorded tables, which hold masks for codebook rows, with the closed form of the
package, which computes positions: test_patterns.py compares each loop with the tables, and the
package with the loops at other sizes. Ids are nested lists, [K][S] for one track and
[rows][columns] for a combination.
"""

FREE = -1


def delay_mask(ids: list, max_length: int, bos: int, pad: int) -> tuple[list, list]:
    """Delay the start ids of a sample; return them and a mask with -1 where ids are predicted.

    Raises:
        ValueError: if a row's delayed ids exceed ``max_length``.
    """
    num_codebooks, given = len(ids), len(ids[0])
    if max_length < 2 * num_codebooks - 1:
        return ids, [[FREE] * max_length for _ in ids]
    if given + num_codebooks - 1 > max_length:
        raise ValueError(
            f"{given} start columns and a delay of {num_codebooks - 1} exceed {max_length} columns"
        )
    mask = []
    for k, row in enumerate(ids):
        line = []
        for column in range(max_length):
            if column <= k:
                line.append(bos)
            elif column >= max_length - num_codebooks + 1 + k:
                line.append(pad)
            elif column - k < given:
                line.append(row[column - k])
            else:
                line.append(FREE)
        mask.append(line)
    return [line[: mask[0].index(FREE) if FREE in mask[0] else given] for line in mask], mask


def apply_mask(ids: list, mask: list) -> list:
    """Replace ids by the values of a mask, except where the mask is free."""
    return [
        [value if forced == FREE else forced for value, forced in zip(row, line, strict=False)]
        for row, line in zip(ids, mask, strict=True)
    ]


def delayed_training_ids(codes: list, bos: int, eos: int) -> list:
    """Delay codes [K][F] to ids [K][1 + F + K] with begin marks before and end marks after them."""
    num_codebooks, frames = len(codes), len(codes[0])
    _, mask = delay_mask([[bos, *row] for row in codes], frames + 1 + num_codebooks, bos, eos)
    return [[eos if value == FREE else value for value in line] for line in mask]


def combine(accompaniment: list, vocal: list, pattern: str, bos: int, pad: int) -> list:
    """Combine two delayed tracks [K][T] to the rows of a dual-track pattern."""
    if pattern.startswith("interleaving"):
        first, second = (
            (accompaniment, vocal) if pattern.endswith("A_V") else (vocal, accompaniment)
        )
        return [
            [value for pair in zip(a, b, strict=True) for value in pair]
            for a, b in zip(first, second, strict=True)
        ]
    if pattern == "parallel_std":
        return [list(row) for row in accompaniment] + [list(row) for row in vocal]
    leading = [[*row, pad] for row in (accompaniment if pattern == "parallel_A_V" else vocal)]
    lagging = [[bos, *row] for row in (vocal if pattern == "parallel_A_V" else accompaniment)]
    return leading + lagging if pattern == "parallel_A_V" else lagging + leading


def split(rows: list, pattern: str, num_codebooks: int) -> tuple[list, list]:
    """Split rows into (accompaniment, vocal), including the padding of :func:`combine`."""
    if pattern.startswith("interleaving"):
        even, odd = [row[0::2] for row in rows], [row[1::2] for row in rows]
        return (even, odd) if pattern.endswith("A_V") else (odd, even)
    return rows[:num_codebooks], rows[num_codebooks:]


def combined_mask(
    accompaniment: list, vocal: list, pattern: str, max_length: int, bos: int, pad: int
):
    """Return start ids and mask of two tracks from their start ids [K][S], begin mark first."""
    started = [delay_mask(track, max_length, bos, pad) for track in (accompaniment, vocal)]
    tails = [[line[1:] for line in mask] for _, mask in started]
    mask = [[bos, *line] for line in combine(*tails, pattern, bos, pad)]
    if all(row == [bos] for track in (accompaniment, vocal) for row in track):
        return [[bos] for _ in mask], mask
    heads = [[line[1:] for line in ids] for ids, _ in started]
    ids = [[bos, *line] for line in combine(*heads, pattern, bos, pad)]
    if pattern in ("parallel_A_V", "parallel_V_A"):
        ids = [line[:-1] for line in ids]
    return ids, mask


def full_mask(prompt: list, pattern: str, max_length: int, bos: int, pad: int):
    """Return start ids and mask of any pattern for a prompt [tracks][K][S] without begin marks."""
    tracks = [[[bos, *row] for row in track] for track in prompt]
    if len(tracks) == 1:
        return delay_mask(tracks[0], max_length, bos, pad)
    return combined_mask(*tracks, pattern, max_length, bos, pad)


def read_back(rows: list, pattern: str, num_codebooks: int, bos: int, pad: int) -> list:
    """Undo the delay of a complete sequence [rows][L]: codes [tracks][K][frames]."""
    length = len(rows[0])
    dual = not pattern.startswith("mixed")
    if pattern.startswith("interleaving"):
        length -= 1 - length % 2
        per_track = (length - 1) // 2 + 1
    else:
        per_track = length - (pattern in ("parallel_A_V", "parallel_V_A"))
    empty = [[[] for _ in range(num_codebooks)] for _ in range(2 if dual else 1)]
    _, mask = full_mask(empty, pattern, per_track, bos, pad)
    marks = [[0 if value in (bos, pad) else 1 for value in line] for line in mask]
    if not dual:
        return [
            [
                [v for v, keep in zip(row, line, strict=False) if keep]
                for row, line in zip(rows, marks, strict=True)
            ]
        ]
    # The begin column belongs to both tracks; the other columns are interleaved or stacked.
    values = split([row[1:length] for row in rows], pattern, num_codebooks)
    keeps = split([line[1:length] for line in marks], pattern, num_codebooks)
    return [
        [
            [v for v, k in zip(row, line, strict=True) if k]
            for row, line in zip(track, keep, strict=True)
        ]
        for track, keep in zip(values, keeps, strict=True)
    ]


def eos_blocked(
    history: list, group_size: int, eos: int, free: list | None = None
) -> list[tuple[list, list]]:
    """Apply the end-of-sequence gate to the history of a sample [rows][columns], column by column.

    Args:
        history: ids of the sample.
        group_size: number of rows that share a pointer.
        eos: id of the end mark.
        free: [rows][columns], whether an end mark in a cell counts; None counts all, as in the
            reference.

    Returns:
        For each column the pointer of each group and the rows in which the end mark is forbidden.
    """
    num_rows = len(history)
    pointers = list(range(0, num_rows, group_size))
    steps = []
    for columns in range(1, len(history[0]) + 1):
        for group, pointer in enumerate(pointers):
            ended = any(
                history[pointer][c] == eos and (free is None or free[pointer][c])
                for c in range(columns)
            )
            if ended and pointer < (group + 1) * group_size - 1:
                pointers[group] = pointer + 1
        blocked = [row for row in range(num_rows) if row > pointers[row // group_size]]
        steps.append((list(pointers), blocked))
    return steps
