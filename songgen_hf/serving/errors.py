"""Errors of the service in the form of OpenAI's API: one clear line, without server paths."""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..space.error_messages import error_message
from .fields import FIELD_OF

logger = logging.getLogger(__name__)

INVALID = "invalid_request_error"
INTERNAL_ERROR = (
    "Something went wrong on the server, not with your request. Please try again; the details are "
    "in the log of the server."
)


class ServiceError(Exception):
    """A request that is not answered with a song.

    Args:
        status: HTTP status.
        message: what is wrong and what to do, in one line.
        kind: the ``type`` of OpenAI's errors.
        param: name of the wrong field.
        code: short name of the error.
        headers: headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.kind, self.param, self.code = kind, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON values."""
        fields = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": fields}


def service_error(error: BaseException) -> ServiceError:
    """The error that a client gets for any error; what the client did not cause is logged."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValueError | TypeError):
        message, name = error_message(error), re.split(r"\W", str(error))[0]
        if name in FIELD_OF:  # a message that begins with a field is about it
            message = name + message[len(name) :]
        return ServiceError(400, message, param=FIELD_OF.get(name))
    if isinstance(error, ImportError):  # of an optional package, which the service lacks
        message = error_message(ValueError(error))
        return ServiceError(501, message, kind="server_error", code="not_installed")
    logger.error("a request failed", exc_info=error)
    return ServiceError(500, INTERNAL_ERROR, kind="server_error", code="internal_error")


@contextmanager
def at_fault(field: str) -> Iterator[None]:
    """Name a field in the errors of a block that checks it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        found = service_error(error)
        found.param = field
        raise found from error


def queue_is_full(waiting: int, seconds: float) -> ServiceError:
    """The error of a request for which there is no place in the queue.

    Args:
        waiting: number of waiting requests.
        seconds: expected time until there is a place.
    """
    wait = max(1, math.ceil(seconds))
    return ServiceError(
        429,
        f"The queue is full: {waiting} requests wait already. Try again in {wait} s.",
        kind="rate_limit_error",
        code="queue_full",
        headers={"Retry-After": str(wait)},
    )


def timed_out(seconds: float) -> ServiceError:
    """The error of a request that took too long."""
    return ServiceError(
        504,
        f"The song was not ready within {seconds:g} s. Ask for fewer seconds, or try again when "
        "fewer requests wait.",
        kind="server_error",
        code="timeout",
    )


def stopping() -> ServiceError:
    """The error of a request that the end of the service interrupts."""
    return ServiceError(
        503,
        "The service stops before the song is ready. Send the request again when it is back.",
        kind="server_error",
        code="stopping",
        headers={"Retry-After": "10"},
    )


def song_not_found(song_id: str) -> ServiceError:
    """The error of a song that is not, or no longer, kept."""
    return ServiceError(
        404,
        f"There is no song {song_id[:60]!r}: songs are forgotten after a while. Generate it again "
        "with its seed.",
        param="id",
        code="song_not_found",
    )


__all__ = [
    "INTERNAL_ERROR",
    "INVALID",
    "ServiceError",
    "at_fault",
    "queue_is_full",
    "service_error",
    "song_not_found",
    "stopping",
    "timed_out",
]
