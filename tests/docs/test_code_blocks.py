"""Every code block of README and of the documentation runs, and prints what the page says.

The blocks of a page run one after another in one folder and one namespace, as for a reader who
follows the page. Songs are cut to a tenth of a second, those of masked models to two steps, and
training to one step.
"""

import ast
import contextlib
import io
import json
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..tools.documentation.blocks import (
    DATA,
    PROSE,
    PYTHON,
    SHELL,
    Block,
    Page,
    count_fences,
    pages,
    read_page,
)
from ..tools.documentation.commands import (
    arguments_of,
    check_other,
    check_syntax,
    commands_in,
    parse_songgen,
    run_songgen,
    with_additions,
)
from ..tools.documentation.given import MAKERS, give

PAGES = {page.name: page for page in pages()}
WITH_DEBIAN = "test_the_blocks_of_a_page_that_need_debian_packages_run"
LONGEST_SONG = 5  # frames, a tenth of a second
PARSED_AT_MOST = 0.35  # of the code blocks


def needs_debian(name: str) -> bool:
    """Whether some block of a page needs Debian packages."""
    return any(block.debian is not None for block in PAGES[name].blocks)


@pytest.fixture
def short_runs(monkeypatch):
    """Cut every training to one step."""
    from accelerate.state import AcceleratorState

    from songgen_hf.training.language_model.trainer import SongGenTrainer

    train = SongGenTrainer.train

    def train_one_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.args.max_steps = 1
        self.args.warmup_steps = 0
        return train(self, *args, **kwargs)

    monkeypatch.setattr(SongGenTrainer, "train", train_one_step)
    yield
    # Accelerate keeps the precision of the first training; the next test may use another one.
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run(request, name, tmp_path, monkeypatch, short_songs, short_runs):
    page = PAGES[name]
    chosen = [item for item in request.session.items if item.get_closest_marker("debian")]
    if any(item.name == f"{WITH_DEBIAN}[{name}]" for item in chosen):
        pytest.skip("the test with Debian packages runs all blocks of this page")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    for file in page.given:
        give(file, tmp_path)

    Session(page).run()


@pytest.mark.slow
@pytest.mark.debian
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", [name for name in PAGES if needs_debian(name)])
def test_the_blocks_of_a_page_that_need_debian_packages_run(
    name, tmp_path, monkeypatch, short_songs, short_runs
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    for file in PAGES[name].given:
        give(file, tmp_path)

    Session(PAGES[name], debian=True).run()


class Session:
    """Runs the blocks of one page.

    Args:
        page: the page.
        debian: whether to run the blocks that need Debian packages; otherwise they are parsed.
    """

    def __init__(self, page: Page, *, debian: bool = False):
        self.page = page
        self.debian = debian
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""

    def run(self) -> None:
        """Run, parse or compare every block."""
        for block in self.page.blocks:
            if block.is_output:
                compare(block, self.printed)
                continue
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.run_block(block)
            self.printed = output.getvalue()

    def run_block(self, block: Block) -> None:
        """Run, parse or read one block that is not an output."""
        if block.language in PYTHON:
            self.python(block)
        elif block.language in SHELL:
            self.shell(block)
        elif block.language in DATA:
            json.loads(block.code) if block.language == "json" else yaml.safe_load(block.code)
        else:
            assert block.language in PROSE, f"{block.place}: say what it is: sh, python, text, ..."

    def python(self, block: Block) -> None:
        """Run a Python block in the page's namespace; errors point at the page's line."""
        tree = ast.parse(block.code, filename=block.place)
        ast.increment_lineno(tree, block.line - 1)
        code = compile(tree, str(block.path), "exec")
        if block.reason:
            return
        try:
            exec(code, self.namespace)
        except Exception as error:
            if type(error).__name__ == block.raises:
                return
            text = "".join(traceback.format_exception(error)[-6:])
            raise AssertionError(f"{block.place}: {text}") from error
        assert block.raises is None, f"{block.place}: no {block.raises} was raised"

    def shell(self, block: Block) -> None:
        """Run or parse the commands of a shell block."""
        check_syntax(block)
        here = self.debian and block.debian is not None
        additions = (block.debian or []) if here else block.additions
        for command in commands_in(block.code):
            if not command.startswith("songgen-hf "):
                self.other_program(command, block)
                continue
            words = arguments_of(command)
            try:
                if block.reason and not here:
                    parse_songgen(words)
                else:
                    run_songgen(with_additions(words, additions))
            except AssertionError as error:
                raise AssertionError(f"{block.place}: {error}") from error

    def other_program(self, command: str, block: Block) -> None:
        """Check a command of another program; ``mkdir`` is executed."""
        try:
            check_other(command)
        except AssertionError as error:
            raise AssertionError(f"{block.place}: {error}") from error
        words = arguments_of(command)
        if words[0] == "mkdir" and not block.reason:
            Path(words[-1]).mkdir(parents=True, exist_ok=True)


def compare(block: Block, printed: str) -> None:
    """Compare a text block with the output; a line of three dots stands for any lines."""
    parts = [part.strip("\n") for part in ("\n" + block.code).split("\n...\n")]
    position = 0
    for part in parts:
        found = printed.find(part, position)
        assert found >= 0, f"{block.place}: printed was\n{printed}\nwithout\n{part}"
        position = found + len(part)
    if len(parts) == 1:
        assert printed.strip() == block.code.strip(), f"{block.place}: printed was\n{printed}"


def test_every_fence_of_a_page_is_read_as_a_block():
    for page in PAGES.values():
        assert len(page.blocks) == count_fences(page.path), page.name

    for page in PAGES.values():
        for block in page.blocks:
            assert block.language in PYTHON + SHELL + DATA + PROSE, block.place


def test_blocks_that_are_not_run_have_a_reason_and_are_few():
    blocks = [block for page in PAGES.values() for block in page.blocks]
    code = [block for block in blocks if block.language in PYTHON + SHELL]
    parsed = [block for block in code if block.kind == "parsed only"]

    for block in parsed:
        assert len(block.reason.split()) >= 2, f"{block.place}: {block.reason!r} is no reason"
        assert not block.additions and block.raises is None, block.place
    assert len(parsed) <= PARSED_AT_MOST * len(code), [block.place for block in parsed]


def test_the_files_that_a_page_assumes_can_be_made():
    for page in PAGES.values():
        assert set(page.given) <= MAKERS.keys(), page.name


def test_a_wrong_block_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = {
        "```python\nundefined_name\n```": "NameError",
        "```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```": "printed was",
        "```sh\nsonggen-hf sing loudly\n```": "exit status 2",
        "<!-- parse: takes an hour -->\n```sh\nsonggen-hf generate folk --aloud\n```": "refuses",
        "<!-- parse: takes an hour -->\n```sh\nsonggen-hf train --loud 1\n```": "loud",
        "```sh\nmake coffee\n```": "no coffee",
        "```sh\npip install '.[nonsense]'\n```": "no extra nonsense",
        "```sh\npython benchmarks/nothing.py\n```": "no benchmarks/nothing.py",
        "```sh\nfrobnicate\n```": "frobnicate",
        "<!-- raises: ValueError -->\n```python\n1\n```": "no ValueError",
    }
    monkeypatch.setattr(Block, "place", property(lambda block: f"wrong:{block.line}"))
    for number, (text, message) in enumerate(wrong.items()):
        path = tmp_path / f"wrong-{number}.md"
        path.write_text(text + "\n", encoding="utf-8")
        page = read_page(path)
        with pytest.raises((AssertionError, ValueError), match=message):
            Session(page).run()
