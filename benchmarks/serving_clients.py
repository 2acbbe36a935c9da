"""Test `songgen-hf serve` with many streaming clients: their songs, memory and files.

    python benchmarks/serving_clients.py [--clients 50] [--killed 10] [--seconds 2] [--model ...]

All clients open a WebSocket at the same time, each with its own seed; some of them vanish after the
first message about their song. The sound of each song is compared with that of the pipeline in this
process. The memory is the resident memory of the service after a warm-up and at the end. The last
line of the output is JSON. The exit status is 1 if songs were exchanged or lost, if the service did
not stop the songs of clients that vanished, if files are left, or if the memory changed by more
than 10 %.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.serving.engine import as_pcm

MEMORY_TOLERANCE = 0.10
START_TIMEOUT = 1800  # seconds
STREAM_TOLERANCE = 3  # of 32768; a stream is decoded in chunks
SONGS = "/v1/audio/songs"


def request_of(number: int, seconds: float) -> dict[str, Any]:
    """The request of client ``number``, which differs from all other requests."""
    return {"text": f"a folk song {number}", "seconds": seconds, "seed": 1000 + number}


@contextmanager
def running_service(*arguments: str, temporary: Path) -> Iterator[tuple[str, int]]:
    """Run the service in a process of its own; yields its host and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "songgen_hf", "serve", "--port", host.split(":")[1]]
    environment = {**os.environ, "TMPDIR": str(temporary), "RAY_AUTH_MODE": "disabled"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, *arguments], env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_TIMEOUT
            while True:
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise RuntimeError(f"the service did not start: {log.read()[-2000:]}")
                try:
                    if httpx.get(f"http://{host}/ready", timeout=5).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.5)
            yield host, process.pid
        finally:
            process.terminate()
            process.wait()


def resident_bytes(process: int) -> int:
    """Resident memory of a process (Linux only)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the memory of process {process} is unknown")


async def stream(host: str, request: dict[str, Any], *, vanish: bool = False) -> bytes | str:
    """The sound of a song, or what went wrong; with ``vanish``, break the connection at once."""
    from websockets.asyncio.client import connect

    sound, kind, error = b"", "nothing", ""
    try:
        async with connect(f"ws://{host}{SONGS}/stream", open_timeout=600) as client:
            await client.send(json.dumps(request))
            async for message in client:
                if vanish:
                    client.transport.abort()
                    return b""
                if isinstance(message, bytes):
                    sound += message
                else:
                    told = json.loads(message)
                    kind = told["type"]
                    error = told["error"]["message"] if kind == "error" else ""
    except Exception as broken:  # also the end after an error
        error = error or f"{type(broken).__name__}: {broken}"
    return sound if kind == "done" else error or f"ended with {kind}"


async def stream_all(host: str, clients: int, killed: int, seconds: float) -> list[bytes | str]:
    """Stream the songs of all clients at once; the first ``killed`` of them vanish."""
    calls = [
        stream(host, request_of(number, seconds), vanish=number < killed)
        for number in range(clients)
    ]
    return await asyncio.gather(*calls)


def find_errors(answers: list[bytes | str], killed: int, seconds: float, model: str) -> list[str]:
    """Answers that are errors or are not the song of their seed."""
    pipeline = load_pipeline(model, device="cpu")
    wrong = []
    for number, answer in enumerate(answers):
        if isinstance(answer, str):
            wrong.append(f"client {number}: {answer}")
        elif number >= killed:
            request = request_of(number, seconds)
            song = pipeline(request["text"], seed=request["seed"], seconds=seconds, progress=False)
            expected = np.frombuffer(as_pcm(song["audio"]), "<i2").astype(int)
            heard = np.frombuffer(answer, "<i2").astype(int)
            if heard.shape != expected.shape or abs(heard - expected).max() > STREAM_TOLERANCE:
                wrong.append(f"client {number}: another song")
    return wrong


def metric(host: str, name: str) -> float:
    """The value of a metric without labels."""
    lines = httpx.get(f"http://{host}/metrics", timeout=60).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def measure(arguments: argparse.Namespace, temporary: Path) -> dict[str, Any]:
    """Run the benchmark."""
    seconds, killed = arguments.seconds, arguments.killed
    options = ["--model", arguments.model, "--max-seconds", str(seconds)]
    options += ["--queue", str(arguments.clients), "--timeout", str(arguments.timeout)]
    with running_service(*options, temporary=temporary) as (host, process):
        asyncio.run(
            stream_all(host, arguments.clients, 0, seconds)
        )  # warm-up, which fills the store
        before = resident_bytes(process)
        started = time.monotonic()
        answers = asyncio.run(stream_all(host, arguments.clients, killed, seconds))
        together = time.monotonic() - started
        end = time.monotonic() + 60
        while metric(host, "songgen_running") and time.monotonic() < end:
            time.sleep(0.2)
        unfinished = metric(host, "songgen_running") + metric(host, "songgen_queue_length")
        after = resident_bytes(process)
        alive = httpx.get(f"http://{host}/ready", timeout=60).status_code == 200
    return {
        "clients": arguments.clients,
        "killed": killed,
        "seconds_each": seconds,
        "wrong": find_errors(answers, killed, seconds, arguments.model),
        "all_at_once": round(together, 1),
        "unfinished": unfinished,
        "alive": alive,
        "memory_before": before,
        "memory_after": after,
        "memory_change": round(after / before - 1, 4),
        "files_left": sorted(path.name for path in temporary.iterdir()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--killed", type=int, default=10, help="number of clients that vanish")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each song")
    parser.add_argument("--timeout", type=float, default=3600.0, help="longest wait in seconds")
    parser.add_argument("--model", default="songgen-mini")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure(arguments, Path(name))
    for key, value in result.items():
        print(f"{key:>16}  {value}")
    print(json.dumps(result))
    fine = result["alive"] and not (result["wrong"] or result["unfinished"] or result["files_left"])
    return 0 if fine and abs(result["memory_change"]) <= MEMORY_TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
