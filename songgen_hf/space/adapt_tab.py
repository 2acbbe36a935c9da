"""The Adapt tab: adapts a model to recordings on the machine on which the Space runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..training.adaptation.options import AdaptOptions
from .adapt_markup import adapt_status, recordings_table, samples_view
from .adaptations import ASKING, IDLE, RUNNING, Adaptations, AdaptState, copy_sample
from .controls import PRIVATE, Page, session_of
from .error_messages import tell
from .form import Texts
from .markup import empty_stage, hint, note, problem
from .settings import FEW_STEPS, TWO_TRACKS
from .song_service import SongService

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

ADAPT, SING = "adapt", "sing"
"""Ids of the two tabs."""
_POLL_SECONDS = 1.0


@dataclass
class AdaptTab:
    """The tab of one Space.

    Args:
        service: the models and the adapters.
        adaptations: the adaptations and their folder.
        texts: the words of the blocks.
    """

    service: SongService
    adaptations: Adaptations
    texts: Texts
    outputs: list[Any] = field(default_factory=list)

    def draw(self) -> None:
        """Create the blocks of the tab."""
        texts, modes = self.texts, self.service.generator.modes
        draw = texts.draw
        with gr.Row(elem_id="adapt-columns"):
            with gr.Column(scale=5, min_width=320, elem_id="adapt-form"):
                folder = str(self.adaptations.folder)
                draw(gr.HTML, {"value": lambda say: hint(say("adapt_fact", folder=folder))})
                self.name = draw(
                    gr.Dropdown,
                    {"label": "adapt_name", "info": "adapt_name_fact"},
                    choices=self.adaptations.names,
                    value="my-songs",
                    allow_custom_value=True,
                    elem_id="adapt-name",
                )
                self.source = draw(
                    gr.Textbox,
                    {"label": "adapt_source", "placeholder": "adapt_source_hint"},
                    max_lines=1,
                    elem_id="adapt-source",
                )
                self.uploads = draw(
                    gr.File,
                    {"label": "adapt_uploads"},
                    file_count="multiple",
                    file_types=["audio"],
                    height=130,
                    elem_id="adapt-uploads",
                )
                self.modes = [mode for mode in modes if mode != FEW_STEPS]
                self.mode = draw(
                    gr.Radio,
                    {
                        "label": "adapt_model",
                        "choices": lambda say: [(say(f"mode:{mode}"), mode) for mode in self.modes],
                    },
                    value=TWO_TRACKS if TWO_TRACKS in self.modes else self.modes[0],
                    elem_classes="sg-choice",
                )
                with gr.Row():
                    self.steps = draw(
                        gr.Slider, {"label": "adapt_steps", "info": "adapt_steps_fact"},
                        minimum=1, maximum=2000, value=self._default("steps"), step=1,
                        min_width=180,
                    )  # fmt: skip
                    self.rank = draw(
                        gr.Slider, {"label": "adapt_rank", "info": "adapt_rank_fact"},
                        minimum=1, maximum=64, value=self._default("rank"), step=1, min_width=180,
                    )  # fmt: skip
                with gr.Row():
                    self.look = draw(
                        gr.Button, {"value": "adapt_look"}, variant="primary", scale=2,
                        min_width=230, elem_id="adapt-look",
                    )  # fmt: skip
                    self.train = draw(
                        gr.Button, {"value": "adapt_train"}, interactive=False,
                        min_width=130, elem_id="adapt-train",
                    )  # fmt: skip
                    self.stop = draw(
                        gr.Button, {"value": "stop"}, variant="stop", interactive=False,
                        min_width=90, elem_id="adapt-stop",
                    )  # fmt: skip
            with gr.Column(scale=6, min_width=320, elem_id="adapt-result"):
                self.status = gr.HTML("", elem_id="adapt-status", js_on_load=None)
                self.table = gr.HTML("", elem_id="adapt-table", js_on_load=None)
                self.samples = gr.HTML("", elem_id="adapt-samples", js_on_load=None)
                self.use = draw(
                    gr.Button, {"value": "adapt_use"}, visible=False, elem_id="adapt-use"
                )
        self.timer = gr.Timer(_POLL_SECONDS, active=False)
        self.seen = gr.State(None)
        self.outputs = [self.status, self.table, self.samples, self.look, self.train, self.stop,
                        self.use, self.timer, self.seen]  # fmt: skip

    def _default(self, name: str) -> Any:
        return self.adaptations.defaults.get(name, getattr(AdaptOptions, name))

    def view(self, session: str, name: str, *, failed: BaseException | None = None) -> list[Any]:
        """Return the updates of ``outputs`` that show where an adaptation stands."""
        say = self.service.say(session)
        state, running = self.adaptations.state, self.adaptations.state.phase in RUNNING
        name = state.name if running else name
        if state.name != name:
            state = AdaptState(name)
        samples = self.adaptations.samples(name)
        folder = self.service.store.root / ADAPT
        served = {
            step: [copy_sample(song, folder) for song in songs] for step, songs in samples.items()
        }
        status = adapt_status(state, say)
        blank = state.phase == IDLE and not samples and failed is None
        if failed is not None:
            status = problem(tell(failed, say), say, title="adapt_problem")
        return [
            status,
            empty_stage(say, "adapt_empty") if blank else recordings_table(state, say),
            samples_view(served, say),
            gr.update(interactive=not running),
            gr.update(interactive=state.phase == ASKING),
            gr.update(interactive=running),
            gr.update(visible=not running and self.adaptations.adapter(name) is not None),
            gr.Timer(active=running),
            self._key(name),
        ]

    def _key(self, name: str) -> str:
        """What the tab shows, in short."""
        state = self.adaptations.state
        return f"{name} {hash(str(state))} {list(self.adaptations.samples(name or state.name))}"

    def wire(self, page: Page, demo: Any, tabs: Any) -> None:
        """Connect the buttons, and show a running adaptation to a page that is opened."""
        adaptations, form = self.adaptations, page.form
        quiet = {"queue": False, **PRIVATE}

        def acting(act: Any) -> Any:
            def run(request: gr.Request, name: Any, *values: Any) -> list[Any]:
                failed = None
                try:
                    act(str(name or ""), *values)
                except (ValueError, TypeError, OSError) as error:
                    failed = ValueError(str(error))
                return self.view(session_of(request), str(name or ""), failed=failed)

            return run

        def look(name: str, source: Any, uploads: Any, mode: Any, steps: Any, rank: Any) -> None:
            model = self.service.generator.model(mode).name_or_path
            uploads = [str(one) for one in uploads or ()]
            adaptations.start(
                name, source or "", uploads, model=model, steps=int(steps), rank=int(rank)
            )

        def tick(request: gr.Request, name: Any, seen: Any) -> Sequence[Any]:
            if seen == self._key(str(name or "")):
                return [gr.skip() for _ in self.outputs]
            return self.view(session_of(request), str(name or ""))

        def use(name: Any, request: gr.Request) -> list[Any]:
            say = self.service.say(session_of(request))
            folder = adaptations.adapter(str(name or ""))
            if folder is None:
                return [gr.skip()] * 4
            offered = self.service.adapters
            offered.add(folder)
            mode = self.service.generator.mode_of_base(offered.base(folder.name)) or gr.skip()
            dropdown = gr.update(choices=self._choices(say), value=folder.name)
            status = note(say("adapt_used", name=folder.name))
            return [dropdown, mode, gr.Tabs(selected=SING), status]

        def arrive(request: gr.Request, name: Any) -> list[Any]:
            state, say = adaptations.state, self.service.say(session_of(request))
            name = state.name or str(name or "")
            choices = gr.update(choices=adaptations.names, value=name)
            offered = gr.update(choices=self._choices(say))
            return [choices, offered, *self.view(session_of(request), name)]

        given = [self.name, self.source, self.uploads, self.mode, self.steps, self.rank]
        self.look.click(acting(look), given, self.outputs, **quiet)
        self.train.click(
            acting(lambda name: adaptations.answer()), self.name, self.outputs, **quiet
        )
        self.stop.click(acting(lambda name: adaptations.stop()), self.name, self.outputs, **quiet)
        self.timer.tick(tick, [self.name, self.seen], self.outputs, **quiet)
        self.name.change(acting(lambda name: None), self.name, self.outputs, **quiet)
        used = [form.parts["adapter"], form.parts["mode"], tabs, page.status]
        self.use.click(use, self.name, used, **quiet)
        demo.load(arrive, self.name, [self.name, form.parts["adapter"], *self.outputs], **quiet)

    def _choices(self, say: Any) -> list[tuple[str, str]]:
        """The adapters of the form."""
        return [(say("none"), ""), *((name, name) for name in self.service.adapters.names)]


__all__ = ["ADAPT", "SING", "AdaptTab"]
