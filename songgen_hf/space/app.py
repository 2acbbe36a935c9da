"""Builds the page of the Space: ``build_demo(pipeline).launch()`` starts it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.corpus.captions import join_names
from ..optional import require
from ..provenance import provenance
from . import markup
from .adapters import Adapters
from .api import add_api
from .controls import CONTROLS, PRIVATE, Control, Page, session_of
from .form import draw_form, restored, wire_form
from .generation import Progress, SongGenerator, max_seconds
from .limits import Limits
from .memory import use_few_arenas
from .session_store import SessionStore
from .settings import FEW_STEPS, FIELDS, VOICE_KEY, Settings, from_query
from .song_service import SongService, error_message
from .theme import CSS, head, theme

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

TITLE = "songgen: write four lines, hear them sung"
SUBTITLE = "Write four lines. Hear them sung."
GENERATION = "generation"
"""Concurrency group of all events that generate songs."""


class SongBlocks(gr.Blocks):
    """The page, which passes its theme and its limits to gradio in ``launch()``."""

    service: SongService

    def launch(self, *args: Any, **kwargs: Any) -> Any:
        """Start the server; takes all arguments of gradio's method, which override the page's."""
        defaults = {
            "theme": theme(),
            "css_paths": [CSS],
            "head": head(),
            "max_file_size": self.service.limits.upload_bytes,
            "footer_links": ["api", "settings"],
            "ssr_mode": False,
        }
        use_few_arenas()
        self.service.store.start_cleanup()
        return super().launch(*args, **{**defaults, **kwargs})

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Stop the server and delete its files."""
        super().close(*args, **kwargs)
        self.service.store.close()


def build_demo(
    pipeline: Any,
    *,
    limits: Limits | None = None,
    adapters: Sequence[str | Path] = (),
    defaults: Settings | None = None,
    controls: Sequence[type[Control]] = CONTROLS,
) -> SongBlocks:
    """Build the Space for one pipeline, or for one pipeline of each mode.

    Args:
        pipeline: a text-to-song pipeline, or a mapping with some of the modes ``"mixed"``,
            ``"two tracks"`` and ``"few steps"``, the last for a :class:`MaskedSongPipeline`.
        limits: limits of a visitor's requests.
        adapters: folders of LoRA adapters, folders that contain such folders, or Hub ids. A single
            one is chosen in an empty form, with the mode of the model that it was trained on.
        defaults: settings of an empty form.
        controls: controls of a finished song, in their order on the page.
    Returns:
        gradio Blocks with a queue; ``launch()`` starts the server.
    Raises:
        ValueError: if a pipeline does not fit its mode, or an adapter cannot be found.
        ImportError: if gradio is not installed.
    """
    limits = Limits() if limits is None else limits
    generator = SongGenerator(pipeline, places=limits.concurrency)
    modes = generator.modes
    longest = [max_seconds(generator.model(mode)) for mode in modes if mode != FEW_STEPS]
    limits = replace(limits, seconds=min([limits.seconds, *longest]))
    defaults = Settings() if defaults is None else defaults
    defaults = replace(
        defaults,
        mode=defaults.mode if defaults.mode in modes else modes[0],
        seconds=min(defaults.seconds, limits.seconds),
    )
    offered = Adapters(adapters, limits)
    if len(offered.names) == 1 and not defaults.adapter:
        (name,) = offered.names
        mode = generator.mode_of_base(offered.base(name)) or defaults.mode
        if mode != FEW_STEPS:
            defaults = replace(defaults, adapter=name, mode=mode)
    keep = 60 * limits.keep_minutes
    folder = require("gradio.utils", "space").get_upload_folder()
    service = SongService(
        generator,
        SessionStore(folder, songs_per_session=limits.songs, keep_seconds=keep),
        adapters=offered,
        limits=limits,
        defaults=defaults,
    )
    demo = SongBlocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(max(1, round(keep / 4)), round(keep)),
    )
    demo.service = service
    with demo:
        page = _draw(service, controls)
        wire_form(page.form)
        _wire_generation(page)
        for control in page.controls:
            control.wire(page)
        _wire_visits(demo, page)
        add_api(service, group=GENERATION)
    return demo.queue(max_size=limits.waiting, default_concurrency_limit=limits.concurrency)


