"""What the page says of an error: plain text in the language of the visitor, without paths."""

import logging
import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from .error_strings import MESSAGES, PARTS
from .strings import ENGLISH, LANGUAGES, Say

logger = logging.getLogger(__name__)

INTERNAL_ERROR = ENGLISH("internal_error")
_ROOT = r"(?:/|[A-Za-z]:[/\\])"
_PATH = re.compile(
    rf"(?<=['\"]){_ROOT}[^'\"]+(?=['\"])"
    rf"|(?<![\w.:/\\]){_ROOT}[^\s'\"<>|,;:()]*[^\s'\"<>|,;:().]"
)
"""An absolute path, in quotes or a word; not an address on the web, nor the id of a model."""
_PLACE = re.compile(r"\{(\w+)\}")


class Told(NamedTuple):
    """A message and its language, that of the page if there is a translation."""

    text: str
    language: str


def tell(error: BaseException, say: Say = ENGLISH) -> Told:
    """The message for a visitor: the error if the visitor can correct it, else INTERNAL_ERROR.

    The message is plain text. Of an absolute path, only the last name is left.

    Args:
        error: the error.
        say: words of the page.
    """
    language = say("language")
    if not isinstance(error, ValueError | TypeError):
        logger.error("a request failed", exc_info=error)
        return Told(say("internal_error"), language)
    message = _PATH.sub(lambda path: re.split(r"[/\\]", path[0].rstrip("/\\"))[-1], str(error))
    message = " ".join(message.split()).rstrip(".")
    translated = message if language == LANGUAGES[0] else in_german(message)
    message, language = (message, LANGUAGES[0]) if translated is None else (translated, language)
    return Told(f"{message[:1].upper()}{message[1:]}.", language)


def tell_all(messages: Iterable[str], say: Say = ENGLISH) -> Told:
    """Several messages as one."""
    told = [tell(ValueError(message), say) for message in messages]
    languages = {one.language for one in told}
    return Told(
        " ".join(one.text for one in told), *(languages if len(languages) == 1 else LANGUAGES[:1])
    )


def error_message(error: BaseException, say: Say = ENGLISH) -> str:
    """The text of :func:`tell`."""
    return tell(error, say).text


def in_german(message: str) -> str | None:
    """The German form of a message of the library; None if there is none."""
    for pattern, german in _patterns():
        if found := pattern.fullmatch(message):
            return german.format(**{name: _part(name, found[name]) for name in found.groupdict()})
    return None


def _part(name: str, value: str) -> str:
    """The German form of a value; one called ``error`` is a message itself."""
    if name == "parameter":
        return value
    return PARTS.get(value) or (in_german(value) if name == "error" else None) or value


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Pattern and German text of each message, those with the most words of their own first.

    Patterns that begin with a value come last: it would take what is written before the message.
    """
    found = []
    for english, german in MESSAGES.items():
        parts = _PLACE.split(english)
        own = "".join(parts[::2])
        pattern = "".join(
            f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
        )
        found.append((parts[0] == "", -len(own), re.compile(pattern), german))
    return [(pattern, german) for *_, pattern, german in sorted(found, key=lambda one: one[:2])]


__all__ = ["INTERNAL_ERROR", "Told", "error_message", "in_german", "tell", "tell_all"]
