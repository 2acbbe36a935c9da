"""Many clients of one Space at the same time: whose song is whose, and what stays behind.

    python benchmarks/space_clients.py [--clients 50] [--killed 5] [--seconds 2] [--model ...]

Starts the Space as a process of its own (`songgen-hf space run`), lets every client ask for a song
of its own seed and words at once, kills some clients in the middle of theirs, then asks a fresh
client for every song again and compares the samples. The memory is what the system says the
server's process holds, after a warm-up and at the end. The last line is JSON; the exit status is 1
if anything was mixed up, lost or left behind.
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
from pathlib import Path

import soundfile

WORDS = ("the river runs", "come and dance", "my heart is warm", "soft the rain", "we sing tonight")
STYLES = ("a folk song", "a happy pop song", "a sad jazz song", "a bold rock song")
MEMORY_TOLERANCE = 0.10
PATIENCE = 3600  # seconds

KILLED_CLIENT = """
import sys, time
from gradio_client import Client
client = Client(sys.argv[1], verbose=False, httpx_kwargs={"timeout": 600})
job = client.submit(lyrics="nobody will hear this", seconds=float(sys.argv[2]), api_name="/sing")
while job.status().code.name in ("STARTING", "JOINING_QUEUE"):
    time.sleep(0.05)
print("asked", flush=True)
job.result()
"""


def request_of(number: int, seconds: float) -> dict:
    """What client ``number`` asks for; no two ask for the same."""
    return {
        "lyrics": WORDS[number % len(WORDS)],
        "text": STYLES[number % len(STYLES)],
        "seconds": seconds,
        "seed": 1000 + number,
    }


def connect(address: str, folder: Path):
    """A client that waits as long as it takes."""
    from gradio_client import Client

    return Client(address, verbose=False, download_files=str(folder), httpx_kwargs={"timeout": 600})


def sung(client, request: dict) -> dict:
    """The answer to a request: its seed, its settings, its samples."""
    (song,) = client.predict(**request, api_name="/sing")
    samples, _ = soundfile.read(song["files"]["mix"], dtype="int16")
    return {"seed": song["seed"], "settings": song["settings"], "samples": samples.tobytes()}


def all_at_once(address: str, count: int, seconds: float, folder: Path) -> list[dict | str]:
    """One client a request, all at the same time: each one's answer, or its error."""

    def ask(number: int) -> dict | str:
        try:
            client = connect(address, folder)
            started = time.monotonic()
            try:
                answer = sung(client, request_of(number, seconds))
            finally:
                client.close()
            return {**answer, "waited": time.monotonic() - started}
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def killed_in_the_middle(address: str, count: int, seconds: float) -> int:
    """Clients that ask and are killed; how many were."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED_CLIENT, address, str(seconds)],
            stdout=subprocess.PIPE,
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


def mixed_up(address: str, answers: list[dict | str], seconds: float, folder: Path) -> list[str]:
    """What is wrong with the answers: errors, foreign songs, songs that are not sung again."""
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
            if sung(client, request)["samples"] != answer["samples"]:
                wrong.append(f"client {number}: seed {answer['seed']} sings another song")
    finally:
        client.close()
    return wrong


def resident_bytes(process: int) -> int:
    """Memory of a process that is in use now (Linux)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {process} says nothing of its memory")


@contextmanager
def running_space(models: list[str], concurrency: int, temporary: Path):
    """A Space in a process of its own: (address, process id)."""
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
            end = time.monotonic() + PATIENCE
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


def files_of(temporary: Path) -> int:
    """Songs that lie in the Space's folder."""
    return sum(1 for path in temporary.glob("songgen-space-*/*") if path.is_dir())


def measure(address: str, process: int, arguments: argparse.Namespace, temporary: Path) -> dict:
    """The whole run against a Space that listens."""
    folder = temporary / "downloads"
    client = connect(address, folder)
    for number in range(arguments.warm_up):
        sung(client, request_of(number, arguments.seconds))
    client.close()
    before = resident_bytes(process)
    started = time.monotonic()
    answers = all_at_once(address, arguments.clients, arguments.seconds, folder)
    together = time.monotonic() - started
    killed = killed_in_the_middle(address, arguments.killed, 10 * arguments.seconds)
    started = time.monotonic()
    wrong = mixed_up(address, answers, arguments.seconds, folder)
    alone = time.monotonic() - started
    end = time.monotonic() + 120
    while files_of(temporary) and time.monotonic() < end:
        time.sleep(0.5)
    after = resident_bytes(process)
    waited = [answer["waited"] for answer in answers if not isinstance(answer, str)]
    return {
        "clients": arguments.clients,
        "killed": killed,
        "seconds_each": arguments.seconds,
        "songs": len(waited),
        "wrong": wrong,
        "wait_median": round(statistics.median(waited), 2) if waited else None,
        "wait_longest": round(max(waited), 2) if waited else None,
        "all_at_once": round(together, 1),
        "all_again": round(alone, 1),
        "memory_before": before,
        "memory_after": after,
        "memory_change": round(after / before - 1, 4),
        "songs_left": files_of(temporary),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--killed", type=int, default=5, help="clients killed in the middle")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each song")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=3, help="songs before memory is measured")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        with running_space(arguments.model, arguments.concurrency, Path(name)) as (
            address,
            process,
        ):
            result = measure(address, process, arguments, Path(name))
    for key, value in result.items():
        print(f"{key:>16}  {value}")
    print(json.dumps(result))
    fine = not result["wrong"] and not result["songs_left"]
    return 0 if fine and abs(result["memory_change"]) <= MEMORY_TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
