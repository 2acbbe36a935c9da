"""Flags of the commands from dataclasses of options (`train` uses training/option_parsing.py).

    @dataclass(frozen=True, kw_only=True)
    class RenderOptions:
        output: Path = option(help="folder to write", positional=True)
        seed: int = option(0, "seed of the corpus")
        progress: bool = option(True, "show no progress bar", flag="--quiet")

    add_flags(parser, RenderOptions)  # output, --seed and --quiet
    options = read_flags(parser.parse_args(), RenderOptions)

The annotation decides how a value is read:

    bool                   a flag without a value: --name, or --no-name if the default is True
    bool | None            --name and --no-name
    Literal["a", "b"]      one of these words
    list[T], tuple[T, ...] one or more values
    tuple[T, T]            exactly as many values as the tuple has
    T                      one value, which ``T(word)`` reads

``T | None`` is read as ``T``.

A class of a lower layer, which cannot import this module, gives the keywords of :func:`option` as
``field(metadata={...})``. A field without help takes that of its entry under "Args:" in the
docstring of its class. Flags of a base class follow those of its subclasses.
"""

import argparse
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

Options = TypeVar("Options")

METADATA = frozenset(
    ("help", "metavar", "positional", "flag", "flags", "type", "choices", "nargs", "append")
    + ("group", "exclusive")
)


def option(default: Any = dataclasses.MISSING, help: str = "", **metadata: Any) -> Any:
    """Declare a field of a dataclass of options.

    Args:
        default: value if the flag is not given; without one the flag is required.
        help: what the option is; the default is added unless the text mentions one.
        **metadata: ``metavar``, ``type`` (a function that reads a word), ``choices`` and ``nargs``
            as in ``argparse``; ``positional=True`` for an argument without a flag; ``flag``, a
            spelling other than the field's name, or None for a field that is not an option;
            ``flags``, further spellings; ``append=True`` for a flag that may be repeated;
            ``group``, the section of the help, a title or a title with a description;
            ``exclusive``, a name that options share of which only one may be given.
    Raises:
        TypeError: for metadata of another name.
    """
    if unknown := metadata.keys() - METADATA:
        raise TypeError(f"option() got unknown metadata: {', '.join(sorted(unknown))}")
    described = {"help": help, **metadata}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=described)
    return dataclasses.field(default=default, metadata=described)


def add_flags(parser: argparse.ArgumentParser, options: type) -> None:
    """Add one argument to a parser for each field of a dataclass of options."""
    hints, documented = typing.get_type_hints(options), _documented(options)
    containers: dict[Any, Any] = {}
    for field in _fields(options):
        container: Any = parser
        if group := field.metadata.get("group"):
            if group not in containers:
                title, description = (group, None) if isinstance(group, str) else group
                containers[group] = parser.add_argument_group(title, description)
            container = containers[group]
        if exclusive := field.metadata.get("exclusive"):
            if ("exclusive", exclusive) not in containers:
                containers["exclusive", exclusive] = container.add_mutually_exclusive_group()
            container = containers["exclusive", exclusive]
        settings = _settings(field, hints[field.name], documented.get(field.name, ""))
        if field.metadata.get("positional"):
            container.add_argument(field.name, **settings)
        else:
            container.add_argument(*_spellings(field, settings), dest=field.name, **settings)


def read_flags(arguments: argparse.Namespace, options: type[Options]) -> Options:
    """Make the dataclass of options from parsed arguments.

    Raises:
        ValueError: whatever the dataclass refuses.
    """
    hints = typing.get_type_hints(options)
    values: dict[str, Any] = {}
    for field in _fields(options):
        value = getattr(arguments, field.name)
        is_tuple = typing.get_origin(_without_none(hints[field.name])) is tuple
        values[field.name] = tuple(value) if is_tuple and isinstance(value, list) else value
    return options(**values)


def given_flags(options: type, words: Sequence[str]) -> set[str]:
    """Return the names of the fields that a command line gives, whatever their values.

    Args:
        options: dataclass of the options.
        words: arguments of the command; unknown ones are passed over.
    """
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_flags(parser, options)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return set(vars(parser.parse_known_args(list(words))[0]))


def flag_of(name: str) -> str:
    """The usual flag of a field."""
    return f"--{name.replace('_', '-')}"


def _fields(options: type) -> list[dataclasses.Field[Any]]:
    """The fields that are options, those of a subclass before those of its bases."""
    order = [name for owner in options.__mro__ for name in vars(owner).get("__annotations__", ())]
    fields: Any = dataclasses.fields(options)  # type: ignore[arg-type]
    flags = [field for field in fields if field.init and field.metadata.get("flag", "") is not None]
    return sorted(flags, key=lambda field: order.index(field.name))


def _spellings(field: dataclasses.Field[Any], settings: dict[str, Any]) -> list[str]:
    """The flag of a field and its further spellings."""
    is_off = settings.get("action") == "store_false"
    usual = flag_of(f"no_{field.name}" if is_off else field.name)
    return [field.metadata.get("flag", usual), *field.metadata.get("flags", ())]


def _documented(options: type) -> dict[str, str]:
    """The texts under "Args:" in the docstrings of a class and its bases, by name."""
    texts: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        _, _, listed = inspect.cleandoc(owner.__doc__ or "").partition("\nArgs:\n")
        for name, text in re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE):
            texts[name] = " ".join(text.replace("``", "").split()).removesuffix(".")
    return texts


def _settings(field: dataclasses.Field[Any], hint: Any, documented: str) -> dict[str, Any]:
    """Keyword arguments of ``add_argument`` for a field."""
    described = field.metadata
    positional = described.get("positional", False)
    settings: dict[str, Any] = {"help": described.get("help") or documented}
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is not dataclasses.MISSING:
        settings["default"] = default
    elif not positional:
        settings["required"] = True

    value = _without_none(hint)
    if value is bool:
        if value is not hint:
            return settings | {"action": argparse.BooleanOptionalAction}
        return settings | {"action": "store_false" if default is True else "store_true"}
    settings |= _value_settings(value)
    if described.get("append"):
        settings.pop("nargs", None)
        settings["action"] = "append"
        if default is not dataclasses.MISSING and default is not None:
            settings["default"] = list(default)
    elif positional and default is not dataclasses.MISSING:
        settings.setdefault("nargs", "?")
    names = ("type", "choices", "nargs", "metavar")
    settings |= {name: described[name] for name in names if name in described}
    if (flag := described.get("flag")) and "choices" not in settings:
        settings.setdefault("metavar", flag.lstrip("-").replace("-", "_").upper())
    settings["help"] = _with_default(settings["help"], settings.get("default"))
    return settings


def _value_settings(hint: Any) -> dict[str, Any]:
    """How ``argparse`` reads the values of an annotation: nargs, type and choices."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _value_settings(type(parts[0])) | {"choices": parts}
    if origin is tuple and parts[-1] is not Ellipsis:
        return _value_settings(parts[0]) | {"nargs": len(parts)}
    if origin in (list, tuple):
        return _value_settings(parts[0]) | {"nargs": "+"}
    return {"type": hint} if isinstance(hint, type) and hint is not str else {}


def _without_none(hint: Any) -> Any:
    """The annotation T of ``T | None``; any other one as it is."""
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return parts[0] if is_union and len(parts) == 1 else hint


def _with_default(text: str, default: Any) -> str:
    """A help text that ends with the default, unless there is none or the text mentions it."""
    if default in (None, (), [], "") or "default" in text:
        return text
    shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
    return f"{text} (default: {shown})".strip()
