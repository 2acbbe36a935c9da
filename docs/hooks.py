"""What the documentation asks of the package while it is built: the help of every command."""

import argparse
import html
import re
from typing import Any

EXIT_STATUS = "<!-- exit status -->"
COMMANDS = "<!-- every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what the program says of itself where a page asks for it."""
    if COMMANDS not in markdown:
        return markdown
    from songgen_hf.cli import build_parser

    parser = build_parser()
    markdown = markdown.replace(EXIT_STATUS, sentence(parser.epilog or ""))
    return markdown.replace(COMMANDS, "\n".join(sections(parser, level=2)))


def sentence(text: str) -> str:
    """Words with a capital in front and a full stop behind."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")


def sections(parser: argparse.ArgumentParser, level: int) -> list[str]:
    """One section a command, sub-commands below it."""
    lines: list[str] = []
    for command, help_text in commands_of(parser):
        lines += [f"{'#' * level} {command.prog}", "", sentence(help_text), ""]
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
        everywhere = action.dest in ("help", "json", "debug")  # told once, at the head of the page
        if everywhere or action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        meaning = html.escape(str(action.help or ""), quote=False).replace("|", "\\|")
        if action.choices is not None:
            meaning += f" ({', '.join(map(str, action.choices))})"
        rows.append(f"| `{names}` | {meaning} |")
    return ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []
