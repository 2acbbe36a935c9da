"""The left side of the page: the form with the settings of a request."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from .description_chips import (
    CHIPS,
    EXAMPLES,
    GENRE,
    LEAD,
    MOOD,
    VOICE,
    WHOLE_EXAMPLE,
    chips_on,
    with_chips,
)
from .limits import Limits
from .markup import hint, legend
from .settings import (
    CONDITIONS,
    FEW_STEPS,
    FIELDS,
    MAX_STEPS,
    MIN_SECONDS,
    Settings,
)
from .strings import ENGLISH, Say
from .whole_form import draw_whole, wire_plan

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_CHIP_TITLES = {GENRE: "genre", MOOD: "mood", LEAD: "instruments", VOICE: "voice"}
_KINDS = ("band", "vocal")
_AUTOREGRESSIVE = ("top_k", "adapter", "adapter_weight")
"""Fields that do not apply to a masked model, which has ``steps`` instead."""


class Texts:
    """The words in the blocks of the page, which can be said in another language."""

    def __init__(self) -> None:
        self.blocks: list[Any] = []
        self._said: list[dict[str, Any]] = []

    def draw(self, kind: Any, words: dict[str, Any], **options: Any) -> Any:
        """Create a block with words.

        Args:
            kind: class of the block.
            words: property -> key of :data:`songgen_hf.space.strings.STRINGS`, or a function of
                ``say`` that returns its value.
            options: the other arguments of the block.
        """
        block = kind(**_spoken(words, ENGLISH), **options)
        self.blocks.append(block)
        self._said.append(words)
        return block

    def updates(self, say: Say) -> list[Any]:
        """Return one update for each of ``blocks`` with its words in a language."""
        return [gr.update(**_spoken(words, say)) for words in self._said]


def _spoken(words: dict[str, Any], say: Say) -> dict[str, Any]:
    return {name: key(say) if callable(key) else say(key) for name, key in words.items()}


@dataclass
class Form:
    """The components of the form; ``parts`` has one for each field of ``Settings``."""

    texts: Texts = field(default_factory=Texts)
    parts: dict[str, Any] = field(default_factory=dict)
    voice: Any = None
    chips: dict[str, Any] = field(default_factory=dict)
    sing: Any = None
    stop: Any = None
    status: Any = None
    again: Any = None
    new: Any = None
    over: Any = None
    over_kind: Any = None
    over_button: Any = None
    plan: Any = None

    @property
    def settings(self) -> list[Any]:
        """The components of the fields of ``Settings``, in the order of the fields."""
        return [self.parts[name] for name in FIELDS]

    @property
    def everything(self) -> list[Any]:
        """The components that a link or a song of the history restores: fields, then chips."""
        return [*self.settings, *self.chips.values()]


def draw_form(
    limits: Limits,
    defaults: Settings,
    modes: tuple[str, ...],
    adapters: list[str],
    *,
    texts: Texts,
    two_tracks: bool,
) -> Form:
    """Draw all blocks of the form, in their order on the page.

    Args:
        limits: limits of the Space.
        defaults: settings of an empty form.
        modes: the modes that the Space has a model for.
        adapters: names of the Space's adapters.
        texts: where the words of the blocks are kept.
        two_tracks: whether there is a mode with two tracks, which sings over recordings.
    """
    form = Form(texts)
    _lyrics_block(form, defaults)
    _description_block(form, defaults)
    _action_block(form)
    _song_block(form, limits, defaults, modes)
    draw_whole(form, limits, defaults)
    _voice_block(form, limits, defaults)
    if two_tracks:
        _over_block(form, limits)
    _sampling_block(form, limits, defaults, adapters)
    return form


def restored(settings: Settings) -> list[Any]:
    """Return the updates of ``Form.everything`` that show the given settings."""
    values = [getattr(settings, name) for name in FIELDS]
    values[FIELDS.index("seed")] = "" if settings.seed is None else str(settings.seed)
    return [*values, *(chips_on(settings.text, kind) for kind in CHIPS)]


def _lyrics_block(form: Form, defaults: Settings) -> None:
    """Draw the lyrics and the buttons that fill in an example."""
    form.parts["lyrics"] = form.texts.draw(
        gr.Textbox,
        {"label": "lyrics", "placeholder": "lyrics_hint"},
        value=defaults.lyrics,
        lines=4,
        max_lines=14,
        elem_id="lyrics",
    )
    with gr.Row(elem_classes="sg-examples"):
        form.texts.draw(gr.HTML, {"value": lambda say: legend(say("try"))})
        form.parts["examples"] = [
            form.texts.draw(
                gr.Button,
                {"value": f"example:{example.name}"},
                size="sm",
                variant="secondary",
                min_width=10,
            )
            for example in EXAMPLES
        ]
        form.parts["whole_example"] = form.texts.draw(
            gr.Button,
            {"value": f"example:{WHOLE_EXAMPLE.name}"},
            size="sm",
            variant="secondary",
            min_width=10,
        )


def _description_block(form: Form, defaults: Settings) -> None:
    """Draw the description and the chips with words that the model was trained on."""
    form.parts["text"] = form.texts.draw(
        gr.Textbox,
        {"label": "description", "placeholder": "description_hint"},
        value=defaults.text,
        lines=2,
        max_lines=5,
        elem_id="description",
    )
    with gr.Column(elem_classes="sg-chips", elem_id="chips"):
        for kind, words in CHIPS.items():
            form.chips[kind] = form.texts.draw(
                gr.CheckboxGroup,
                {"label": _CHIP_TITLES[kind]},
                choices=list(words),
                value=chips_on(defaults.text, kind),
                elem_classes=f"sg-chip-row sg-chip-{kind}",
            )


def _song_block(form: Form, limits: Limits, defaults: Settings, modes: tuple[str, ...]) -> None:
    """Draw the mode, the length and the seed."""

    def facts(say: Say) -> str | None:
        found = [say(f"mode_fact:{mode}") for mode in modes]
        return " ".join(filter(None, found)) if len(modes) > 1 else None

    with gr.Row(elem_classes="sg-pair"):
        form.parts["mode"] = form.texts.draw(
            gr.Radio,
            {
                "label": "mode",
                "choices": lambda say: [(say(f"mode:{mode}"), mode) for mode in modes],
                "info": facts,
            },
            value=defaults.mode,
            scale=8,
            min_width=180,
            elem_id="mode",
        )
        form.parts["seconds"] = form.texts.draw(
            gr.Slider,
            {"label": "length"},
            minimum=MIN_SECONDS,
            maximum=limits.seconds,
            value=defaults.seconds,
            step=0.5,
            scale=7,
            min_width=180,
        )
    with gr.Row(elem_classes="sg-seed"):
        form.parts["seed"] = form.texts.draw(
            gr.Textbox,
            {"label": "seed", "placeholder": "seed_hint"},
            value="" if defaults.seed is None else str(defaults.seed),
            max_lines=1,
            scale=3,
            min_width=140,
            elem_id="seed",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        small = {"size": "md", "min_width": 80}
        form.again = form.texts.draw(gr.Button, {"value": "again"}, elem_id="again", **small)
        form.new = form.texts.draw(gr.Button, {"value": "new"}, elem_id="new", **small)


def _audio(name: str, texts: Texts, label: str) -> Any:
    """A component for a recording that a visitor uploads or makes."""
    return texts.draw(
        gr.Audio,
        {"label": label},
        sources=["upload", "microphone"],
        type="filepath",
        show_label=False,
        elem_id=name,
        buttons=[],
        waveform_options={"waveform_color": "#8fb5ad", "waveform_progress_color": "#1f6b6d"},
    )


def _voice_block(form: Form, limits: Limits, defaults: Settings) -> None:
    """Draw the reference voice."""
    with form.texts.draw(
        gr.Accordion, {"label": "reference_voice"}, open=False, elem_id="voice-block"
    ):
        form.texts.draw(gr.HTML, {"value": lambda say: hint(say("voice_fact"))})
        form.voice = _audio("voice", form.texts, "voice")
        form.parts["voice_start"] = form.texts.draw(
            gr.Slider,
            {"label": "start_at"},
            minimum=0,
            maximum=min(60, limits.voice_seconds),
            value=defaults.voice_start,
            step=0.5,
        )


def _over_block(form: Form, limits: Limits) -> None:
    """Draw the recording to sing over."""
    with form.texts.draw(gr.Accordion, {"label": "over"}, open=False, elem_id="over-block"):
        seconds = f"{limits.seconds:g}"
        form.texts.draw(gr.HTML, {"value": lambda say: hint(say("over_fact", seconds=seconds))})
        form.over = _audio("over", form.texts, "recording")
        with gr.Row(elem_classes="sg-pair"):
            form.over_kind = form.texts.draw(
                gr.Radio,
                {
                    "label": "recording_kind",
                    "choices": lambda say: [(say(f"kind:{kind}"), kind) for kind in _KINDS],
                },
                value="band",
                elem_id="over-kind",
                elem_classes="sg-choice",
            )
            form.over_button = form.texts.draw(
                gr.Button, {"value": "over_button"}, elem_id="over-button"
            )


def _sampling_block(form: Form, limits: Limits, defaults: Settings, adapters: list[str]) -> None:
    """Draw the sampling options, the numbers of songs and takes, and the adapter."""
    few = defaults.mode == FEW_STEPS
    chosen = bool(defaults.adapter)  # a visitor should see it

    def slider(
        name: str, low: float, high: float, step: float, fact: str = "", **options: Any
    ) -> None:
        form.parts[name] = form.texts.draw(
            gr.Slider,
            {"label": name, "info": fact or f"{name}_fact"},
            minimum=low,
            maximum=high,
            value=getattr(defaults, name),
            step=step,
            min_width=180,
            **options,
        )

    with form.texts.draw(gr.Accordion, {"label": "more"}, open=chosen, elem_id="more-block"):
        with gr.Row():
            slider("guidance", 1, 10, 0.1)
            slider("temperature", 0.05, 2, 0.05)
        with gr.Row():
            for name in CONDITIONS:
                slider(f"guidance_{name}", 0, 10, 0.1, "guidance_own")
        with gr.Row():
            slider("top_k", 0, 256, 1, visible=not few)
            slider("steps", 1, MAX_STEPS, 1, visible=few)
            slider("variations", 1, limits.variations, 1)
            slider("best_of", 1, limits.takes, 1)
        with gr.Row():
            form.parts["adapter"] = form.texts.draw(
                gr.Dropdown,
                {
                    "label": "adapter",
                    "info": "adapter_hub" if limits.hub_adapters else "adapter_fact",
                    "choices": lambda say: [
                        (say("none"), ""),
                        *((name, name) for name in adapters),
                    ],
                },
                value=defaults.adapter,
                allow_custom_value=True,
                min_width=180,
                visible=not few,
            )
            slider("adapter_weight", 0, 2, 0.05, visible=not few)


def _action_block(form: Form) -> None:
    """Draw the buttons and the status."""
    with gr.Column(elem_id="actions"):
        with gr.Row(elem_classes="sg-actions"):
            form.sing = form.texts.draw(
                gr.Button, {"value": "sing"}, variant="primary", size="lg", scale=3, elem_id="sing"
            )
            form.stop = form.texts.draw(
                gr.Button,
                {"value": "stop"},
                variant="stop",
                size="lg",
                scale=1,
                min_width=90,
                interactive=False,
                elem_id="stop",
            )
        form.status = gr.HTML("", elem_id="status", js_on_load=None)


def wire_form(form: Form, service: Any) -> None:
    """Connect the chips, the examples, the mode and the plan to the fields that they belong to.

    Args:
        form: the form.
        service: the :class:`~.song_service.SongService`, for limits and languages.
    """
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
    buttons = [*form.parts["examples"], form.parts["whole_example"]]
    for button, example in zip(buttons, (*EXAMPLES, WHOLE_EXAMPLE), strict=True):
        whole = example is WHOLE_EXAMPLE
        values = [example.lyrics, example.text, whole, *all_on(example.text)]
        outputs = [lyrics, text, form.parts["whole"], *groups]
        button.click(lambda values=values: values, None, outputs, **quiet)

    wire_plan(form, service, quiet)
    shown = [form.parts[name] for name in ("steps", *_AUTOREGRESSIVE)]
    form.parts["mode"].change(shown_in, form.parts["mode"], shown, **quiet)


def shown_in(mode: str) -> list[Any]:
    """Return the updates of ``steps`` and of ``_AUTOREGRESSIVE`` when a mode is chosen."""
    few = mode == FEW_STEPS
    updates = {name: gr.update(visible=not few) for name in _AUTOREGRESSIVE}
    if few:  # this mode takes no adapter, so a hidden one must not remain chosen
        updates["adapter"] = gr.update(visible=False, value="")
    return [gr.update(visible=few), *updates.values()]


__all__ = ["Form", "Texts", "draw_form", "restored", "shown_in", "wire_form"]
