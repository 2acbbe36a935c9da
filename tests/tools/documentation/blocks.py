"""The code blocks of the documentation, and what the tests do with each of them.

A block runs unless a comment right before its fence says otherwise. The comments are not visible
on the page. ``given`` applies to the whole page, the others to the next block:

    <!-- given: voice.flac words.txt -->        files that the reader of this page has
    <!-- run: train lora + --max-steps 2 -->    run that command with these arguments added
    <!-- parse: trains for an hour -->          not run: commands are parsed by the real parser,
                                                Python is compiled; the reason is shown and counted
    <!-- debian: corpus + --train-songs 4 -->   run with these arguments added, in the test that is
                                                marked debian; parsed in the other one
    <!-- raises: ValueError -->                 the block ends in this error
    <!-- output -->                             a text block with the output of the block before it;
                                                a line of three dots stands for any lines

``python -m tests.tools.documentation.blocks`` prints how many blocks run, and why others do not.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
PYTHON = ("python", "py")
SHELL = ("sh", "bash", "shell", "console")
DATA = ("json", "yaml")
PROSE = ("text",)
COMMANDS = ("songgen-hf ", "pip ", "apt-get ", "make ", "python ", "docker ", "git ", "hf ")
UNNAMED = "a shell block without the name of its language"
DIRECTIVES = ("given", "run", "parse", "debian", "raises", "output")
DEBIAN = "needs Debian packages or files made with them; the test marked debian runs it"

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+) *(?P<info>[^`]*)$")
COMMENT = re.compile(r"^ *<!-- (?P<name>[a-z]+)(?:: (?P<value>.*?))? -->$")


@dataclass
class Block:
    """One fenced block.

    Args:
        path: file of the page.
        line: number of the block's first line of code, from 1.
        language: first word after the fence, lower case.
        code: text of the block without the indentation of the fence.
        additions: (command, arguments to add) for blocks that run with small settings.
        reason: why it is not run; None if it runs.
        debian: (command, arguments to add) for the test marked debian; None if it does not run it.
        raises: name of the error it ends in.
        is_output: whether it is the output of the block before it.
    """

    path: Path
    line: int
    language: str
    code: str
    additions: list[tuple[str, str]] = field(default_factory=list)
    reason: str | None = None
    debian: list[tuple[str, str]] | None = None
    raises: str | None = None
    is_output: bool = False

    @property
    def place(self) -> str:
        """File and line in the form that editors open."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def kind(self) -> str:
        """What the tests do with the block."""
        if self.is_output:
            return "compared with the output"
        if self.language in PYTHON + SHELL:
            if self.debian is not None:
                return "run with Debian packages"
            return "parsed only" if self.reason else "run"
        return "read as data" if self.language in DATA else "prose"


@dataclass
class Page:
    """One page with its blocks and the files that its reader is assumed to have."""

    path: Path
    blocks: list[Block]
    given: list[str]

    @property
    def name(self) -> str:
        """Path from the repository's root."""
        return self.path.relative_to(ROOT).as_posix()


def pages() -> list[Page]:
    """README and every page of the documentation that holds a block."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    # The log records past runs; its commands are not meant to be repeated.
    found = [read_page(path) for path in paths if path.name != "LOG.md"]
    return [page for page in found if page.blocks]


def read_page(path: Path) -> Page:
    """Read the blocks of one file.

    Raises:
        ValueError: for a fence that is not closed, or a comment without a block.
    """
    given: list[str] = []
    blocks: list[Block] = []
    waiting: list[tuple[str, str]] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    rest = iter(enumerate(lines, start=1))
    for number, line in rest:
        if fence := FENCE.match(line):
            blocks.append(read_block(path, number, fence, rest, waiting))
            waiting = []
        elif (comment := COMMENT.match(line)) and comment["name"] in DIRECTIVES:
            if comment["name"] == "given":
                given += (comment["value"] or "").split()
            else:
                waiting.append((comment["name"], comment["value"] or ""))
        elif line.strip() and waiting:
            raise ValueError(f"{path}:{number}: no block after the comment {waiting[0]}")
    return Page(path, blocks, given)


def read_block(
    path: Path,
    number: int,
    fence: re.Match[str],
    rest: Iterator[tuple[int, str]],
    comments: list[tuple[str, str]],
) -> Block:
    """Read the block whose opening fence has just been read."""
    indent = len(fence["indent"])
    code = []
    for _, line in rest:
        if line.strip() == fence["ticks"]:
            break
        code.append(line[indent:] if line[:indent].isspace() or not indent else line)
    else:
        raise ValueError(f"{path}:{number}: the block is not closed")
    language = (fence["info"].split() or [""])[0].lower()
    block = Block(path, number + 1, language, "\n".join(code) + "\n")
    if not language:
        is_shell = any(line.startswith(COMMANDS) for line in code)
        block.language = "sh" if is_shell else "text"
        block.reason = UNNAMED if is_shell else None
    for name, value in comments:
        if name == "run":
            command, _, arguments = value.partition("+")
            block.additions.append((command.strip(), arguments.strip()))
        elif name == "debian":
            command, _, arguments = value.partition("+")
            block.debian = [*(block.debian or []), (command.strip(), arguments.strip())]
            block.reason = DEBIAN
        elif name == "parse":
            block.reason = value
        elif name == "raises":
            block.raises = value
        else:
            block.is_output = True
    return block


def count_fences(path: Path) -> int:
    """Count the blocks of a file independently: half of the lines that begin with three ticks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(line.lstrip().startswith("```") for line in lines) // 2


def report() -> str:
    """How many blocks there are of each kind, and why some are not run."""
    everything = [block for page in pages() for block in page.blocks]
    kinds = Counter(block.kind for block in everything)
    reasons = Counter(block.reason for block in everything if block.kind == "parsed only")
    lines = [f"{len(everything)} code blocks: "]
    lines[0] += ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    lines += [f"  {count:>3} parsed only: {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())  # noqa: T201
