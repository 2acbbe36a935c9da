"""The HTML of the Adapt tab: progress, the table of recordings, and songs before and after."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .adaptations import ASKING, DONE, FAILED, RUNNING, STOPPED, AdaptState
from .error_messages import tell
from .markup import note, problem
from .strings import ENGLISH, Say


def adapt_status(state: AdaptState, say: Say = ENGLISH) -> str:
    """What is being done, how far it is, and how it ended."""
    if state.phase == FAILED:
        return problem(tell(ValueError(state.message), say), say, title="adapt_problem")
    if state.phase == DONE:
        key = "adapt_drifted" if state.stopped_by_drift else "adapt_done"
        return note(say(key, name=state.name, steps=state.steps))
    if state.phase == STOPPED:
        return note(say("adapt_stopped", name=state.name))
    if state.phase == ASKING:
        minutes = f"{state.seconds / 60:.1f}"
        return note(say("adapt_asking", clips=state.kept, minutes=minutes))
    if state.phase not in RUNNING:
        return ""
    progress = state.progress
    done, total = progress.get("done", 0), progress.get("total", 0)
    percent = round(100 * done / total) if total else 0
    stage = progress.get("stage", "")
    if stage == "train":
        said, detail = (
            say("adapt_training", name=state.name),
            say("adapt_step", done=done, of=total),
        )
        for name in ("loss", "drift"):
            if progress.get(name) is not None:
                detail += f" · {say(f'adapt_{name}', value=f'{progress[name]:.2f}')}"
    else:
        said = say("adapt_preparing", name=state.name)
        detail = say("adapt_starting")
        if stage:
            number, _, name = stage.rpartition(" ")
            counted = say("adapt_step", done=done, of=total)
            detail = f"{number} {say(f'stage:{name}')}".strip() + f" · {counted}"
    spoken = say("spoken", what=said, percent=percent // 25 * 25)
    return f"""
<div class="sg-status sg-busy" data-say="{escape(spoken)}">
  <div class="sg-status-line"><strong>{escape(said)}</strong><span>{escape(detail)}</span></div>
  <div class="sg-bar" role="progressbar" aria-label="{escape(said)}" aria-valuemin="0"
   aria-valuemax="100" aria-valuenow="{percent}"
   ><span style="width:{max(2, percent)}%"></span></div>
</div>"""


def recordings_table(state: AdaptState, say: Say = ENGLISH) -> str:
    """The recordings with the number of clips that are used, and why the others are not."""
    if not state.rows:
        return ""
    head = "".join(
        f'<th scope="col">{escape(say(f"adapt_{name}"))}</th>'
        for name in ("recording", "clips", "reason")
    )
    rows = "".join(_recording(row, say) for row in state.rows)
    label = escape(say("adapt_table"))
    return (
        f'<div class="sg-table" tabindex="0" role="region" aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _recording(row: Mapping[str, Any], say: Say) -> str:
    """The row of a recording."""
    reason = ""
    if row["reason"] and row["kept"] < row["clips"]:
        told = tell(ValueError(row["reason"]), say)
        language = "" if told.language == say("language") else f' lang="{told.language}"'
        reason = f"<span{language}>{escape(told.text)}</span>"
    return (
        f'<tr><th scope="row">{escape(str(row["recording_id"]))}</th>'
        f"<td>{escape(say('adapt_kept', kept=row['kept'], clips=row['clips']))}</td>"
        f"<td>{reason}</td></tr>"
    )


def samples_view(samples: Mapping[int, Sequence[Path]], say: Say = ENGLISH) -> str:
    """Songs without the adapter, and after each evaluation of the training.

    Args:
        samples: files that gradio serves, by the step of their evaluation.
        say: words of the page.
    """
    if not samples:
        return ""
    rows = []
    for step, songs in samples.items():
        said = say("adapt_before") if step == 0 else say("adapt_after", steps=step)
        players = "".join(
            f'<audio controls preload="none" src="gradio_api/file={quote(str(song))}" '
            f'aria-label="{escape(say("adapt_song", number=number, when=said))}"></audio>'
            for number, song in enumerate(songs, 1)
        )
        rows.append(f"<li><strong>{escape(said)}</strong>{players}</li>")
    return f'<h2 class="sg-samples-title">{escape(say("adapt_samples"))}</h2>' + (
        f'<ol class="sg-samples">{"".join(rows)}</ol>'
    )


__all__ = ["adapt_status", "recordings_table", "samples_view"]
