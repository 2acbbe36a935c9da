"""Damages files with a random generator, and calls readers in a fork with limits."""

import json
import os
import random
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

SECONDS, BYTES, LONGEST_LINE = 10, 4 * 2**30, 400
WAITING = 120
"""Seconds on the clock, of which a case may compute ``SECONDS``: other programs may be running."""
WORKS, REFUSED = "works", "one line"
TRACEBACK, UNCLEAR, CRASH, HANG, MEMORY = "traceback", "unclear", "crash", "hang", "memory"
HOSTILE_VALUES = [
    None, True, -1, 0, 1, 7, 10**10, 2**31, 2**63, 10**30, 0.5, 1e308, -1e308, float("nan"),
    float("inf"), "", "many", "../../etc/passwd", "\x00", "é" * 40, "1e9", [], [[]], [1, "a"], {},
    {"a": {}}, [10**10] * 3,
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a case ended, and what it printed."""

    kind: str
    output: str
    seconds: float


def damaged(content: bytes, draw: random.Random, *, head: int | None = None) -> bytes:
    """The content with bytes flipped, inserted, cut out, repeated or overwritten."""
    part, rest = content[:head], content[head:] if head is not None else b""
    for _ in range(draw.choice([1, 1, 2, 8])):
        place = draw.randrange(len(part) + 1)
        length = draw.choice([1, 2, 8, 64, max(1, len(part) // 2)])
        noise = draw.randbytes(min(length, 4096))
        part = draw.choice(
            [
                part[:place] + bytes(b ^ (1 << draw.randrange(8)) for b in part[place : place + 1])
                + part[place + 1 :],
                part[:place] + noise + part[place:],
                part[:place] + part[place + length :],
                part[:place],
                part[: place + length] + part[place:],
                part[:place] + draw.choice([b"\x00", b"\xff", b"9"]) * len(noise)
                + part[place + len(noise) :],
            ]
        )  # fmt: skip
    return part + rest


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of every value within a JSON value, its own path () excluded."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:20])
    found = []
    for name, entry in inner if isinstance(value, dict | list) else ():
        found.append((*path, name))
        if isinstance(entry, dict | list):
            found += places(entry, (*path, name))
    return found


def distorted(value: object, draw: random.Random) -> object:
    """A JSON value in which one entry is missing or has a hostile value."""
    if not (found := places(value)):
        return draw.choice(HOSTILE_VALUES)
    *path, last = draw.choice(found)
    inner = value
    for name in path:
        inner = inner[name]
    if draw.random() < 0.2:
        del inner[last]
    else:
        inner[last] = draw.choice(HOSTILE_VALUES)
    return value


def damage(path: Path, draw: random.Random, head: int | None) -> None:
    """Damage a file: its bytes, or, half of the time, values within a format that stays valid."""
    content = path.read_bytes()
    inside = draw.random() < 0.5
    if inside and path.suffix == ".json":
        content = json.dumps(distorted(json.loads(content), draw)).encode()
    elif inside and path.suffix == ".yaml":
        content = yaml.safe_dump(distorted(yaml.safe_load(content), draw)).encode()
    elif inside and path.suffix == ".safetensors":
        size = 8 + int.from_bytes(content[:8], "little")
        header, body = content[8:size], bytearray(content[size:])
        if draw.random() < 0.5:
            header = json.dumps(distorted(json.loads(header), draw)).encode()
        else:
            place, length = draw.randrange(len(body)), draw.choice([1, 4, 64, len(body)])
            body[place : place + length] = draw.choice([b"\xff", b"\x7f", b"\x00"]) * len(
                body[place : place + length]
            )
        content = len(header).to_bytes(8, "little") + header + body
    else:
        content = damaged(content, draw, head=head)
    path.unlink()  # it may be a link to the intact file
    path.write_bytes(content)


def guarded(call: Callable[[], object], log: Path, names: tuple[str, ...] = ()) -> Outcome:
    """Call a function in a fork with limits, and return how it ended."""
    import resource

    before = os.times().children_user + os.times().children_system
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 70
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            sys.stdout, sys.stderr = (
                os.fdopen(number, "w", encoding="utf-8", errors="replace") for number in (1, 2)
            )
            # The fork begins with the address space of this process. A limit on the whole would
            # let threads die while they start, which waits forever.
            most = BYTES + address_space()
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(WAITING)
            warnings.simplefilter("ignore")
            status = call() or 0
        except SystemExit as error:
            status = error.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    output = log.read_text(encoding="utf-8", errors="replace")
    seconds = os.times().children_user + os.times().children_system - before
    return Outcome(kind_of(ended, output, names), output, seconds)


def address_space() -> int:
    """The bytes of address space that this process has taken."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kind_of(ended: int, output: str, names: tuple[str, ...]) -> str:
    """The kind of an outcome: a clear line names the input, for which there are several names."""
    if os.WIFSIGNALED(ended):
        limits = (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL)
        return HANG if os.WTERMSIG(ended) in limits else CRASH
    if "out of memory" in output or "MemoryError" in output:
        return MEMORY
    if "Traceback" in output:
        return TRACEBACK
    if os.waitstatus_to_exitcode(ended) == 0:
        return WORKS
    errors = [line for line in output.splitlines() if ": error: " in line]
    clear = (
        len(errors) == 1 and len(errors[0]) <= LONGEST_LINE and output.endswith(errors[0] + "\n")
    )
    clear = clear and (not names or any(name in errors[0] for name in names))
    return REFUSED if clear else UNCLEAR
