"""Reads the fields of a request from JSON or from a form."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import ServiceError
from .fields import TEXT_FIELDS, SongRequest

Fields = TypeVar("Fields", bound=BaseModel)


def read_request(body: bytes | str) -> SongRequest:
    """Read the JSON of a request for a song; errors as of :func:`read_fields`."""
    return read_fields(body, SongRequest)


def read_fields(body: bytes | str, kind: type[Fields]) -> Fields:
    """Read the JSON of a request.

    Raises:
        ServiceError: 400, with the name of the first wrong field.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _validation_error(error, kind) from None


def read_form(fields: Mapping[str, str]) -> SongRequest:
    """Read the text fields of a form, whose values other than texts are JSON.

    Raises:
        ServiceError: 400, with the name of the first wrong field.
    """
    values: dict[str, Any] = {}
    for name, text in fields.items():
        values[name] = text
        if name not in TEXT_FIELDS:
            try:
                values[name] = json.loads(text)
            except ValueError:
                pass  # the id of a song, or an error that names the field
    return read_request(json.dumps(values))


def _validation_error(error: ValidationError, kind: type[BaseModel]) -> ServiceError:
    """The first error of pydantic in one line."""
    errors = error.errors(include_url=False)
    # Of the errors of a union, the one deepest in the value says most.
    first = errors[0]
    if first["type"] == "json_invalid":
        reason = str(first.get("ctx", {}).get("error", "it cannot be read"))
        return ServiceError(400, f"The request is not JSON: {reason}.", code="invalid_json")
    if not first["loc"]:
        return ServiceError(400, "The request must be a JSON object.", code="invalid_json")
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        known = ", ".join(sorted(kind.model_fields))
        return ServiceError(
            400,
            f"There is no field {name[:40]!r}: expected some of {known}.",
            param=name[:40],
            code="unknown_field",
        )
    shown = json.dumps(first["input"], ensure_ascii=True, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    alternatives = list(dict.fromkeys(one["msg"] for one in errors if one["loc"][0] == name))
    expected = " or ".join(text[:1].lower() + text[1:] for text in alternatives[:3])
    return ServiceError(400, f"{name}: {expected}; got {shown}.", param=name, code="invalid_value")


__all__ = ["read_fields", "read_form", "read_request"]
