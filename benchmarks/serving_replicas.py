"""Test `songgen-hf serve --ray` with many requests, of which a replica is killed half-way.

    python benchmarks/serving_replicas.py [--requests 1000] [--replicas 2] [--seconds 0.2]

Requests are sent by some clients at a time, with 50 seeds in turn. When half of them are answered,
a replica gets SIGKILL. Every answer is compared with the song of its seed, which the pipeline
generates in this process. The last line of the output is JSON. The exit status is 1 if a request
was lost or a song is another one.
"""

import argparse
import json
import os
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from serving_clients import SONGS, running_service
from tqdm import tqdm

from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.serving.engine import as_pcm

SEEDS = 50
TEXT = "a folk song"


def replicas_of(process: int) -> list[int]:
    """The replicas of Ray Serve among the descendants of a process (Linux only)."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = []
    for number, name in names.items():
        above = number
        while above in parents and above != process:
            above = parents[above]
        if above == process and name.startswith(b"ray::ServeReplica"):
            found.append(number)
    return sorted(found)


def measure(arguments: argparse.Namespace, temporary: Path) -> dict[str, Any]:
    """Run the benchmark."""
    pipeline = load_pipeline(arguments.model, device="cpu")
    expected = {
        seed: as_pcm(pipeline(TEXT, seed=seed, seconds=arguments.seconds, progress=False)["audio"])
        for seed in range(SEEDS)
    }
    options = ["--model", arguments.model, "--ray", str(arguments.replicas)]
    options += ["--queue", str(arguments.clients), "--max-seconds", str(arguments.seconds)]
    killed: list[int] = []
    done, lock = 0, Lock()
    options += ["--timeout", "3600"]
    with running_service(*options, temporary=temporary) as (host, process):

        def ask(number: int) -> str | None:
            nonlocal done
            seed = number % SEEDS
            body = {"text": TEXT, "seconds": arguments.seconds, "seed": seed}
            try:
                answer = client.post(
                    f"http://{host}{SONGS}", json={**body, "response_format": "pcm"}
                )
            except httpx.TransportError as error:
                return f"request {number}: {type(error).__name__}"
            with lock:
                done += 1
                if done == arguments.requests // 2:
                    killed.append(replicas_of(process)[0])
                    os.kill(killed[0], signal.SIGKILL)
            if answer.status_code != 200:
                return f"request {number}: status {answer.status_code}, {answer.text[:200]}"
            return None if answer.content == expected[seed] else f"request {number}: another song"

        started = time.monotonic()
        with (
            httpx.Client(timeout=3600) as client,
            ThreadPoolExecutor(arguments.clients) as pool,
        ):
            answers = tqdm(pool.map(ask, range(arguments.requests)), total=arguments.requests)
            wrong = [error for error in answers if error]
        taken = time.monotonic() - started
    return {
        "requests": arguments.requests,
        "replicas": arguments.replicas,
        "killed": len(killed),
        "clients": arguments.clients,
        "seconds_each": arguments.seconds,
        "wrong": wrong,
        "seconds": round(taken, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8, help="requests at the same time")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of each song")
    parser.add_argument("--model", default="songgen-mini")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure(arguments, Path(name))
    for key, value in result.items():
        print(f"{key:>14}  {value}")
    print(json.dumps(result))
    return 0 if result["killed"] == 1 and not result["wrong"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
