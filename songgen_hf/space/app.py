"""Builds the page of the Space: ``build_demo(pipeline).launch()`` starts it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..provenance import provenance
from . import markup, song_markup
from .adapters import Adapters
from .api import add_api
from .controls import CONTROLS, PRIVATE, Control, Page, choosing_html, session_of
from .error_messages import tell, tell_all
from .form import Texts, draw_form, restored, wire_form
from .generation import SongGenerator
from .limits import Limits, max_seconds
from .memory import use_few_arenas
from .progress import Progress
from .session_store import SessionStore
from .settings import FEW_STEPS, FIELDS, TWO_TRACKS, VOICE_KEY, Settings, read_link
from .song_files import Song
from .song_service import SongService
from .strings import LANGUAGES, speaker, wanted_language
from .theme import CSS, head, theme
from .whole_songs import WholeSong

if TYPE_CHECKING:
    import gradio as gr

    from .adaptations import Adaptations
else:
    gr = require("gradio", "space")

TITLE = "songgen: write four lines, hear them sung"
GENERATION = "generation"
"""Concurrency group of all events that generate songs."""


class SongBlocks(gr.Blocks):
    """The page, which passes its theme and its limits to gradio in ``launch()``."""

    service: SongService
    adaptations: "Adaptations | None" = None

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
        if self.adaptations is not None:
            self.adaptations.close()
        super().close(*args, **kwargs)
        self.service.store.close()


def build_demo(
    pipeline: Any,
    *,
    limits: Limits | None = None,
    adapters: str | Path | Sequence[str | Path] = (),
    defaults: Settings | None = None,
    controls: Sequence[type[Control]] = CONTROLS,
    adapt: "Adaptations | None" = None,
    compile: bool = False,
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
        adapt: adaptations for the Adapt tab, which trains on recordings in any folder of this
            machine: only for a page that nobody else can open. None for no tab.
        compile: whether the steps of autoregressive models are compiled, for which the first songs
            wait.
    Returns:
        gradio Blocks with a queue; ``launch()`` starts the server.
    Raises:
        ValueError: if a pipeline does not fit its mode, an adapter cannot be found, or no song can
            be sung with the defaults.
        TypeError: for what is no pipeline.
        ImportError: if gradio is not installed.
    """
    limits = Limits() if limits is None else limits
    generator = SongGenerator(pipeline, places=limits.concurrency, compile=compile)
    modes = generator.modes
    longest = [max_seconds(generator.model(mode)) for mode in modes if mode != FEW_STEPS]
    limits = replace(limits, seconds=min([limits.seconds, *longest]))
    defaults = Settings() if defaults is None else defaults
    preferred = [mode for mode in (defaults.mode, TWO_TRACKS, *modes) if mode in modes]
    defaults = replace(
        defaults,
        mode=preferred[0],
        seconds=min(defaults.seconds, limits.seconds),
        window=min(defaults.window, limits.seconds),
        context=min(defaults.context, limits.seconds / 4),
    )
    offered = Adapters(adapters, limits)
    if len(offered.names) == 1 and not defaults.adapter:
        (name,) = offered.names
        mode = generator.mode_of_base(offered.base(name)) or defaults.mode
        if mode != FEW_STEPS:
            defaults = replace(defaults, adapter=name, mode=mode)
    try:
        replace(defaults, lyrics=defaults.lyrics or "la").checked(limits, modes=modes)
        offered.check(defaults.adapter)
    except (TypeError, ValueError) as error:
        raise ValueError(f"defaults: {error}") from error
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
    demo.service, demo.adaptations = service, adapt
    with demo:
        page = _draw(demo, service, controls, adapt)
        wire_form(page.form, service)
        _wire_generation(page)
        _wire_visits(demo, page)
        add_api(service, group=GENERATION)
    return demo.queue(max_size=limits.waiting, default_concurrency_limit=limits.concurrency)


