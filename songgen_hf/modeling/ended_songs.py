"""Lets songs that have ended leave the batch, while ``generate()`` goes on with the others.

The loop of transformers keeps the ids of all songs and pads those that have ended. Between its
hooks the decoder computes the rows of the other songs only: their ids, keys, values and conditions
are selected before a step, and their scores are put back in their places after it.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

CHECKED_STEPS = 8
"""Steps between two looks at the ids, for which the host waits for the device."""
LIVING_SONGS = "living_songs"
"""Name of the :class:`LivingSongs` among the keyword arguments of the loop."""


class LivingSongs:
    """The songs of a batch that the decoder still computes.

    A song has ended when all of its rows hold the end mark or padding, which nothing follows.

    Args:
        num_songs: B, without the rows of guidance.
        num_branches: number of branches of guidance, each of which repeats the batch.
        end_ids: ids of the end mark and of padding.
    """

    def __init__(self, num_songs: int, num_branches: int, end_ids: Tensor):
        self.num_songs, self.num_parts = num_songs, 1 + num_branches
        self.end_ids = end_ids
        self.living = torch.arange(num_songs, device=end_ids.device)
        self._conditions: Any = None

    def select(
        self, ids: Tensor, conditions: Any, cache: EncoderDecoderCache | None
    ) -> tuple[Tensor, Any]:
        """Return the ids and the encoded conditions of the songs that have not ended.

        The keys and values of songs that have ended since the last look are removed.

        Args:
            ids: [B, rows, L] of all songs.
            conditions: ``SongGenConditionOutput`` of all songs and branches.
            cache: keys and values of the songs that were computed at the last step.
        """
        if ids.shape[-1] % CHECKED_STEPS == 0:
            ended = torch.isin(ids[self.living, :, -1], self.end_ids).all(dim=1)
            kept = (~ended).nonzero()[:, 0]
            if 0 < len(kept) < len(self.living):
                if cache is not None:
                    cache.batch_select_indices(self._in_parts(kept, len(self.living)))
                self.living = self.living[kept]
                self._conditions = None
        if len(self.living) == self.num_songs:
            return ids, conditions
        if self._conditions is None:
            places = self._in_parts(self.living, self.num_songs)
            self._conditions = type(conditions)(
                **{
                    name: value[places] if isinstance(value, Tensor) else value
                    for name, value in conditions.items()
                }
            )
        return ids[self.living], self._conditions

    def put_back(self, logits: Tensor) -> Tensor:
        """Return scores [parts * living * rows, ...] in the places of all songs, zero for others.

        The loop pads the songs that have ended, whatever their scores are.
        """
        count = len(self.living)
        if count == self.num_songs:
            return logits
        by_song = logits.unflatten(0, (self.num_parts * count, -1))
        everyone = by_song.new_zeros(self.num_parts * self.num_songs, *by_song.shape[1:])
        everyone[self._in_parts(self.living, self.num_songs)] = by_song
        return everyone.flatten(0, 1)

    def _in_parts(self, songs: Tensor, size: int) -> Tensor:
        """The rows of songs in a batch of that many songs that is repeated for each branch."""
        return torch.cat([songs + size * part for part in range(self.num_parts)])


def living_songs(
    generation_config: GenerationConfig, model_kwargs: dict[str, Any], num_songs: int
) -> LivingSongs | None:
    """Return the songs of a call, or None if all of them have to stay until the batch ends.

    They have to for outputs that hold the rows of every step, in a cache of fixed size, which
    compiled steps need, and without an end mark.
    """
    settings: Any = generation_config
    end, pad = settings._eos_token_tensor, settings._pad_token_tensor
    cache = model_kwargs.get("past_key_values")
    if num_songs < 2 or settings.return_dict_in_generate or end is None or pad is None:
        return None
    if cache is not None and not (
        isinstance(cache, EncoderDecoderCache)
        and all(
            type(part) is DynamicCache and not part.offloading
            for part in (cache.self_attention_cache, cache.cross_attention_cache)
        )
    ):
        return None
    branches = model_kwargs.get("guidance_branches") or ()
    return LivingSongs(num_songs, len(branches), torch.cat([end.flatten(), pad.flatten()]))


__all__ = ["CHECKED_STEPS", "LIVING_SONGS", "LivingSongs", "living_songs"]
