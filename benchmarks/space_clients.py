"""Test a Space with many concurrent clients and hostile files: their songs, memory and files.

    python benchmarks/space_clients.py [--clients 50] [--killed 10] [--seconds 2] [--model ...]

The Space runs in a process of its own (`songgen-hf space run`). All clients request a song at the
same time, each with its own seed and lyrics, while others upload every file of hostile_uploads.py;
then some further clients are killed during generation. A new client requests every song again, and
the samples are compared. The memory is the resident memory of the server's process after a warm-up
and at the end. The last line of the output is JSON. The exit status is 1 if songs were exchanged or
lost, if a hostile file had another answer than its own or one with a path of the server, if a
request failed inside the server, if files are left, or if the memory changed by more than 10 %.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import soundfile
from hostile_uploads import UPLOADS, send_path_like_names, send_uploads, write_uploads  # beside it

WORDS = ("the river runs", "come and dance", "my heart is warm", "soft the rain", "we sing tonight")
STYLES = ("a folk song", "a happy pop song", "a sad jazz song", "a bold rock song")
MEMORY_TOLERANCE = 0.10
START_TIMEOUT = 3600  # seconds

KILLED_CLIENT = """
import sys, time
from gradio_client import Client
client = Client(sys.argv[1], verbose=False, httpx_kwargs={"timeout": 600})
song = {"lyrics": "an unfinished song", "seconds": float(sys.argv[2]), "variations": 4}
job = client.submit(**song, api_name="/sing")
while job.status().code.name in ("STARTING", "JOINING_QUEUE"):
    time.sleep(0.05)
print("asked", flush=True)
job.result()
"""


def request_of(number: int, seconds: float) -> dict:
    """The request of client ``number``, which differs from all other requests."""
    return {
        "lyrics": WORDS[number % len(WORDS)],
        "text": STYLES[number % len(STYLES)],
        "seconds": seconds,
        "seed": 1000 + number,
    }


def connect(address: str, folder: Path):
    """Connect a client with a long timeout."""
    from gradio_client import Client

    return Client(address, verbose=False, download_files=str(folder), httpx_kwargs={"timeout": 600})


def request_song(client, request: dict) -> dict:
    """Request a song; return its seed, its settings and its samples."""
    (song,) = client.predict(**request, api_name="/sing")
    samples, _ = soundfile.read(song["files"]["mix"], dtype="int16")
    return {"seed": song["seed"], "settings": song["settings"], "samples": samples.tobytes()}


def request_concurrently(
    address: str, count: int, seconds: float, folder: Path
) -> list[dict | str]:
    """Send all requests at the same time; return the answer or the error of each client."""

    def ask(number: int) -> dict | str:
        try:
            client = connect(address, folder)
            started = time.monotonic()
            try:
                answer = request_song(client, request_of(number, seconds))
            finally:
                client.close()
            return {**answer, "waited": time.monotonic() - started}
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def kill_clients(address: str, count: int, seconds: float) -> int:
    """Start clients, kill each of them after its request and return their number."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED_CLIENT, address, str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(count)
    ]
    killed = 0
    for process in processes:
        assert process.stdout is not None
        if process.stdout.readline() == "asked\n":
            killed += 1
        process.kill()
        process.wait()
        process.stdout.close()
    return killed


def find_errors(address: str, answers: list[dict | str], seconds: float, folder: Path) -> list[str]:
    """Find answers that are errors, belong to another client or are not reproducible."""
    wrong = []
    client = connect(address, folder)
    try:
        for number, answer in enumerate(answers):
            request = request_of(number, seconds)
            if isinstance(answer, str):
                wrong.append(f"client {number}: {answer}")
                continue
            for name in ("lyrics", "text", "seed"):
                if answer["settings"][name] != request[name]:
                    wrong.append(f"client {number} got the {name} {answer['settings'][name]!r}")
            if request_song(client, request)["samples"] != answer["samples"]:
                wrong.append(f"client {number}: seed {answer['seed']} gives another song")
    finally:
        client.close()
    return wrong


