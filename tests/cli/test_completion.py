"""The completion scripts, tried in the shells themselves."""

import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from songgen_hf.cli import COMMANDS, main
from songgen_hf.cli.completion import SHELLS, actions_of, described_parser

# What is typed, and all that fits it.
TYPED = [
    ("songgen-hf gen", ["generate"]),
    ("songgen-hf generate folk --dtype int", []),
    ("songgen-hf generate folk --dtype b", ["bfloat16"]),
    ("songgen-hf init --track-pattern parallel_", ["parallel_std", "parallel_A_V", "parallel_V_A"]),
    ("songgen-hf info songgen-mini/c", ["songgen-mini/codec"]),
    ("songgen-hf generate folk --model songgen-mini/ma", ["songgen-mini/masked"]),
    ("songgen-hf encode soun", ["sound.wav"]),
    ("songgen-hf prepare codes in out --runner r", ["ray"]),
    ("songgen-hf train --config song-", ["song-mini"]),
    ("songgen-hf train lora --lora-ra", ["--lora-rank"]),
    ("songgen-hf train conditioner --unsaid", ["--unsaid-weight"]),
    ("songgen-hf completion z", ["zsh"]),
]

BASH = r"""
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(( $# - 1 ))
function_of=$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')
"$function_of" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    """A folder with the script of every shell, and a file to complete."""
    pytest.importorskip("shtab")
    folder = tmp_path_factory.mktemp("completion")
    (folder / "sound.wav").touch()
    for shell in SHELLS:
        with pytest.MonkeyPatch.context() as patch, (folder / f"script.{shell}").open("w") as file:
            patch.setattr("sys.stdout", file)
            assert main(["completion", shell]) == 0
    return folder


def lines_of(command: list[str], folder: Path) -> list[str]:
    """The sorted lines that a shell prints; nothing may go to stderr."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, encoding="utf-8"
    )
    assert done.stderr == ""
    return sorted({line for line in done.stdout.splitlines() if line})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_bash_completes(scripts, typed, expected):
    command = ["bash", "--norc", "-c", BASH, "bash", "script.bash", *typed.split()]

    assert lines_of(command, scripts) == sorted(expected)


@pytest.mark.debian
@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_fish_completes(scripts, typed, expected):
    command = ["fish", "--no-config", "-c", f"source script.fish; complete -C '{typed}'"]

    assert sorted(line.split("\t")[0] for line in lines_of(command, scripts)) == sorted(expected)


@pytest.mark.debian
def test_zsh_completes(scripts):
    import pty

    shutil.copy(scripts / "script.zsh", scripts / "_songgen-hf")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(scripts)
        os.environ["TERM"] = "dumb"
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        load = (
            "PS1='> '; fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; print rea''dy\n"
        )
        assert "ready\r" in shown_after(terminal, load, "ready\r")
        for typed, expected in TYPED:
            if len(expected) == 1:  # zsh writes the one that fits into the line
                whole = " ".join([*typed.split()[:-1], expected[0]])
                assert whole in shown_after(terminal, f"\x15{typed}\t", whole), typed
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def shown_after(terminal: int, typed: str, awaited: str, seconds: float = 30) -> str:
    """What a terminal shows after something was typed, until the awaited text is there."""
    os.write(terminal, typed.encode())
    shown, end = "", time.monotonic() + seconds
    while awaited not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            with suppress(OSError):
                shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.slow
def test_every_command_and_flag_is_in_the_scripts(scripts):
    script = (scripts / "script.bash").read_text()

    flags = {name for action in actions_of(described_parser()) for name in action.option_strings}
    assert len(flags) > 100
    assert [name for name in {*COMMANDS, *flags} if name not in script] == []


@pytest.mark.slow
def test_the_json_of_completion_holds_the_script(scripts, capsys):
    assert main(["completion", "fish", "--json"]) == 0

    facts = json.loads(capsys.readouterr().out)
    assert facts["shell"] == "fish"
    assert facts["script"].strip() == (scripts / "script.fish").read_text().strip()


def test_without_shtab_the_error_names_the_pip_line(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)

    assert main(["completion", "bash"]) == 2
    assert "pip install 'songgen-hf[completion]'" in capsys.readouterr().err