def _draw(
    demo: SongBlocks,
    service: SongService,
    controls: Sequence[type[Control]],
    adapt: "Adaptations | None",
) -> Page:
    """Draw all blocks of the page."""
    generator, texts = service.generator, Texts()
    texts.draw(gr.HTML, {"value": markup.header}, js_on_load=None)
    if adapt is None:
        page = _draw_song(service, controls, texts)
    else:
        from .adapt_tab import ADAPT, SING, AdaptTab

        tab = AdaptTab(service, adapt, texts)
        with gr.Tabs(selected=SING, elem_id="tabs") as tabs:
            with texts.draw(gr.Tab, {"label": "tab_sing"}, id=SING):
                page = _draw_song(service, controls, texts)
            with texts.draw(gr.Tab, {"label": "tab_adapt"}, id=ADAPT):
                tab.draw()
        tab.wire(page, demo, tabs)
    names = dict.fromkeys(_model_name(generator.model(mode)) for mode in generator.modes)
    model = ", ".join(names)
    texts.draw(gr.HTML, {"value": lambda say: markup.footer(model, say)}, js_on_load=None)
    return page


def _draw_song(service: SongService, controls: Sequence[type[Control]], texts: Texts) -> Page:
    """Draw the form and the song."""
    generator = service.generator
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=5, min_width=320, elem_id="ask"):
            form = draw_form(
                service.limits, service.defaults, generator.modes, service.adapters.names,
                texts=texts, two_tracks=bool(generator.two_track_modes),
            )  # fmt: skip
        with gr.Column(scale=6, min_width=320, elem_id="hear"):
            page = Page(service, form, form.status, gr.State(None))
            page.stage = choosing_html(markup.empty_stage(), "song")
            rate = max(generator.sampling_rate(mode) for mode in generator.modes)
            page.feed = gr.HTML(
                f'<div hidden data-rate="{rate}"></div>', elem_id="feed", js_on_load=None
            )
            page.controls = [control(service, texts) for control in controls]
            for control in page.controls:
                control.draw()
    return page