def _draw(service: SongService, controls: Sequence[type[Control]]) -> Page:
    """Draw all blocks of the page."""
    generator = service.generator
    gr.HTML(markup.header(SUBTITLE), js_on_load=None)
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=5, min_width=320, elem_id="ask"):
            form = draw_form(
                service.limits, service.defaults, generator.modes, service.adapters.names
            )
        with gr.Column(scale=6, min_width=320, elem_id="hear"):
            page = Page(service, form, form.status, gr.State(None))
            page.controls = [control(service) for control in controls]
            for control in page.controls:
                control.draw()
    names = dict.fromkeys(_model_name(generator.model(mode)) for mode in generator.modes)
    gr.HTML(markup.footer(join_names(list(names))), js_on_load=None)
    return page


def _wire_generation(page: Page) -> None:
    """Connect the buttons Sing, Stop, Again and New."""
    form, service = page.form, page.service
    outputs = [form.sing, form.stop, *page.outputs]
    idle = [gr.update(interactive=True), gr.update(interactive=False)]
    busy = [gr.update(interactive=False), gr.update(interactive=True)]

    def begin(request: gr.Request) -> list[Any]:
        service.begin_request(session_of(request))
        return [*busy, markup.waiting()]

    def generate(request: gr.Request, voice: str | None, *values: Any) -> Iterator[list[Any]]:
        session = session_of(request)
        songs = []
        try:
            settings = Settings(**dict(zip(FIELDS, values, strict=True)))
            with closing(service.generate(session, settings, voice)) as items:
                for item in items:
                    if isinstance(item, Progress):
                        yield [*busy, *page.unchanged(markup.progress(item))]
                    else:
                        songs.append(item)
                        yield [*busy, *page.show(session, item, gr.skip())]
        except Exception as error:
            yield [*idle, *page.unchanged(markup.problem(error_message(error)))]
            return
        if len(songs) < settings.variations:
            yield [*idle, *page.unchanged(markup.stopped())]
            return
        yield [*idle, *page.show(session, songs[0], markup.done(songs))]

    def stop(request: gr.Request) -> list[Any]:
        service.stop(session_of(request))
        return [*idle, markup.stopped()]

    def last_seed(song_id: str | None, request: gr.Request) -> Any:
        songs = service.store.songs(session_of(request))
        shown = [song for song in songs if song.id == song_id] or songs
        return str(shown[0].settings.seed) if shown else gr.skip()

    inputs = [form.voice, *form.settings]
    group = {"concurrency_id": GENERATION, "concurrency_limit": service.limits.concurrency}
    quiet = {"queue": False, **PRIVATE}
    show = {"show_progress": "minimal", "show_progress_on": page.status}
    events = []

    def generate_on(trigger: Any) -> None:
        begun = trigger(begin, None, [form.sing, form.stop, page.status], **quiet)
        event = begun.then(
            generate, inputs, outputs, trigger_mode="once", **group, **{**PRIVATE, **show}
        )
        events.append(event)

    generate_on(form.sing.click)
    generate_on(form.parts["lyrics"].submit)
    generate_on(form.parts["text"].submit)
    generate_on(form.again.click(last_seed, page.current, form.parts["seed"], **quiet).then)
    generate_on(form.new.click(lambda: "", None, form.parts["seed"], **quiet).then)
    form.stop.click(stop, None, [form.sing, form.stop, page.status], cancels=events, **quiet)


def _wire_visits(demo: Any, page: Page) -> None:
    """Restore the settings of a link when the page opens; delete the songs when it closes."""
    form, service = page.form, page.service

    def arrive(request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        settings = from_query(query, service.defaults)
        if settings is None:
            return [gr.skip() for _ in [page.status, *form.everything]]
        message = "The settings of the link are in the form: press Sing."
        if query.get(VOICE_KEY):
            message += " The song had a reference voice, which a link cannot contain: add it again."
        if settings.mode not in service.generator.modes:
            settings = replace(settings, mode=service.defaults.mode)
            message += " This Space has no model for its mode."
        return [markup.note(message), *restored(settings)]

    def leave(request: gr.Request) -> None:
        service.end_session(session_of(request))

    demo.load(arrive, None, [page.status, *form.everything], queue=False, **PRIVATE)
    demo.unload(leave)


def _model_name(model: Any) -> str:
    """Name of a model without a path."""
    return str(provenance(model, seed=0, options={})["model"] or "a SongGen model")


__all__ = ["SongBlocks", "build_demo"]
