"""Whole songs of ``songgen-hf generate``: ``--whole``, ``--plan`` and ``--redo``."""

from typing import Any

from ...pipelines.song_plan import PLANNED, by_line, plan
from ..flags import flag_of
from ..output import CommandResult
from .options import GenerateOptions
from .playing import STDOUT

WHOLE_ONLY = ("plan", *PLANNED, "folder", "redo")
NOT_WHOLE = (
    *("seconds", "max_seconds", "min_seconds", "prompt_audio", "song", "region", "keep_track"),
    *("keep_codebooks", "raw", "retries", "play", "jobs"),
)


def check_whole(options: GenerateOptions, lyrics: str | None) -> None:
    """Check the options of whole songs.

    Raises:
        ValueError: for options that do not go together.
    """
    if not options.whole:
        if given := [name for name in WHOLE_ONLY if getattr(options, name) not in (None, False)]:
            raise ValueError(f"{flag_of(given[0])} is for whole songs: add --whole")
        return
    if given := [name for name in NOT_WHOLE if getattr(options, name) not in (None, False, 0)]:
        raise ValueError(
            f"--whole does not take {flag_of(given[0])}: lengths and order are those of the "
            "sections"
        )
    if options.out == STDOUT:
        raise ValueError("--whole writes a sound file: got --out -")
    if options.num_songs != 1:
        raise ValueError(f"--whole generates one song: got --num-songs {options.num_songs}")
    if options.redo is None:
        if options.takes is not None:
            raise ValueError("--takes is for --redo and --song: with --whole give --best-of")
        return
    if options.folder is None:
        raise ValueError("--redo needs the --folder of an earlier --whole: give it")
    if options.best_of is not None:
        raise ValueError("--redo ranks by what follows: give --takes in place of --best-of")
    from ...pipelines.section_files import SectionFolder

    record = SectionFolder(options.folder).record or {}
    if record.get("text", options.text) != options.text:
        raise ValueError(
            f"the song in {options.folder} is described as {record['text']!r}: got "
            f"{options.text!r}; give the same"
        )
    sections = len(record["plan"]["sections"]) if record else options.redo
    if not 1 <= options.redo <= sections:
        last = f" to {sections}" if record else ""
        raise ValueError(f"--redo takes the number of a section, from 1{last}: got {options.redo}")
    given = [name for name in PLANNED if getattr(options, name) is not None]
    if given or lyrics is not None:
        flag = flag_of(given[0]) if given else "--lyrics"
        raise ValueError(f"--redo takes the plan from --folder: leave {flag} out")


def plan_result(options: GenerateOptions, lyrics: str | None) -> CommandResult:
    """The plan as text and JSON."""
    made = plan(lyrics, **_planned(options))
    made = by_line(made) if options.best_of_by == "line" else made
    facts = {"sections": made.to_list(), "window": made.window, "context": made.context}
    return CommandResult({**facts, "seconds": made.seconds}, str(made))


def sing_whole(
    options: GenerateOptions, pipeline: Any, lyrics: str | None, settings: dict[str, Any]
) -> Any:
    """Generate the whole song, or one section of it again."""
    voice = {
        "reference_voice": options.voice,
        "voice_start": options.voice_start,
        "separate_voice": options.separate_voice,
    }
    progress = options.shows_progress
    if options.redo is not None:
        return pipeline.redo_section(
            options.folder,
            options.redo - 1,
            seed=options.seed,
            progress=progress,
            **voice,
            **settings,
        )
    ranking = {name: getattr(options, name) for name in ("best_of", "best_of_by", "rank_by")}
    given = {name: value for name, value in ranking.items() if value is not None}
    return pipeline.whole_song(
        options.text,
        lyrics,
        seed=options.seed,
        folder=options.folder,
        language=options.language,
        negative_text=options.negative_text,
        timestamps=bool(options.timestamps),
        progress=progress,
        **_planned(options),
        **voice,
        **given,
        **settings,
    )


def _planned(options: GenerateOptions) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in PLANNED}
    return {name: value for name, value in given.items() if value is not None}


__all__ = ["check_whole", "plan_result", "sing_whole"]
