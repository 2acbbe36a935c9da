"""The endpoints that programs call: ``/sing`` and ``/remix``, in gradio's own API.

Names, defaults and checks are those of ``Settings``.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from ..optional import require
from .controls import session_of
from .generation import Progress
from .settings import FIELDS, Settings
from .song_files import Song
from .song_service import SongService, told

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_REPORT_SECONDS = 1.0


def add_api(desk: SongService, *, group: str) -> None:
    """Add the endpoints to the page; they have no looks.

    Args:
        desk: that does the work.
        group: concurrency group of whatever sings.
    """
    songs = gr.JSON(visible=False, label="songs")
    song = gr.JSON(visible=False, label="song")
    song_id = gr.Textbox(visible=False, label="song_id")
    balance = gr.Number(0, visible=False, label="balance")
    # Not the page's own sliders: those answer "greater than maximum" without saying what.
    settings = [_argument(name, getattr(desk.defaults, name)) for name in FIELDS]
    voice = gr.Audio(type="filepath", visible=False, label="voice")

    def sing(
        lyrics: Any = None,
        text: Any = None,
        voice_start: Any = None,
        mode: Any = None,
        seconds: Any = None,
        seed: Any = None,
        guidance: Any = None,
        top_k: Any = None,
        temperature: Any = None,
        steps: Any = None,
        variations: Any = None,
        adapter: Any = None,
        adapter_weight: Any = None,
        voice: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        values = (lyrics, text, voice_start, mode, seconds, seed, guidance, top_k, temperature,
                  steps, variations, adapter, adapter_weight)  # fmt: skip
        asked = Settings(**dict(zip(FIELDS, values, strict=True)))
        sung: list[dict[str, Any]] = []
        told_at = 0.0
        try:
            with closing(desk.sing(session_of(request), asked, voice)) as items:
                for item in items:
                    if isinstance(item, Song):
                        sung.append(as_answer(item))
                    elif isinstance(item, Progress) and time.monotonic() < told_at:
                        continue
                    told_at = time.monotonic() + _REPORT_SECONDS
                    yield list(sung)
        except Exception as error:
            raise gr.Error(escape(told(error)), print_exception=False) from error
        yield list(sung)

    def remix(song_id: Any, balance: Any, request: gr.Request) -> dict[str, Any]:
        try:
            return as_answer(desk.remix(session_of(request), str(song_id), balance))
        except Exception as error:
            raise gr.Error(escape(told(error)), print_exception=False) from error

    gr.Button(visible=False).click(
        sing,
        [*settings, voice],
        songs,
        api_name="sing",
        api_description="Sing lyrics. Returns a list of songs: their settings, their seed and "
        "their files (mix, of two tracks vocal and band, and a JSON file).",
        concurrency_id=group,
        concurrency_limit=desk.limits.concurrency,
    )
    gr.Button(visible=False).click(
        remix,
        [song_id, balance],
        song,
        api_name="remix",
        api_description="Mix vocal and band of a song anew, without singing: balance -100 is the "
        "band alone, 100 the vocal alone.",
        queue=False,
    )


def _argument(name: str, default: Any) -> Any:
    """A component without looks: what an endpoint takes for a setting."""
    if isinstance(default, str):
        return gr.Textbox(default, visible=False, label=name)
    return gr.Number(default, visible=False, label=name)


def as_answer(song: Song) -> dict[str, Any]:
    """A song as the API returns it; clients find local paths in place of the files."""
    files = {track.name: gr.FileData(path=str(track.sound)).model_dump() for track in song.tracks}
    return {
        "id": song.id,
        "title": song.title,
        "seed": song.settings.seed,
        "seconds": round(song.seconds, 3),
        "balance": song.balance,
        "settings": asdict(song.settings),
        "files": {**files, "settings": gr.FileData(path=str(song.sidecar)).model_dump()},
    }


__all__ = ["add_api", "as_answer"]
