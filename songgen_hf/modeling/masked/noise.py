"""Random numbers for a batch of songs, which do not depend on the other songs of the batch.

The numbers of a song are drawn from its own generator and for its own frames only, since drawing
numbers for padding would change all later ones. Generators can be on another device than the
result.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

NoiseKind = Literal["uniform", "normal", "gumbel"]
Generators = torch.Generator | Sequence[torch.Generator] | None


def song_noise(
    shape: Sequence[int],
    kind: NoiseKind,
    *,
    generator: Generators = None,
    frame_mask: Tensor | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw noise [B, N, T, ...], zero in padded frames.

    Args:
        shape: B songs, N tracks, T frames, and any further dimensions.
        kind: uniform in [0, 1), standard normal, or standard Gumbel (adding it to log-probabilities
            and taking the largest is a draw from them).
        generator: one generator for each song, or one that is used for the songs in their order;
            None for the global generator of torch.
        frame_mask: [B, T], True where the frame belongs to the song; padding is on the right.
        device: device of the result.
    Returns:
        float32 of ``shape``.
    Raises:
        ValueError: for an unknown kind or a wrong number of generators.
    """
    batch_size, num_tracks, num_frames, *rest = shape
    generators = generators_of(generator, batch_size)
    lengths = (
        [num_frames] * batch_size
        if frame_mask is None
        else frame_mask.sum(dim=1).to(torch.int64).tolist()
    )
    noise = torch.zeros(tuple(shape), device=device)
    for row, (source, length) in enumerate(zip(generators, lengths, strict=True)):
        drawn = torch.empty(
            (num_tracks, length, *rest), device=noise.device if source is None else source.device
        )
        if kind == "uniform":
            drawn.uniform_(generator=source)
        elif kind == "normal":
            drawn.normal_(generator=source)
        elif kind == "gumbel":
            # The negative logarithm of exponential noise; the clamp keeps it finite.
            drawn.exponential_(generator=source).clamp_(min=torch.finfo(drawn.dtype).tiny)
            drawn.log_().neg_()
        else:
            raise ValueError(f"kind is {kind!r}: expected uniform, normal or gumbel")
        noise[row, :, :length] = drawn.to(noise.device)
    return noise


def generators_of(generator: Generators, batch_size: int) -> list[torch.Generator | None]:
    """Return one generator for each song; None stands for the global generator of torch.

    Raises:
        ValueError: if a list of generators has another length than the batch.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return [generator] * batch_size
    if len(generator) != batch_size:
        raise ValueError(
            f"generator has {len(generator)} entries for {batch_size} songs: give one generator, "
            "or one for each song"
        )
    return list(generator)


__all__ = ["Generators", "NoiseKind", "generators_of", "song_noise"]