def resident_bytes(process: int) -> int:
    """Resident memory of a process (Linux only)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the memory of process {process} is unknown")


@contextmanager
def running_space(models: list[str], concurrency: int, temporary: Path):
    """Run a Space in a process of its own; yield its address and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "songgen_hf", "space", "run", "--port", str(port)]
    command += ["--concurrency", str(concurrency)]
    for model in models:
        command += ["--model", model]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(temporary), "HF_HUB_OFFLINE": "1"}
    with (temporary / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_TIMEOUT
            while True:
                if process.poll() is not None:
                    raise RuntimeError((temporary / "server.log").read_text())
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if time.monotonic() > end:
                    raise RuntimeError("the Space did not start")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait()


def count_songs(temporary: Path) -> int:
    """Number of songs in the folder of the Space."""
    return sum(1 for path in temporary.glob("songgen-space-*/*") if path.is_dir())


def what_is_left(temporary: Path) -> dict:
    """Files of the Space that are there after its end, and requests that failed inside of it."""
    own = {"server.log", "downloads", "uploads"}
    files = [path for path in temporary.rglob("*") if path.is_file()]
    log = (temporary / "server.log").read_text(encoding="utf-8", errors="replace")
    return {
        "files_left": sum(path.relative_to(temporary).parts[0] not in own for path in files),
        "failures": log.count("Traceback"),
    }


def measure(address: str, process: int, arguments: argparse.Namespace, temporary: Path) -> dict:
    """Run the benchmark against a running Space."""
    folder = temporary / "downloads"
    client = connect(address, folder)
    for number in range(arguments.warm_up):
        request_song(client, request_of(number, arguments.seconds))
    uploads = write_uploads(temporary / "uploads")
    connected = partial(connect, address, folder)
    refused = send_uploads(connected, uploads)
    client.close()
    before = resident_bytes(process)
    started = time.monotonic()
    with ThreadPoolExecutor(max(1, arguments.hostile)) as pool:
        sent = [pool.submit(send_uploads, connected, uploads) for _ in range(arguments.hostile)]
        answers = request_concurrently(address, arguments.clients, arguments.seconds, folder)
        for one in sent:
            refused += one.result()
    refused += send_path_like_names(address, temporary)
    together = time.monotonic() - started
    killed = kill_clients(address, arguments.killed, arguments.seconds)
    started = time.monotonic()
    wrong = find_errors(address, answers, arguments.seconds, folder)
    alone = time.monotonic() - started
    end = time.monotonic() + 120
    while count_songs(temporary) and time.monotonic() < end:
        time.sleep(0.5)
    after = resident_bytes(process)
    waited = [answer["waited"] for answer in answers if not isinstance(answer, str)]
    return {
        "clients": arguments.clients,
        "killed": killed,
        "seconds_each": arguments.seconds,
        "songs": len(waited),
        "wrong": wrong,
        "uploads": (1 + arguments.hostile) * len(UPLOADS),
        "uploads_wrong": refused,
        "wait_median": round(statistics.median(waited), 2) if waited else None,
        "wait_longest": round(max(waited), 2) if waited else None,
        "all_at_once": round(together, 1),
        "all_again": round(alone, 1),
        "memory_before": before,
        "memory_after": after,
        "memory_change": round(after / before - 1, 4),
        "songs_left": count_songs(temporary),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--killed", type=int, default=10, help="number of clients that are killed")
    parser.add_argument(
        "--hostile",
        type=int,
        default=2,
        help="clients with hostile files, beside one in the warm-up",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each song")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument(
        "--warm-up",
        type=int,
        default=3,
        help="songs before memory is measured",
    )
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        with running_space(arguments.model, arguments.concurrency, Path(name)) as (
            address,
            process,
        ):
            result = measure(address, process, arguments, Path(name))
        result |= what_is_left(Path(name))
    for key, value in result.items():
        print(f"{key:>16}  {value}")
    print(json.dumps(result))
    bad = ("wrong", "uploads_wrong", "songs_left", "files_left", "failures")
    fine = not any(result[name] for name in bad)
    return 0 if fine and abs(result["memory_change"]) <= MEMORY_TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
