"""The token patterns, which place each code of a song in a row and a step of the decoder.

A song is ``codes`` [B, tracks, K, T]; the decoder reads and writes ``delayed_ids`` [B, rows, L],
one id for each row and step. All patterns follow from one formula with four parameters: whether
each track has its own rows, the steps from one frame to the next, the steps from one codebook to
the next, and the lag of each track in steps. The module depends on no network and on no sampling.

Sources: the delay, parallel and flattening patterns of MusicGen (arXiv 2306.05284, section 2.2) and
the track patterns of SongGen (arXiv 2502.13128, section 3.2).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SONGGEN_PATTERNS = (
    "mixed",
    "mixed_pro",
    "parallel_std",
    "parallel_A_V",
    "parallel_V_A",
    "interleaving_A_V",
    "interleaving_V_A",
)
TRACK_PATTERNS = (*SONGGEN_PATTERNS, "mixed_no_delay", "mixed_flat")

ACCOMPANIMENT, VOCAL = 0, 1
FREE = -1
IGNORED_LABEL = -100


class CodebookPattern:
    """A token pattern: the row and the step of the decoder that hold each code of a song.

    Step 0 holds the begin-of-sequence id (B) in every row. Codebook ``k`` of frame ``f`` of a track
    is at step ``1 + stride * f + delay * k + lag``. In the seven patterns of SongGen the delay of a
    codebook is one frame, which is two steps if the tracks are interleaved; a track may lag by one
    step. Two more patterns have no such delay: all codebooks of a frame in one step (no delay), or
    each in a step of its own (flat). With K = 3, the codes a to i, and P for padding and end of
    sequence:

        mixed          interleaving_A_V           parallel_A_V (rows of A above, of V below)
        B a b c P P    B a A b B c C P P P P      B a b c P P P
        B B d e f P    B B B d D e E f F P P      B B d e f P P
        B B B g h i    B B B B B g G h H i I      B B B g h i P
                                                  B B A B C P P
                                                  B B B D E F P
                                                  B B B B G H I

        mixed_no_delay   mixed_flat (K - 1 of K cells hold no code, but B)
        B a b c          B a B B b B B c B B
        B d e f          B B d B B e B B f B
        B g h i          B B B g B B h B B i

    Args:
        name: one of ``TRACK_PATTERNS``. Track 0 is the accompaniment, or the mixture in the mixed
            patterns; track 1 is the vocal.
        num_codebooks: K, number of codebooks of one track.

    Raises:
        ValueError: for an unknown name or ``num_codebooks < 1``.
    """

    def __init__(self, name: str, num_codebooks: int):
        if name not in TRACK_PATTERNS:
            raise ValueError(
                f"unknown track_pattern: got {name!r}, expected one of "
                f"{', '.join(TRACK_PATTERNS)}; set decoder.track_pattern to one of them"
            )
        if num_codebooks < 1:
            raise ValueError(f"num_codebooks must be at least 1: got {num_codebooks}")
        self.name = name
        self.num_codebooks = num_codebooks
        self.num_tracks = 1 if name.startswith("mixed") else 2
        self.has_rows_per_track = name.startswith("parallel")
        self.num_rows = num_codebooks * (2 if self.has_rows_per_track else 1)
        self.is_interleaved = name.startswith("interleaving")
        self.stride = num_codebooks if name == "mixed_flat" else 2 if self.is_interleaved else 1
        self.delay = {"mixed_no_delay": 0, "mixed_flat": 1}.get(name, self.stride)
        if name.endswith("_A_V"):
            self.lags: tuple[int, ...] = (0, 1)
        elif name.endswith("_V_A"):
            self.lags = (1, 0)
        else:
            self.lags = (0,) * self.num_tracks

    def __repr__(self) -> str:
        return f"CodebookPattern({self.name!r}, num_codebooks={self.num_codebooks})"

    def index(self, num_frames: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return the row and the step of every code.

        Returns:
            Two int64 tensors [tracks, K, T]: ``delayed_ids[:, row, step]`` are the codes.
        """
        track = torch.arange(self.num_tracks, device=device)[:, None, None]
        codebook = torch.arange(self.num_codebooks, device=device)[None, :, None]
        frame = torch.arange(num_frames, device=device)[None, None, :]
        lag = self._lag(track)
        rows = codebook + track * self.num_codebooks * self.has_rows_per_track + 0 * frame
        steps = 1 + self.stride * frame + self.delay * codebook + lag
        return rows, steps

    def cells(self, num_steps: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Return the track and the frame of every cell.

        Returns:
            Two int64 tensors [rows, num_steps]: the frame is negative before a row's first code. A
            cell without a code (``mixed_flat``) has the frame of the code before it.
        """
        track, offset = self._offsets(num_steps, device)
        return track, offset.div(self.stride, rounding_mode="floor")

    def _offsets(self, num_steps: int, device: torch.device | None) -> tuple[Tensor, Tensor]:
        """The track of every cell, and its steps after the first code, both [rows, num_steps].

        The cell holds a code if the latter is a multiple of the stride.
        """
        offset = torch.arange(num_steps, device=device)[None, :] - 1
        row = torch.arange(self.num_rows, device=device)[:, None]
        if self.is_interleaved:
            track = self.track_of_steps(offset).expand(self.num_rows, -1)
        else:
            track = (row // self.num_codebooks).expand(-1, num_steps)
        return track, offset - self._lag(track) - self.delay * (row % self.num_codebooks)

    def _lag(self, track: Tensor) -> Tensor:
        """The lags of tracks, computed on their device: a copy of a table would be waited for."""
        return self.lags[0] + track * (self.lags[-1] - self.lags[0])

    def num_label_steps(self, num_frames: Any) -> Any:
        """Return the number of steps of the labels of a song, or of each song of a tensor."""
        last = self.delay * (self.num_codebooks - 1) + max(self.lags)
        return 1 + self.stride * num_frames + last

    def num_steps(self, num_frames: int) -> int:
        """Return the number of steps that hold all codes of ``num_frames`` frames.

        The begin-of-sequence step is included.
        """
        if num_frames < 1:
            return 1
        return self.num_label_steps(num_frames - 1) + 1

    def num_frames(self, num_steps: int) -> int:
        """Return the number of frames per track whose codes all lie within ``num_steps`` steps.

        It is 0 if no frame does.
        """
        return max(0, (num_steps - self.num_steps(1)) // self.stride + 1)

    def first_free_step(self, num_prompt_frames: int) -> int:
        """Return the first step in which a prompt of that many frames does not fix every row."""
        return 1 + self.stride * num_prompt_frames

    def track_of_steps(self, steps: Tensor) -> Tensor:
        """Return the track (0 or 1) that a decoder step predicts, in an interleaved pattern.

        Args:
            steps: indices of steps, the begin-of-sequence step 0 included. Step s predicts the ids
                of step s + 1, which all belong to one track.

        Raises:
            ValueError: for a pattern that is not interleaved, whose steps hold all tracks.
        """
        if not self.is_interleaved:
            raise ValueError(
                f"a step of {self.name} holds all of its tracks, expected interleaving"
            )
        return torch.where(steps % 2 == self.lags[VOCAL], VOCAL, ACCOMPANIMENT)

    def apply(self, codes: Tensor, *, bos_token_id: int, pad_token_id: int) -> Tensor:
        """Write codes [B, tracks, K, T] in the pattern.

        Returns:
            delayed_ids [B, rows, L] with L = ``num_steps(T)``. The cells before the first code of a
            row and between its codes hold ``bos_token_id``, those of later frames ``pad_token_id``.

        Raises:
            ValueError: if the shape does not fit the pattern.
        """
        self.check_codes(codes, "codes")
        num_frames = codes.shape[-1]
        cells = self.forced_ids(
            self.num_steps(num_frames), num_frames, bos_token_id, pad_token_id, codes.device
        )
        delayed = cells.expand(codes.shape[0], -1, -1).clone()
        rows, steps = self.index(num_frames, codes.device)
        delayed[:, rows, steps] = codes
        return delayed

    def revert(self, delayed_ids: Tensor, num_frames: int | None = None) -> Tensor:
        """Read codes [B, tracks, K, T] back from the pattern.

        Args:
            delayed_ids: [B, rows, L] ids in the pattern, begin-of-sequence step first.
            num_frames: T; by default the number of frames whose codes all lie within L steps.

        Raises:
            ValueError: if the number of rows is wrong or L is too small for ``num_frames``.
        """
        if delayed_ids.ndim != 3 or delayed_ids.shape[1] != self.num_rows:
            raise ValueError(
                f"delayed_ids must be [B, {self.num_rows}, L] for {self.name}: got "
                f"{list(delayed_ids.shape)}"
            )
        available = self.num_frames(delayed_ids.shape[-1])
        if num_frames is None:
            num_frames = available
        elif num_frames > available:
            raise ValueError(
                f"{num_frames} frames need {self.num_steps(num_frames)} steps: got "
                f"{delayed_ids.shape[-1]}, which hold {available} frames"
            )
        rows, steps = self.index(num_frames, delayed_ids.device)
        return delayed_ids[:, rows, steps]

    def forced_ids(
        self,
        num_steps: int,
        num_frames: int,
        bos_token_id: int,
        pad_token_id: int,
        device: torch.device | None = None,
        known_codes: Tensor | None = None,
    ) -> Tensor:
        """Return the id that the pattern or a known code prescribes in each cell.

        Args:
            num_steps: L, number of steps.
            num_frames: frames of a track, prompt included, after which its cells hold
                ``pad_token_id``.
            bos_token_id: id of the cells before a row's first code, and of those between its codes:
                the end of sequence, which may be the padding, would end the row.
            pad_token_id: id of the cells after ``num_frames``.
            device: device of the result.
            known_codes: [B, tracks, K, S] codes of the songs, -1 (``FREE``) where a code is to be
                predicted; S <= ``num_frames``.

        Returns:
            int64 [B or 1, rows, L]: the forced id, or -1 (``FREE``) where a code is to be
            predicted.
        """
        step = torch.arange(num_steps, device=device)[None, :]
        offset = self._offsets(num_steps, device)[1]
        forced = torch.full_like(offset, FREE)
        forced[(offset < 0) | (offset % self.stride != 0) | (step == 0)] = bos_token_id
        forced[offset >= self.stride * num_frames] = pad_token_id
        forced = forced[None]  # [1, rows, L]
        if known_codes is not None and known_codes.shape[-1] > 0:
            self.check_codes(known_codes, "known_codes")
            forced = forced.repeat(known_codes.shape[0], 1, 1)
            rows, steps = self.index(known_codes.shape[-1], device)
            inside = steps < num_steps
            forced[:, rows[inside], steps[inside]] = known_codes[:, inside].to(forced.dtype)
        return forced

    def labels(
        self,
        codes: Tensor | Sequence[Tensor],
        *,
        bos_token_id: int,
        eos_token_id: int,
    ) -> Tensor:
        """Return the labels for training on a batch of songs, which can have different lengths.

        Each row holds the steps after the first one: begin-of-sequence ids, its codes, and
        end-of-sequence ids up to the end mark of the last row, so that every row has at least one
        end of sequence. The loss ignores begin-of-sequence ids, before and between the codes.

        Args:
            codes: [B, tracks, K, T], or a sequence of [tracks, K, T_i].
            bos_token_id: id of the cells before a row's first code and between its codes.
            eos_token_id: id of the cells after a row's last code.

        Returns:
            int64 [B, L', rows], shorter songs padded with -100. L' is ``num_label_steps(T)``: T + K
            for one track, twice that for interleaved tracks, one more for parallel tracks of which
            one lags, T + 1 without delay, and K * (T + 1) for ``mixed_flat``.

        Raises:
            ValueError: if a song's shape does not fit the pattern, or if a code is negative or one
                of the special ids.
        """
        songs = list(codes)
        special = min(bos_token_id, eos_token_id)
        for song in songs:
            self.check_codes(song[None], "codes")
            if song.numel() and (song.min() < 0 or 0 <= special <= song.max()):
                raise ValueError(
                    f"codes must lie in [0, {special}): got [{int(song.min())}, "
                    f"{int(song.max())}]; cut the frames that hold special ids"
                )
        device = songs[0].device
        num_frames = torch.tensor([song.shape[-1] for song in songs])
        longest = max(1, int(num_frames.max()))
        shape = (len(songs), self.num_tracks, self.num_codebooks, longest)
        padded = songs[0].new_zeros(shape, dtype=torch.int64)
        for place, song in zip(padded, songs, strict=True):
            place[..., : song.shape[-1]] = song
        lengths = num_frames.to(device)[:, None, None]
        num_steps = int(self.num_label_steps(num_frames.max()))
        track, offset = (cell[:, 1:].T for cell in self._offsets(num_steps + 1, device))
        frame = offset.div(self.stride, rounding_mode="floor")  # [L', rows]
        codebook = torch.arange(self.num_rows, device=device) % self.num_codebooks
        place = (track * self.num_codebooks + codebook) * longest + frame.clamp(0, longest - 1)
        labels = padded.flatten(1)[:, place]  # [B, L', rows]
        labels.masked_fill_((frame < 0) | (offset % self.stride != 0), bos_token_id)
        labels.masked_fill_(frame >= lengths, eos_token_id)
        step = torch.arange(num_steps, device=device)[:, None]
        return labels.masked_fill_(step >= self.num_label_steps(lengths), IGNORED_LABEL)

    def check_codes(self, codes: Tensor, name: str) -> None:
        """Raise ValueError unless ``codes`` is [B, tracks, K, T] of this pattern."""
        expected = (self.num_tracks, self.num_codebooks)
        if codes.ndim != 4 or tuple(codes.shape[1:3]) != expected:
            raise ValueError(
                f"{name} must be [B, {expected[0]}, {expected[1]}, T] (batch, tracks, codebooks, "
                f"frames) for {self.name}: got {list(codes.shape)}"
            )


def known_beginning(known_codes: Tensor) -> int:
    """Return with how many frames all songs begin whose codes [B, tracks, K, S] are all known."""
    known = (known_codes != FREE).all(dim=0).flatten(end_dim=-2).all(dim=0)  # [S]
    return int(known.int().cumprod(dim=0).sum())


def known_end(known_codes: Tensor) -> Tensor:
    """Return the number of frames up to the last known code of each song, int64 [B]."""
    known = (known_codes != FREE).flatten(1, -2).any(dim=1)  # [B, S]
    frame = torch.arange(1, known.shape[-1] + 1, device=known.device)
    return (known * frame).amax(dim=1) if known.shape[-1] else known.sum(dim=1)


def shift_right(labels: Tensor, start_token_id: int, pad_token_id: int) -> Tensor:
    """Shift labels [B, L, rows] by one step to decoder ids [B, rows, L] that begin with a start id.

    Ignored labels become ``pad_token_id``.
    """
    ids = labels.new_full(labels.shape, start_token_id)
    ids[:, 1:] = labels[:, :-1]
    return ids.masked_fill(ids == IGNORED_LABEL, pad_token_id).transpose(1, 2)


__all__ = [
    "ACCOMPANIMENT",
    "FREE",
    "IGNORED_LABEL",
    "SONGGEN_PATTERNS",
    "TRACK_PATTERNS",
    "VOCAL",
    "CodebookPattern",
    "known_beginning",
    "known_end",
    "shift_right",
]
