"""The Space: ``build_demo(pipeline)`` returns it, ready for ``launch()``."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..optional import require
from . import markup
from .adapters import Adapters
from .api import add_api
from .controls import CONTROLS, PRIVATE, Control, Page, session_of
from .description_chips import listed
from .form import draw_form, restored, wire_form
from .generation import Progress, Singer
from .limits import Limits
from .memory import use_few_arenas
from .session_store import SessionStore
from .settings import FEW_STEPS, FIELDS, VOICE_KEY, Settings, from_query
from .song_service import SongService, told
from .theme import CSS, head, theme

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

TITLE = "songgen: write four lines, hear them sung"
SUBTITLE = "Write four lines. Hear them sung."
SINGERS = "singers"
"""Concurrency group of whatever sings."""


class SongBlocks(gr.Blocks):
    """The page, with its look and limits where gradio takes them: at ``launch()``."""

    desk: SongService

    def launch(self, *args: Any, **kwargs: Any) -> Any:
        """Start the server; every argument of gradio's may be given and wins."""
        ours = {
            "theme": theme(),
            "css_paths": [CSS],
            "head": head(),
            "max_file_size": self.desk.limits.upload_bytes,
            "footer_links": ["api", "settings"],
            "ssr_mode": False,
        }
        use_few_arenas()
        self.desk.shelf.start_sweeping()
        return super().launch(*args, **{**ours, **kwargs})

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Stop the server and delete what it made."""
        super().close(*args, **kwargs)
        self.desk.shelf.close()


def build_demo(
    pipeline: Any,
    *,
    limits: Limits | None = None,
    adapters: Sequence[str | Path] = (),
    defaults: Settings | None = None,
    controls: Sequence[type[Control]] = CONTROLS,
) -> SongBlocks:
    """The Space around one pipeline, or around one for each mode.

    Args:
        pipeline: a text-to-song pipeline, or some of ``{"mixed": ..., "two tracks": ...,
            "few steps": ...}``, the last a :class:`MaskedSongPipeline`.
        limits: what a visitor may ask for.
        adapters: folders of LoRA adapters, folders that hold such folders, or Hub ids.
        defaults: settings of an empty page.
        controls: what can be done with a song, in the page's order.
    Returns:
        gradio Blocks with a queue; ``launch()`` starts it.
    Raises:
        ValueError: if a pipeline does not fit its mode, or an adapter cannot be found.
        ImportError: without gradio.
    """
    limits = Limits() if limits is None else limits
    singer = Singer(pipeline, places=limits.concurrency)
    longest = [_longest_seconds(singer.model(mode)) for mode in singer.modes if mode != FEW_STEPS]
    limits = replace(limits, seconds=min([limits.seconds, *longest]))
    defaults = Settings() if defaults is None else defaults
    defaults = replace(
        defaults,
        mode=defaults.mode if defaults.mode in singer.modes else singer.modes[0],
        seconds=min(defaults.seconds, limits.seconds),
    )
    keep = 60 * limits.keep_minutes
    folder = require("gradio.utils", "space").get_upload_folder()
    desk = SongService(
        singer,
        SessionStore(folder, songs_each=limits.songs, keep_seconds=keep),
        adapters=Adapters(adapters, limits),
        limits=limits,
        defaults=defaults,
    )
    demo = SongBlocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(max(1, round(keep / 4)), round(keep)),
    )
    demo.desk = desk
    with demo:
        page = _draw(desk, controls)
        wire_form(page.form)
        _wire_singing(page)
        for control in page.controls:
            control.wire(page)
        _wire_visits(demo, page)
        add_api(desk, group=SINGERS)
    return demo.queue(max_size=limits.waiting, default_concurrency_limit=limits.concurrency)


def _draw(desk: SongService, controls: Sequence[type[Control]]) -> Page:
    """All blocks of the page."""
    gr.HTML(markup.header(SUBTITLE), js_on_load=None)
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=5, min_width=320, elem_id="ask"):
            form = draw_form(desk.limits, desk.defaults, desk.singer.modes, desk.adapters.names)
        with gr.Column(scale=6, min_width=320, elem_id="hear"):
            page = Page(desk, form, form.status, gr.State(None))
            page.controls = [control(desk) for control in controls]
            for control in page.controls:
                control.draw()
    names = dict.fromkeys(_model_name(desk.singer.model(mode)) for mode in desk.singer.modes)
    gr.HTML(markup.footer(listed(list(names))), js_on_load=None)
    return page


def _wire_singing(page: Page) -> None:
    """Sing, stop, again, new."""
    form, desk = page.form, page.desk
    outputs = [form.sing, form.stop, *page.outputs]
    idle = [gr.update(interactive=True), gr.update(interactive=False)]
    busy = [gr.update(interactive=False), gr.update(interactive=True)]

    def begin(request: gr.Request) -> list[Any]:
        desk.expect(session_of(request))
        return [*busy, markup.waiting()]

    def perform(request: gr.Request, voice: str | None, *values: Any) -> Iterator[list[Any]]:
        session = session_of(request)
        songs = []
        try:
            settings = Settings(**dict(zip(FIELDS, values, strict=True)))
            with closing(desk.sing(session, settings, voice)) as items:
                for item in items:
                    if isinstance(item, Progress):
                        yield [*busy, *page.unchanged(markup.progress(item))]
                    else:
                        songs.append(item)
                        yield [*busy, *page.show(session, item, gr.skip())]
        except Exception as error:
            yield [*idle, *page.unchanged(markup.problem(told(error)))]
            return
        if len(songs) < settings.variations:
            yield [*idle, *page.unchanged(markup.stopped())]
            return
        yield [*idle, *page.show(session, songs[0], markup.done(songs))]

    def stop(request: gr.Request) -> list[Any]:
        desk.stop(session_of(request))
        return [*idle, markup.stopped()]

    def last_seed(song_id: str | None, request: gr.Request) -> Any:
        songs = desk.shelf.songs(session_of(request))
        shown = [song for song in songs if song.id == song_id] or songs
        return str(shown[0].settings.seed) if shown else gr.skip()

    inputs = [form.voice, *form.settings]
    started = {"concurrency_id": SINGERS, "concurrency_limit": desk.limits.concurrency}
    quiet = {"queue": False, **PRIVATE}
    show = {"show_progress": "minimal", "show_progress_on": page.status}
    singing = []

    def on(trigger: Any) -> None:
        begun = trigger(begin, None, [form.sing, form.stop, page.status], **quiet)
        event = begun.then(
            perform, inputs, outputs, trigger_mode="once", **started, **{**PRIVATE, **show}
        )
        singing.append(event)

    on(form.sing.click)
    on(form.parts["lyrics"].submit)
    on(form.parts["text"].submit)
    on(form.again.click(last_seed, page.current, form.parts["seed"], **quiet).then)
    on(form.new.click(lambda: "", None, form.parts["seed"], **quiet).then)
    form.stop.click(stop, None, [form.sing, form.stop, page.status], cancels=singing, **quiet)


def _wire_visits(demo: Any, page: Page) -> None:
    """Coming with a link, and leaving."""
    form, desk = page.form, page.desk

    def arrive(request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        settings = from_query(query, desk.defaults)
        if settings is None:
            return [gr.skip() for _ in [page.status, *form.everything]]
        said = "The settings of the link are in the form: press Sing."
        if query.get(VOICE_KEY):
            said += " The song had a reference voice, which no link carries: add it again."
        if settings.mode not in desk.singer.modes:
            settings = replace(settings, mode=desk.defaults.mode)
            said += " Its mode is not sung here."
        return [markup.note(said), *restored(settings)]

    def leave(request: gr.Request) -> None:
        desk.leave(session_of(request))

    demo.load(arrive, None, [page.status, *form.everything], queue=False, **PRIVATE)
    demo.unload(leave)


def _longest_seconds(model: Any) -> float:
    """What a model can sing in one go, in half seconds."""
    config = model.config
    steps = model.generation_config.max_length or config.decoder.max_position_embeddings
    steps = min(steps, config.decoder.max_position_embeddings)
    frames = config.decoder.pattern.num_frames(steps)
    return max(1.0, math.floor(2 * frames / config.frame_rate) / 2)


def _model_name(model: Any) -> str:
    """Name of a model without a path."""
    from ..provenance import provenance

    return str(provenance(model, seed=0, options={})["model"] or "a SongGen model")


__all__ = ["SongBlocks", "build_demo"]
