"""The part of the form for whole songs: their switch, their settings, and the plan as cards."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..optional import require
from .error_messages import tell
from .limits import Limits
from .markup import hint, problem
from .section_markup import plan_cards
from .settings import MIN_SECONDS, Settings
from .strings import Say
from .whole_songs import described, has_tags, plan_settings

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_WHOLE = ("window", "context", "repeat_chorus")
"""Fields that apply to whole songs only."""


def draw_whole(form: Any, limits: Limits, defaults: Settings) -> None:
    """Draw the switch of whole songs, their settings and their plan."""
    with gr.Column(elem_id="whole-block"):
        form.parts["whole"] = form.texts.draw(
            gr.Checkbox,
            {"label": "whole", "info": "whole_fact"},
            value=defaults.whole,
            elem_id="whole",
        )
        form.plan = gr.HTML("", elem_id="plan", js_on_load=None)
        with gr.Row():
            for name, low, high in (("window", MIN_SECONDS, limits.seconds), ("context", 0, 15)):
                form.parts[name] = form.texts.draw(
                    gr.Slider,
                    {"label": name, "info": f"{name}_fact"},
                    minimum=low,
                    maximum=min(high, limits.seconds),
                    value=getattr(defaults, name),
                    step=0.5,
                    min_width=150,
                    visible=defaults.whole,
                )
        form.parts["repeat_chorus"] = form.texts.draw(
            gr.Checkbox,
            {"label": "repeat_chorus", "info": "repeat_chorus_fact"},
            value=defaults.repeat_chorus,
            visible=defaults.whole,
            elem_id="repeat-chorus",
        )


def wire_plan(form: Any, service: Any, quiet: dict[str, Any]) -> None:
    """Show the plan of the lyrics while they are written, and the settings of whole songs.

    Args:
        form: the form.
        service: the :class:`~.song_service.SongService`, for limits and languages.
        quiet: options of events that show no progress.
    """

    def planned(request: gr.Request, lyrics: Any, *values: Any) -> Any:
        given = dict(zip(("whole", *_WHOLE), values, strict=True))
        session = str(getattr(request, "session_hash", None) or "none")
        settings = Settings(lyrics=lyrics or "", text="-", **given)
        return plan_view(settings, service.limits, service.say(session))

    whole, lyrics = form.parts["whole"], form.parts["lyrics"]
    inputs = [lyrics, whole, *(form.parts[name] for name in _WHOLE)]
    changes = [part.change for part in inputs]
    gr.on(changes, planned, inputs, form.plan, trigger_mode="always_last", **quiet)
    lengths = [form.parts["seconds"], *inputs[2:]]
    whole.change(
        lambda on: [gr.update(visible=not on), *(gr.update(visible=on) for _ in _WHOLE)],
        whole, lengths, **quiet,
    )  # fmt: skip


def plan_view(settings: Settings, limits: Limits, say: Say) -> str:
    """The plan of the lyrics as cards, or why there is none."""
    if not settings.whole:
        return hint(say("tags_found")) if has_tags(settings.lyrics) else ""
    if not settings.lyrics.strip():
        return hint(say("plan_empty"))
    try:
        plan = plan_settings(replace(settings, seconds=MIN_SECONDS).checked(limits), limits)
    except (ValueError, TypeError) as error:
        return problem(tell(error, say), say, title="plan_problem")
    return plan_cards(described(plan), say)


__all__ = ["draw_whole", "plan_view", "wire_plan"]
