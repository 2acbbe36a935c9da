"""What the documentation asks of the package while it is built: the help of every command."""

import argparse
import html
import re
from typing import Any

PLACE = "<!-- every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands' own help where a page asks for it."""
    return markdown.replace(PLACE, command_reference()) if PLACE in markdown else markdown


def command_reference() -> str:
    """Markdown for every command of the parser that the program itself uses."""
    from songgen_hf.cli import build_parser

    return "\n".join(sections(build_parser(), level=2))


def sections(parser: argparse.ArgumentParser, level: int) -> list[str]:
    """One section a command, sub-commands below it."""
    lines: list[str] = []
    for command, help_text in commands_of(parser):
        lines += [f"{'#' * level} {command.prog}", "", help_text, ""]
        deeper = commands_of(command)
        if not deeper:
            lines += ["```text", usage(command), "```", ""]
            lines += table(command)
        lines += sections(command, level + 1)
    return lines


def commands_of(
    parser: argparse.ArgumentParser,
) -> list[tuple[argparse.ArgumentParser, str]]:
    """Parsers and one-line descriptions of a parser's commands."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                text = (command.description or texts.get(name, "")).strip()
                found.append((command, " ".join(text.split())))
    return found


def usage(command: argparse.ArgumentParser) -> str:
    """The usage line, however long, without the word."""
    return re.sub(r"^usage: ", "", command.format_usage()).strip()


def table(command: argparse.ArgumentParser) -> list[str]:
    """Arguments and what they mean."""
    rows = []
    for action in command._actions:
        if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        meaning = html.escape(str(action.help or ""), quote=False).replace("|", "\\|")
        if action.choices is not None:
            meaning += f" ({', '.join(map(str, action.choices))})"
        rows.append(f"| `{names}` | {meaning} |")
    return ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []
