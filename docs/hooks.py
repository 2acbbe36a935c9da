"""Hooks of mkdocs: the help of every command in the page that asks for it, and ``llms.txt``."""

import argparse
import html
import re
from pathlib import Path
from typing import Any

EXIT_STATUS = "<!-- exit status -->"
COMMANDS = "<!-- every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by the exit statuses and the help of every command."""
    if COMMANDS not in markdown:
        return markdown
    from songgen_hf.cli import build_parser

    parser = build_parser()
    markdown = markdown.replace(EXIT_STATUS, sentence(parser.epilog or ""))
    return markdown.replace(COMMANDS, "\n".join(sections(parser, level=2)))


_PAGES: list[Any] = []


def on_nav(nav: Any, **_: Any) -> Any:
    """Remember the pages of the navigation."""
    _PAGES[:] = nav.pages
    return nav


def on_post_build(config: Any, **_: Any) -> None:
    """Write ``llms.txt`` (llmstxt.org): the pages of the navigation, for language models."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    section = None
    for page in _PAGES:
        above = page.ancestors[-1].title if page.ancestors else "Pages"
        if above != section:
            section = above
            lines += ["", f"## {section}", ""] if lines[-1] else [f"## {section}", ""]
        lines.append(f"- [{page.title}]({page.url}): {summary(page.markdown or '')}")
    Path(config.site_dir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def summary(markdown: str) -> str:
    """The first sentence of a page, without its links."""
    for block in re.split(r"\n\s*\n", markdown):
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(block.split()))
        if text and text[0] not in "#<!|`-":
            return re.split(r"(?<=[.!?]) ", text)[0]
    return ""


def sentence(text: str) -> str:
    """The text with a capital at its beginning and a full stop at its end."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")


def sections(parser: argparse.ArgumentParser, level: int) -> list[str]:
    """One section per command, with its sub-commands below it."""
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
    """The parsers of a parser's commands, each with its description."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                text = (command.description or texts.get(name, "")).strip()
                found.append((command, " ".join(text.split())))
    return found


def usage(command: argparse.ArgumentParser) -> str:
    """The usage line without the word "usage"."""
    return re.sub(r"^usage: ", "", command.format_usage()).strip()


def table(command: argparse.ArgumentParser) -> list[str]:
    """The table of the arguments of a command."""
    rows = []
    for action in command._actions:
        everywhere = action.dest in (
            "help",
            "json",
            "debug",
        )  # described once, at the top
        if everywhere or action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        meaning = html.escape(str(action.help or ""), quote=False).replace("|", "\\|")
        if action.choices is not None:
            meaning += f" ({', '.join(map(str, action.choices))})"
        rows.append(f"| `{names}` | {meaning} |")
    return ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []
