"""The left side of the page: what is asked for. One function a block; no songs here."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from .description_chips import CHIPS, EXAMPLES, GENRE, LEAD, MOOD, VOICE, chips_on, with_chips
from .limits import Limits
from .settings import (
    FEW_STEPS,
    FIELDS,
    MIXED,
    MOST_STEPS,
    SHORTEST_SECONDS,
    TWO_TRACKS,
    Settings,
)

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_CHIP_TITLES = {GENRE: "Genre", MOOD: "Mood", LEAD: "Instruments", VOICE: "Voice"}
_MODE_NAMES = {MIXED: "Mixed", TWO_TRACKS: "Two tracks", FEW_STEPS: "Few steps"}
_MODE_FACTS = {
    TWO_TRACKS: "Two tracks: vocal and band apart.",
    FEW_STEPS: "Few steps: sooner there, less clear.",
}
_ONE_BY_ONE = ("top_k", "adapter", "adapter_weight")
"""Fields that mean nothing to a masked model, which has steps instead."""


@dataclass
class Form:
    """Components of the form; ``parts`` has one for each field of ``Settings``."""

    parts: dict[str, Any] = field(default_factory=dict)
    voice: Any = None
    chips: dict[str, Any] = field(default_factory=dict)
    sing: Any = None
    stop: Any = None
    status: Any = None
    again: Any = None
    new: Any = None

    @property
    def settings(self) -> list[Any]:
        """The components of ``Settings``' fields, in their order."""
        return [self.parts[name] for name in FIELDS]

    @property
    def everything(self) -> list[Any]:
        """What a link or a song of the history restores: the fields, then the chips."""
        return [*self.settings, *self.chips.values()]


def draw_form(
    limits: Limits, defaults: Settings, modes: tuple[str, ...], adapters: list[str]
) -> Form:
    """All blocks of the form, in their order on the page."""
    form = Form()
    _words_block(form, defaults)
    _description_block(form, defaults)
    _song_block(form, limits, defaults, modes)
    _voice_block(form, limits, defaults)
    _sampling_block(form, limits, defaults, adapters)
    _action_block(form)
    return form


def restored(settings: Settings) -> list[Any]:
    """Updates of ``Form.everything``."""
    values = [getattr(settings, name) for name in FIELDS]
    values[FIELDS.index("seed")] = "" if settings.seed is None else str(settings.seed)
    return [*values, *(chips_on(settings.text, kind) for kind in CHIPS)]


def _words_block(form: Form, defaults: Settings) -> None:
    """Lyrics and, one click away, something to sing."""
    form.parts["lyrics"] = gr.Textbox(
        value=defaults.lyrics,
        label="Lyrics",
        placeholder="Four lines are a good start.",
        lines=4,
        max_lines=14,
        elem_id="lyrics",
    )
    with gr.Row(elem_classes="sg-examples"):
        gr.HTML('<span class="sg-legend" id="sg-examples">Try</span>')
        form.parts["examples"] = [
            gr.Button(example.name, size="sm", variant="secondary", min_width=10)
            for example in EXAMPLES
        ]


def _description_block(form: Form, defaults: Settings) -> None:
    """The description, and the words that the model knows as chips that write it."""
    form.parts["text"] = gr.Textbox(
        value=defaults.text,
        label="Description",
        placeholder="a warm folk song, led by flute, sung by a female voice",
        lines=2,
        max_lines=5,
        elem_id="description",
    )
    with gr.Column(elem_classes="sg-chips", elem_id="chips"):
        for kind, words in CHIPS.items():
            form.chips[kind] = gr.CheckboxGroup(
                choices=list(words),
                value=chips_on(defaults.text, kind),
                label=_CHIP_TITLES[kind],
                elem_classes=f"sg-chip-row sg-chip-{kind}",
            )


def _song_block(form: Form, limits: Limits, defaults: Settings, modes: tuple[str, ...]) -> None:
    """What every song has: mode, length, seed."""
    with gr.Row(elem_classes="sg-pair"):
        form.parts["mode"] = gr.Radio(
            choices=[(_MODE_NAMES[mode], mode) for mode in modes],
            value=defaults.mode,
            label="Mode",
            info=" ".join(filter(None, map(_MODE_FACTS.get, modes))) if len(modes) > 1 else None,
            scale=8,
            min_width=180,
            elem_id="mode",
        )
        form.parts["seconds"] = gr.Slider(
            minimum=SHORTEST_SECONDS,
            maximum=limits.seconds,
            value=defaults.seconds,
            step=0.5,
            label="Length (seconds)",
            scale=7,
            min_width=180,
        )
    with gr.Row(elem_classes="sg-seed"):
        form.parts["seed"] = gr.Textbox(
            value="" if defaults.seed is None else str(defaults.seed),
            label="Seed",
            placeholder="drawn for you",
            max_lines=1,
            scale=3,
            min_width=140,
            elem_id="seed",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        form.again = gr.Button("Again", size="md", min_width=80, elem_id="again")
        form.new = gr.Button("New", size="md", min_width=80, elem_id="new")


def _voice_block(form: Form, limits: Limits, defaults: Settings) -> None:
    """The reference voice."""
    with gr.Accordion("Reference voice", open=False, elem_id="voice-block"):
        gr.HTML(
            '<p class="sg-hint">Three seconds of somebody singing or speaking. Only a voice whose '
            "owner has agreed; recordings are deleted with the session.</p>"
        )
        form.voice = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label="Voice",
            show_label=False,
            elem_id="voice",
            buttons=[],
            waveform_options={"waveform_color": "#8fb5ad", "waveform_progress_color": "#1f6b6d"},
        )
        form.parts["voice_start"] = gr.Slider(
            minimum=0,
            maximum=min(60, limits.voice_seconds),
            value=defaults.voice_start,
            step=0.5,
            label="Start at (seconds)",
        )


