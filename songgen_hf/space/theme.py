"""The look of the page: a theme for gradio's components, and the files with the page's own."""

from pathlib import Path
from typing import Any

from ..optional import require

CSS = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")

_TEAL = (
    "#eef6f4", "#d8eae6", "#b4d6cf", "#87bcb3", "#569a92", "#2f7d77", "#1f6b6d", "#1a5759",
    "#174648", "#123739", "#0b2527",
)  # fmt: skip
_STONE = (
    "#fbf9f5", "#f4f1ea", "#e7e2d8", "#d3ccbf", "#a39c90", "#6f6a61", "#57534c", "#3c4247",
    "#222c33", "#182129", "#0f161c",
)  # fmt: skip


def theme() -> Any:
    """Paper and ink by day, deep water by night; fonts that come with gradio, none from afar."""
    themes = require("gradio.themes", "space")
    fonts = require("gradio.themes.utils.fonts", "space")
    names = ("c50", *(f"c{hundred}00" for hundred in range(1, 10)), "c950")
    teal = themes.Color(**dict(zip(names, _TEAL, strict=True)), name="songgen-teal")
    stone = themes.Color(**dict(zip(names, _STONE, strict=True)), name="songgen-stone")
    look = themes.Base(
        primary_hue=teal,
        secondary_hue=teal,
        neutral_hue=stone,
        radius_size=themes.sizes.radius_lg,
        font=(
            # Montserrat is for headings, by the page's own CSS: here it is only declared.
            fonts.LocalFont("Source Sans Pro", weights=(400, 700)),
            "system-ui",
            "sans-serif",
            fonts.LocalFont("Montserrat", weights=(700,)),
        ),
        font_mono=(fonts.LocalFont("IBM Plex Mono"), "ui-monospace", "monospace"),
    )
    return look.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_800",
        body_text_color_dark="*neutral_200",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_300",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_900",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_title_text_weight="600",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_300",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_300",
        input_border_width="1px",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px color-mix(in srgb, *primary_300 45%, transparent)",
        slider_color="*primary_600",
        slider_color_dark="*primary_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover_dark="*primary_200",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_950",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_border_width="1px",
        button_cancel_background_fill="transparent",
        button_cancel_background_fill_dark="transparent",
        button_cancel_background_fill_hover="*neutral_100",
        button_cancel_background_fill_hover_dark="*neutral_800",
        button_cancel_text_color="*neutral_800",
        button_cancel_text_color_dark="*neutral_200",
        button_cancel_border_color="*neutral_400",
        button_cancel_border_color_dark="*neutral_500",
        checkbox_label_background_fill="white",
        checkbox_label_background_fill_dark="*neutral_900",
        checkbox_label_border_color="*neutral_300",
        checkbox_label_border_color_dark="*neutral_700",
        checkbox_label_border_width="1px",
        checkbox_label_background_fill_selected="*primary_600",
        checkbox_label_background_fill_selected_dark="*primary_300",
        checkbox_label_text_color_selected="white",
        checkbox_label_text_color_selected_dark="*neutral_950",
        checkbox_label_shadow="none",
        shadow_drop="none",
    )


def head() -> str:
    """What the page's head holds: the script, and how phones show it."""
    script = SCRIPT.read_text(encoding="utf-8")
    return (
        '<meta name="color-scheme" content="light dark">'
        '<meta name="description" content="Lyrics, a description and a voice in, a song out.">'
        f"<script>{script}</script>"
    )


__all__ = ["CSS", "SCRIPT", "head", "theme"]
