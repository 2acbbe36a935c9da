"""A dataclass of options becomes flags, and the parsed flags become the dataclass again."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from songgen_hf.cli.flags import add_flags, option, read_flags


@dataclass(frozen=True, kw_only=True)
class Base:
    """Options that several commands share."""

    device: str = option("auto", "cpu or cuda (default: an accelerator, if any)")


@dataclass(frozen=True, kw_only=True)
class Render(Base):
    """One field of every kind."""

    source: str = option(help="songs to read", positional=True)
    out: Path = option(help="folder to write")
    songs: int = option(100, "songs to render")
    seconds: float | None = option(None, "longest song")
    runner: Literal["map", "ray"] = option("map", "how to run")
    precision: str = option("a", "precision", choices=("a", "b"))
    voices: tuple[str, ...] = option((), "singers to draw from")
    seeds: list[int] = option([0, 1], "seeds", nargs="*")
    spread: tuple[float, float] = option((0.0, 1.0), "lowest and highest")
    license: str | None = option(None, "license of the songs", flags=("--licence",))
    adapters: list[str] = option([], "adapter", flag="--adapter", append=True)
    regions: list[list[float]] | None = option(
        None, "part", append=True, nargs=2, type=float, metavar=("START", "END")
    )
    greedy: bool = option(False, "take the likeliest code")
    pictures: bool = option(True, "write no pictures")
    progress: bool = option(True, "show no progress bar", flag="--quiet")
    bf16: bool | None = option(None, "bfloat16 or not")
    lyrics: str | None = option(None, "words", exclusive="lyrics")
    lyrics_file: Path | None = option(None, "file of words", exclusive="lyrics")
    steps: int | None = option(None, "steps", group=("masked models", "of a masked model"))
    schedule: str | None = option(None, "schedule", group=("masked models", "of a masked model"))
    lower: int = field(default=3, metadata={"help": "a field of a lower layer"})
    tally: int = option(0, flag=None)


def parsed(*words: str) -> Render:
    parser = argparse.ArgumentParser()
    add_flags(parser, Render)
    return read_flags(parser.parse_args(words), Render)


def action_of(name: str, options: type = Render) -> argparse.Action:
    parser = argparse.ArgumentParser()
    add_flags(parser, options)
    return next(action for action in parser._actions if action.dest == name)


def test_what_is_not_given_is_the_default_of_the_class():
    assert parsed("songs", "--out", "x") == Render(source="songs", out=Path("x"))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--songs 7", "songs", 7),
        ("--seconds 2.5", "seconds", 2.5),
        ("--runner ray", "runner", "ray"),
        ("--voices a b", "voices", ("a", "b")),
        ("--seeds", "seeds", []),
        ("--seeds 3 4 5", "seeds", [3, 4, 5]),
        ("--spread 1 2", "spread", (1.0, 2.0)),
        ("--licence mit", "license", "mit"),
        ("--adapter a --adapter b", "adapters", ["a", "b"]),
        ("--regions 1 2 --regions 3 4", "regions", [[1.0, 2.0], [3.0, 4.0]]),
        ("--greedy", "greedy", True),
        ("--no-pictures", "pictures", False),
        ("--quiet", "progress", False),
        ("--bf16", "bf16", True),
        ("--no-bf16", "bf16", False),
        ("--lyrics-file words.txt", "lyrics_file", Path("words.txt")),
        ("--lower 4", "lower", 4),
        ("--device cpu", "device", "cpu"),
    ],
)
def test_a_flag_is_read_as_its_annotation_says(words, name, value):
    assert getattr(parsed("songs", "--out", "x", *words.split()), name) == value


@pytest.mark.parametrize(
    "words",
    [
        ["songs"],
        ["--out", "x"],
        ["songs", "--out", "x", "--runner", "slurm"],
        ["songs", "--out", "x", "--precision", "c"],
        ["songs", "--out", "x", "--spread", "1"],
        ["songs", "--out", "x", "--voices"],
        ["songs", "--out", "x", "--lyrics", "la", "--lyrics-file", "words.txt"],
        ["songs", "--out", "x", "--tally", "1"],
        ["songs", "--out", "x", "--progress"],
    ],
)
def test_what_the_options_do_not_allow_ends_the_program(words, capsys):
    with pytest.raises(SystemExit):
        parsed(*words)
    assert "error:" in capsys.readouterr().err


def test_a_positional_with_a_default_may_be_left_out():
    @dataclass
    class Info:
        model: str | None = option(None, "checkpoint", positional=True)
        files: list[str] = option([], "files", positional=True, nargs="*", metavar="file")

    assert (action_of("model", Info).nargs, action_of("files", Info).nargs) == ("?", "*")
    assert action_of("files", Info).metavar == "file"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("songs", "songs to render (default: 100)"),
        ("seeds", "seeds (default: 0 1)"),
        ("device", "cpu or cuda (default: an accelerator, if any)"),
        ("seconds", "longest song"),
        ("voices", "singers to draw from"),
        ("greedy", "take the likeliest code"),
        ("progress", "show no progress bar"),
    ],
)
def test_the_help_names_the_default_once(name, text):
    assert action_of(name).help == text


def test_the_value_of_a_flag_of_another_name_is_called_like_the_flag():
    assert action_of("adapters").metavar == "ADAPTER"


def test_a_field_without_help_takes_that_of_the_docstring():
    @dataclass
    class Lower:
        """Options of a lower layer.

        Args:
            songs: songs to render, which take
                several lines to describe.
            runner: ``map`` or ``ray``.
            output: folder.
        Raises:
            ValueError: for a number out of range.
        """

        songs: int = 3
        runner: str = "map"
        output: str = option("out", "its own help")

    texts = {name: action_of(name, Lower).help for name in ("songs", "runner", "output")}

    assert texts == {
        "songs": "songs to render, which take several lines to describe (default: 3)",
        "runner": "map or ray (default: map)",
        "output": "its own help (default: out)",
    }


def test_the_help_has_the_sections_and_shows_own_options_before_shared_ones():
    parser = argparse.ArgumentParser()
    add_flags(parser, Render)

    text = parser.format_help()

    assert "masked models:\n  of a masked model" in text
    assert text.index("--songs") < text.index("--device")


def test_two_parsers_do_not_share_a_default():
    first = parsed("songs", "--out", "x", "--adapter", "a")

    assert first.adapters == ["a"] and parsed("songs", "--out", "x").adapters == []
    assert Render(source="", out=Path()).seeds is not Render(source="", out=Path()).seeds


def test_metadata_of_an_unknown_name_is_refused():
    with pytest.raises(TypeError, match="unknown metadata: posit"):
        option(0, posit=True)


def test_what_the_class_refuses_is_passed_on():
    @dataclass
    class Positive:
        number: int = option(1)

        def __post_init__(self) -> None:
            if self.number < 1:
                raise ValueError(f"number must be at least 1: got {self.number}")

    parser = argparse.ArgumentParser()
    add_flags(parser, Positive)

    with pytest.raises(ValueError, match="number must be at least 1: got 0"):
        read_flags(parser.parse_args(["--number", "0"]), Positive)
