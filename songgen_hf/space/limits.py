"""The limits of a Space: how much one visitor may request, and how long songs are kept."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Limits of a Space, as passed to ``build_demo(limits=Limits(...))``.

    Args:
        seconds: length of the longest song that is sung at once, and of a window of whole songs.
        whole_seconds: length of the longest whole song, which is sung section by section.
        variations: number of songs of one request.
        takes: number of takes of one request, of a song or of a stretch that is sung again.
        lyrics_characters: length of the longest lyrics.
        text_characters: length of the longest style description.
        upload_bytes: size of the largest file with a reference voice.
        voice_seconds: length of the longest reference voice, of which three seconds are used.
        adapter_bytes: size of the largest adapter that is downloaded from the Hub.
        hub_adapters: whether visitors may name adapters on the Hub.
        waiting: requests in the queue, including the running ones; further requests are rejected.
        concurrency: number of requests that are processed at the same time.
        songs: number of songs in the history of one visitor; older ones are deleted.
        keep_minutes: age at which songs and uploads are deleted, unless the visitor leaves earlier.
    """

    seconds: float = 30.0
    whole_seconds: float = 240.0
    variations: int = 4
    takes: int = 4
    lyrics_characters: int = 2000
    text_characters: int = 500
    upload_bytes: int = 20 * 2**20
    voice_seconds: float = 600.0
    adapter_bytes: int = 200 * 2**20
    hub_adapters: bool = True
    waiting: int = 64
    concurrency: int = 1
    songs: int = 20
    keep_minutes: float = 60.0


def max_seconds(model: Any) -> float:
    """Duration of the longest song that a model can generate, rounded down to half seconds."""
    config = model.config
    steps = model.generation_config.max_length or config.decoder.max_position_embeddings
    steps = min(steps, config.decoder.max_position_embeddings)
    frames = config.decoder.pattern.num_frames(steps)
    return max(1.0, math.floor(2 * frames / config.frame_rate) / 2)


__all__ = ["Limits", "max_seconds"]
