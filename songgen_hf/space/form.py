"""The left side of the page: the form with the settings of a request."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from .description_chips import CHIPS, EXAMPLES, GENRE, LEAD, MOOD, VOICE, chips_on, with_chips
from .limits import Limits
from .settings import (
    FEW_STEPS,
    FIELDS,
    MAX_STEPS,
    MIN_SECONDS,
    MIXED,
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
    TWO_TRACKS: "Two tracks: the vocal and the band are separate.",
    FEW_STEPS: "Few steps: faster, but less clear.",
}
_AUTOREGRESSIVE = ("top_k", "adapter", "adapter_weight")
"""Fields that do not apply to a masked model, which has ``steps`` instead."""


@dataclass
class Form:
    """The components of the form; ``parts`` has one for each field of ``Settings``."""

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
        """The components of the fields of ``Settings``, in the order of the fields."""
        return [self.parts[name] for name in FIELDS]

    @property
    def everything(self) -> list[Any]:
        """The components that a link or a song of the history restores: fields, then chips."""
        return [*self.settings, *self.chips.values()]


def draw_form(
    limits: Limits, defaults: Settings, modes: tuple[str, ...], adapters: list[str]
) -> Form:
    """Draw all blocks of the form, in their order on the page."""
    form = Form()
    _lyrics_block(form, defaults)
    _description_block(form, defaults)
    _song_block(form, limits, defaults, modes)
    _voice_block(form, limits, defaults)
    _sampling_block(form, limits, defaults, adapters)
    _action_block(form)
    return form


def restored(settings: Settings) -> list[Any]:
    """Return the updates of ``Form.everything`` that show the given settings."""
    values = [getattr(settings, name) for name in FIELDS]
    values[FIELDS.index("seed")] = "" if settings.seed is None else str(settings.seed)
    return [*values, *(chips_on(settings.text, kind) for kind in CHIPS)]


def _lyrics_block(form: Form, defaults: Settings) -> None:
    """Draw the lyrics and the buttons that fill in an example."""
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
    """Draw the description and the chips with words that the model was trained on."""
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
    """Draw the mode, the length and the seed."""
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
            minimum=MIN_SECONDS,
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
            placeholder="chosen at random",
            max_lines=1,
            scale=3,
            min_width=140,
            elem_id="seed",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        form.again = gr.Button("Again", size="md", min_width=80, elem_id="again")
        form.new = gr.Button("New", size="md", min_width=80, elem_id="new")


def _voice_block(form: Form, limits: Limits, defaults: Settings) -> None:
    """Draw the reference voice."""
    with gr.Accordion("Reference voice", open=False, elem_id="voice-block"):
        gr.HTML(
            '<p class="sg-hint">About three seconds of a person who sings or speaks; an audible '
            "accompaniment is removed. Use a voice only if its owner has agreed. Recordings are "
            "deleted with the session.</p>"
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
    """Draw the sampling options, the number of variations and the adapter."""
    few = defaults.mode == FEW_STEPS
    chosen = bool(defaults.adapter)  # a visitor should see it
    with gr.Accordion("More control", open=chosen, elem_id="more-block"):
        with gr.Row():
            form.parts["guidance"] = gr.Slider(
                1, 10, value=defaults.guidance, step=0.1, label="Guidance",
                info="How closely the song follows the text; 1 is off.", min_width=180,
            )  # fmt: skip
            form.parts["temperature"] = gr.Slider(
                0.05, 2, value=defaults.temperature, step=0.05, label="Temperature",
                info="Below 1, songs vary less; above 1, they vary more.", min_width=180,
            )  # fmt: skip
        with gr.Row():
            form.parts["top_k"] = gr.Slider(
                0, 256, value=defaults.top_k, step=1, label="Top-k",
                info="Sample from the k most likely codes; 0 uses all codes.", min_width=180,
                visible=not few,
            )  # fmt: skip
            form.parts["steps"] = gr.Slider(
                1, MAX_STEPS, value=defaults.steps, step=1, label="Steps",
                info="Steps in which the whole song is sung; fewer are faster.", min_width=180,
                visible=few,
            )  # fmt: skip
            form.parts["variations"] = gr.Slider(
                1, limits.variations, value=defaults.variations, step=1, label="Variations",
                info="Number of songs, with the seeds seed, seed + 1, …", min_width=180,
            )  # fmt: skip
        with gr.Row():
            form.parts["adapter"] = gr.Dropdown(
                choices=[("None", ""), *((name, name) for name in adapters)],
                value=defaults.adapter,
                allow_custom_value=True,
                label="Adapter (LoRA)",
                info="An adapter of this Space"
                + (", or a Hub id (owner/name)." if limits.hub_adapters else "."),
                min_width=180,
                visible=not few,
            )
            form.parts["adapter_weight"] = gr.Slider(
                0, 2, value=defaults.adapter_weight, step=0.05, label="Adapter weight",
                info="1 applies the adapter as it was trained.", min_width=180, visible=not few,
            )  # fmt: skip


def _action_block(form: Form) -> None:
    """Draw the buttons and the status, which stay visible when the page is scrolled."""
    with gr.Column(elem_id="actions"):
        with gr.Row(elem_classes="sg-actions"):
            form.sing = gr.Button("Sing", variant="primary", size="lg", scale=3, elem_id="sing")
            form.stop = gr.Button(
                "Stop", variant="stop", size="lg", scale=1, min_width=90, interactive=False,
                elem_id="stop",
            )  # fmt: skip
        form.status = gr.HTML("", elem_id="status", js_on_load=None)


def wire_form(form: Form) -> None:
    """Connect the chips, the examples and the mode to the fields that they change."""
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

    shown = [form.parts[name] for name in ("steps", *_AUTOREGRESSIVE)]
    form.parts["mode"].change(shown_in, form.parts["mode"], shown, **quiet)


def shown_in(mode: str) -> list[Any]:
    """Return the updates of ``steps`` and of ``_AUTOREGRESSIVE`` when a mode is chosen."""
    few = mode == FEW_STEPS
    updates = {name: gr.update(visible=not few) for name in _AUTOREGRESSIVE}
    if few:  # this mode takes no adapter, so a hidden one must not remain chosen
        updates["adapter"] = gr.update(visible=False, value="")
    return [gr.update(visible=few), *updates.values()]


__all__ = ["Form", "draw_form", "restored", "shown_in", "wire_form"]
