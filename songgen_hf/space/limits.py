"""What one visitor may ask for, and when the Space forgets what it made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a Space; every one is a keyword of ``build_demo(limits=Limits(...))``.

    Args:
        seconds: longest song.
        variations: songs of one request.
        lyrics_characters, text_characters: of one request.
        upload_bytes: of a reference voice.
        voice_seconds: length of a reference voice; three seconds of it are used.
        adapter_bytes: weights of an adapter that is fetched from the Hub.
        hub_adapters: whether visitors may name adapters of the Hub.
        waiting: requests in the queue, the singing ones included; later ones are turned away.
        concurrency: requests that are sung at the same time.
        songs: songs that the history of one visitor holds; older ones are deleted.
        keep_minutes: songs and uploads live no longer; less if the visitor leaves.
    """

    seconds: float = 30.0
    variations: int = 4
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


__all__ = ["Limits"]