def _sampling_block(form: Form, limits: Limits, defaults: Settings, adapters: list[str]) -> None:
    """How codes are drawn, how many songs, and with which adapter."""
    few = defaults.mode == FEW_STEPS
    with gr.Accordion("More control", open=False, elem_id="more-block"):
        with gr.Row():
            form.parts["guidance"] = gr.Slider(
                1, 10, value=defaults.guidance, step=0.1, label="Guidance",
                info="How strictly words and description are followed; 1 is off.", min_width=180,
            )  # fmt: skip
            form.parts["temperature"] = gr.Slider(
                0.05, 2, value=defaults.temperature, step=0.05, label="Temperature",
                info="Below 1 safer, above 1 wilder.", min_width=180,
            )  # fmt: skip
        with gr.Row():
            form.parts["top_k"] = gr.Slider(
                0, 256, value=defaults.top_k, step=1, label="Top-k",
                info="Draw from the k likeliest codes; 0 draws from all.", min_width=180,
                visible=not few,
            )  # fmt: skip
            form.parts["steps"] = gr.Slider(
                1, MOST_STEPS, value=defaults.steps, step=1, label="Steps",
                info="In which the whole song is sung; eight are soon done.", min_width=180,
                visible=few,
            )  # fmt: skip
            form.parts["variations"] = gr.Slider(
                1, limits.variations, value=defaults.variations, step=1, label="Variations",
                info="Songs with the seeds seed, seed + 1, …", min_width=180,
            )  # fmt: skip
        with gr.Row():
            form.parts["adapter"] = gr.Dropdown(
                choices=[("None", ""), *((name, name) for name in adapters)],
                value=defaults.adapter,
                allow_custom_value=True,
                label="Adapter (LoRA)",
                info="One of this Space"
                + (", or a Hub id: owner/name." if limits.hub_adapters else "."),
                min_width=180,
                visible=not few,
            )
            form.parts["adapter_weight"] = gr.Slider(
                0, 2, value=defaults.adapter_weight, step=0.05, label="Adapter weight",
                info="1 is the adapter as it was trained.", min_width=180, visible=not few,
            )  # fmt: skip


def _action_block(form: Form) -> None:
    """The buttons and how far it is, in sight wherever the page is scrolled."""
    with gr.Column(elem_id="actions"):
        with gr.Row(elem_classes="sg-actions"):
            form.sing = gr.Button("Sing", variant="primary", size="lg", scale=3, elem_id="sing")
            form.stop = gr.Button(
                "Stop", variant="stop", size="lg", scale=1, min_width=90, interactive=False,
                elem_id="stop",
            )  # fmt: skip
        form.status = gr.HTML("", elem_id="status", js_on_load=None)


def wire_form(form: Form) -> None:
    """Chips, examples and what the mode shows: what needs no singer."""
    text, lyrics = form.parts["text"], form.parts["lyrics"]
    groups = list(form.chips.values())
    quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

    def all_on(description: str) -> list[list[str]]:
        return [chips_on(description, kind) for kind in CHIPS]

    def switch(kind: str) -> Any:
        def switched(description: str, chosen: list[str]) -> list[Any]:
            description = with_chips(description or "", kind, chosen)
            return [description, *all_on(description)]

        return switched

    for kind, group in form.chips.items():
        group.input(switch(kind), [text, group], [text, *groups], **quiet)
    text.input(lambda description: all_on(description or ""), text, groups, **quiet)
    for button, example in zip(form.parts["examples"], EXAMPLES, strict=True):
        values = [example.lyrics, example.text, *all_on(example.text)]
        button.click(lambda values=values: values, None, [lyrics, text, *groups], **quiet)

    shown = [form.parts[name] for name in ("steps", *_ONE_BY_ONE)]
    form.parts["mode"].change(shown_in, form.parts["mode"], shown, **quiet)


def shown_in(mode: str) -> list[Any]:
    """Updates of steps and ``_ONE_BY_ONE`` when a mode is chosen."""
    few = mode == FEW_STEPS
    updates = {name: gr.update(visible=not few) for name in _ONE_BY_ONE}
    if few:  # an adapter that is out of sight would be refused
        updates["adapter"] = gr.update(visible=False, value="")
    return [gr.update(visible=few), *updates.values()]


__all__ = ["Form", "draw_form", "restored", "shown_in", "wire_form"]