def _wire_generation(page: Page) -> None:
    """Connect the buttons Sing, Stop, Again, New, and those of the controls."""
    form, service = page.form, page.service
    outputs = [form.sing, form.stop, *page.outputs]
    idle = [gr.update(interactive=True), gr.update(interactive=False)]
    busy = [gr.update(interactive=False), gr.update(interactive=True)]
    group = {"concurrency_id": GENERATION, "concurrency_limit": service.limits.concurrency}
    quiet = {"queue": False, **PRIVATE}
    show = {"show_progress": "minimal", "show_progress_on": page.status}
    events = []

    def begin(request: gr.Request) -> list[Any]:
        session = session_of(request)
        service.begin_request(session)
        return [*busy, markup.waiting(service.say(session))]

    def sings(trigger: Any, items_of: Callable[..., Iterator[Any]], inputs: list[Any]) -> None:
        """Generate songs on an event, and show them."""

        def generate(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
            for updates in _shown(page, session_of(request), items_of(request, *values)):
                ended = updates.pop()
                yield [*(idle if ended else busy), *updates]

        begun = trigger(begin, None, [form.sing, form.stop, page.status], **quiet)
        event = begun.then(
            generate, inputs, outputs, trigger_mode="once", **group, **{**PRIVATE, **show}
        )
        events.append(event)

    def stop_singing(request: gr.Request) -> list[Any]:
        session = session_of(request)
        kept = service.stop(session)
        status = markup.stopped(bool(kept), service.say(session))
        if kept:
            return [*idle, *page.show(session, kept[0], status)]
        return [*idle, *page.unchanged(status)]

    def last_seed(song_id: str | None, request: gr.Request) -> Any:
        songs = service.store.songs(session_of(request))
        shown = [song for song in songs if song.id == song_id] or songs
        return str(shown[0].settings.seed) if shown else gr.skip()

    def sing(request: Any, voice: str | None, *values: Any) -> Iterator[Any]:
        settings = Settings(**dict(zip(FIELDS, values, strict=True)))
        yield from service.generate(session_of(request), settings, voice)

    def sing_over(request: Any, recording: Any, kind: Any, voice: Any, *values: Any) -> Any:
        settings = Settings(**dict(zip(FIELDS, values, strict=True)))
        modes = service.generator.two_track_modes
        if settings.mode not in modes:
            settings = replace(settings, mode=modes[0])
        yield from service.sing_over(
            session_of(request), recording, settings, kind=kind, takes=settings.best_of, voice=voice
        )

    def choose_section(event: gr.EventData) -> dict[str, str]:
        chosen = event._data if isinstance(event._data, dict) else {}
        return {name: str(chosen.get(name)) for name in ("song", "section")}

    def sing_sections(request: Any, chosen: dict[str, str]) -> Iterator[Any]:
        """Sing a section again, or the rest of a stopped song."""
        session, song_id = session_of(request), chosen["song"]
        if chosen["section"] == "rest":
            yield from service.finish(session, song_id)
        else:
            yield from service.redo_section(session, song_id, int(chosen["section"]))

    page.sings = sings
    inputs = [form.voice, *form.settings]
    sings(form.sing.click, sing, inputs)
    sings(form.parts["lyrics"].submit, sing, inputs)
    sings(form.parts["text"].submit, sing, inputs)
    sings(form.again.click(last_seed, page.current, form.parts["seed"], **quiet).then, sing, inputs)
    sings(form.new.click(lambda: "", None, form.parts["seed"], **quiet).then, sing, inputs)
    section = gr.State({})
    chosen = page.stage.resing(choose_section, None, section, **quiet)
    sings(chosen.then, sing_sections, [section])
    if form.over is not None:
        sings(form.over_button.click, sing_over, [form.over, form.over_kind, *inputs])
    for control in page.controls:
        control.wire(page)
    page.chooses(page.stage)
    form.stop.click(stop_singing, None, outputs, cancels=events, **quiet)


def _shown(page: Page, session: str, items: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield the updates of the page's outputs for what a request generates.

    The last one of each list says whether the request has ended.
    """
    say = page.service.say(session)
    songs: list[Song] = []
    live = None
    try:
        with closing(items):  # type: ignore[type-var]
            for item in items:
                if isinstance(item, Progress):
                    yield [*page.unchanged(markup.progress(item, say)), False]
                elif isinstance(item, Song):
                    songs.append(item)
                    yield [*page.show(session, songs[0], gr.skip()), False]
                elif not songs and _is_heard(item):  # the page stays with the first song
                    stage = song_markup.live_view(item, say) if item is not live else None
                    live = item
                    yield [*page.unchanged(gr.skip(), song_markup.feed(item), stage), False]
    except Exception as error:
        yield [*page.unchanged(markup.problem(tell(error, say), say)), True]
        return
    if page.service.was_stopped(session):  # the button says it
        yield [*page.unchanged(gr.skip()), True]
    else:
        yield [*page.show(session, songs[0], markup.done(songs, say)), True]


def _is_heard(live: Any) -> bool:
    """Whether a live song has a player; a section that is sung again has none until it is done."""
    return not (isinstance(live.edit, WholeSong) and live.edit.section is not None)


def _wire_visits(demo: Any, page: Page) -> None:
    """Say the page in the visitor's language, restore a link, and delete the songs at the end."""
    form, service = page.form, page.service
    texts = form.texts

    def speak(request: gr.Request) -> list[Any]:
        language = wanted_language(request.headers, dict(request.query_params))
        say = service.speak(session_of(request), language)
        if language == LANGUAGES[0]:
            return [gr.skip() for _ in [page.stage, *texts.blocks]]
        return [markup.empty_stage(say), *texts.updates(say)]

    def arrive(request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        say = speaker(wanted_language(request.headers, query))
        settings, problems = read_link(
            query, service.defaults, service.limits, service.generator.modes
        )
        if settings is None:
            return [gr.skip() for _ in [page.status, *form.everything]]
        try:
            service.adapters.check(settings.adapter)
        except ValueError as unknown:
            problems.append(str(unknown))
            settings = replace(settings, adapter=service.defaults.adapter)
        message = say("link")
        if query.get(VOICE_KEY):
            message += f" {say('link_voice')}"
        if problems:
            status = markup.problem(
                tell_all(problems, say), say, title="link_problem", rest=say("link_rest")
            )
            return [status, *restored(settings)]
        return [markup.note(message), *restored(settings)]

    def leave(request: gr.Request) -> None:
        service.end_session(session_of(request))

    demo.load(speak, None, [page.stage, *texts.blocks], queue=False, **PRIVATE)
    demo.load(arrive, None, [page.status, *form.everything], queue=False, **PRIVATE)
    demo.unload(leave)


def _model_name(model: Any) -> str:
    """Name of a model without a path."""
    return str(provenance(model, seed=0, options={})["model"] or "a SongGen model")


__all__ = ["SongBlocks", "build_demo"]
