"""The theme of the page: the colors and fonts of gradio's components, the page's CSS and script."""

from pathlib import Path
from typing import Any

from ..optional import require

CSS = Path(__file__).with_name("page.css")
SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("page.js", "player.js"))

_TEAL = (
    "#eef6f4", "#d8eae6", "#b4d6cf", "#87bcb3", "#569a92", "#2f7d77", "#1f6b6d", "#1a5759",
    "#174648", "#123739", "#0b2527",
)  # fmt: skip
_STONE = (
    "#fbf9f5", "#f4f1ea", "#e7e2d8", "#d3ccbf", "#a39c90", "#6f6a61", "#57534c", "#3c4247",
    "#222c33", "#182129", "#0f161c",
)  # fmt: skip


_STYLE = {
    "body_background_fill": ("*neutral_50", "*neutral_950"),
    "body_text_color": ("*neutral_800", "*neutral_200"),
    "body_text_color_subdued": ("*neutral_500", "*neutral_300"),
    "background_fill_primary": ("white", "*neutral_900"),
    "background_fill_secondary": ("*neutral_100", "*neutral_900"),
    "border_color_primary": ("*neutral_200", "*neutral_700"),
    "block_background_fill": ("transparent", "transparent"),
    "block_border_width": ("0px", "0px"),
    "block_shadow": ("none",),
    "block_padding": ("0px",),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_title_text_color": ("*neutral_700", "*neutral_200"),
    "block_title_text_weight": ("600",),
    "block_info_text_color": ("*neutral_500", "*neutral_300"),
    "input_background_fill": ("white", "*neutral_900"),
    "input_border_color": ("*neutral_300", "*neutral_700"),
    "input_border_color_focus": ("*primary_600", "*primary_300"),
    "input_border_width": ("1px",),
    "input_placeholder_color": ("*neutral_500", "*neutral_400"),
    "input_shadow": ("none",),
    "input_shadow_focus": ("0 0 0 3px color-mix(in srgb, *primary_300 45%, transparent)",),
    "slider_color": ("*primary_600", "*primary_300"),
    "button_primary_background_fill": ("*primary_600", "*primary_300"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_200"),
    "button_primary_text_color": ("white", "*neutral_950"),
    "button_secondary_background_fill": ("white", "*neutral_900"),
    "button_secondary_background_fill_hover": ("*neutral_100", "*neutral_800"),
    "button_secondary_border_color": ("*neutral_300", "*neutral_700"),
    "button_border_width": ("1px",),
    "button_cancel_background_fill": ("transparent", "transparent"),
    "button_cancel_background_fill_hover": ("*neutral_100", "*neutral_800"),
    "button_cancel_text_color": ("*neutral_800", "*neutral_200"),
    "button_cancel_border_color": ("*neutral_400", "*neutral_500"),
    "checkbox_label_background_fill": ("white", "*neutral_900"),
    "checkbox_label_border_color": ("*neutral_300", "*neutral_700"),
    "checkbox_label_border_width": ("1px",),
    "checkbox_label_background_fill_selected": ("*primary_600", "*primary_300"),
    "checkbox_label_text_color_selected": ("white", "*neutral_950"),
    "checkbox_label_shadow": ("none",),
    "shadow_drop": ("none",),
}
"""Values of gradio's theme variables: one for both themes, or one for light and one for dark."""


def theme() -> Any:
    """The theme of gradio's components, with fonts that gradio itself serves."""
    themes = require("gradio.themes", "space")
    fonts = require("gradio.themes.utils.fonts", "space")
    names = ("c50", *(f"c{hundred}00" for hundred in range(1, 10)), "c950")
    teal = themes.Color(**dict(zip(names, _TEAL, strict=True)), name="songgen-teal")
    stone = themes.Color(**dict(zip(names, _STONE, strict=True)), name="songgen-stone")
    base = themes.Base(
        primary_hue=teal,
        secondary_hue=teal,
        neutral_hue=stone,
        radius_size=themes.sizes.radius_lg,
        font=(
            # Montserrat is only declared here; the page's own CSS uses it for headings.
            fonts.LocalFont("Source Sans Pro", weights=(400, 700)),
            "system-ui",
            "sans-serif",
            fonts.LocalFont("Montserrat", weights=(700,)),
        ),
        font_mono=(fonts.LocalFont("IBM Plex Mono"), "ui-monospace", "monospace"),
    )
    values = {
        name + suffix: value
        for name, pair in _STYLE.items()
        for suffix, value in zip(("", "_dark"), pair, strict=False)
    }
    return base.set(**values)


def head() -> str:
    """The HTML of the page's head: metadata and the scripts."""
    scripts = [path.read_text(encoding="utf-8") for path in SCRIPTS]
    return (
        '<meta name="color-scheme" content="light dark">'
        '<meta name="description" content="Lyrics, a description and a voice in, a song out.">'
        + "".join(f"<script>{script}</script>" for script in scripts)
    )


__all__ = ["CSS", "SCRIPTS", "head", "theme"]
