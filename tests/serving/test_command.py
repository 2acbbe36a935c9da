"""The command ``songgen-hf serve`` in a process of its own, alone and with replicas of Ray."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from songgen_hf.cli import main
from songgen_hf.serving.engine import as_pcm
from songgen_hf.serving.replicas import STARTS, _start_ray

from ..tools.serving import free_port
from ..tools.waiting import wait_until
from .running import ROUNDING, SONGS

pytestmark = pytest.mark.slow


@contextmanager
def command(*arguments: str, seconds: float, **environment: str) -> Iterator[tuple]:
    """Run the command; yields (process, host) when it is ready, and ends it with SIGTERM."""
    port = free_port()
    words = [sys.executable, "-m", "songgen_hf", "serve", "--port", str(port), *arguments]
    process = subprocess.Popen(words, env=os.environ | environment, stderr=subprocess.DEVNULL)

    def ready() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(ready, seconds=seconds)
        yield process, f"127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_command_serves_its_models_and_leaves_nothing(tiny_checkpoint, tmp_path, pipelines):
    keys = tmp_path / "keys.txt"
    keys.write_text("sk-anna\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    folder = Path(tiny_checkpoint("mixed_pro"))
    options = ["--model", str(folder), "--keys", str(keys), "--max-seconds", "1"]

    with command(*options, seconds=120, TMPDIR=str(temporary)) as (_, host):
        address = f"http://{host}{SONGS}"
        body = {"text": "folk", "seed": 3, "response_format": "pcm"}
        answer = httpx.post(
            address, json=body, headers={"Authorization": "Bearer sk-anna"}, timeout=60
        )
        assert answer.headers["x-song-model"] == folder.name
        assert httpx.post(address, json=body).status_code == 401

    song = pipelines["mixed"]("folk", seed=3, max_seconds=1.0, progress=False)
    assert answer.content == as_pcm(song["audio"])
    assert list(temporary.rglob("*")) == []


def test_a_port_that_is_taken_is_one_clear_line(service, tiny_checkpoint, capsys):
    port = service.host.split(":")[1]

    assert main(["serve", "--model", tiny_checkpoint("mixed_pro"), "--port", port]) == 2

    assert capsys.readouterr().err == (
        f"songgen-hf serve: error: cannot serve at 127.0.0.1:{port}: Address already in use; give "
        "another --port or --host\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--compile --workers 2", "--compile is for one song at a time: got --workers 2"),
        ("--adapter x", "--adapter belongs to one model: give one --model with it"),
        ("--revision x --model a --model b", "--revision belongs to one model: give one --model"),
        ("--max-whole-seconds 0", "--max-whole-seconds must be above 0: got 0"),
    ],
)
def test_flags_that_do_not_go_together_are_one_clear_line(words, message, capsys):
    assert main(["serve", *words.split()]) == 2

    assert capsys.readouterr().err.startswith(f"songgen-hf serve: error: {message}")


def replicas_of(process: int) -> list[int]:
    """The replicas among the descendants of a process."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = []
    for number, name in names.items():
        above = number
        while above in parents and above != process:
            above = parents[above]
        if above == process and name.startswith(b"ray::ServeReplica"):
            found.append(number)
    return sorted(found)


class SlowRay:
    """Stands for Ray on a machine that is too busy for its first starts."""

    def __init__(self, failures: int, message: str = "The node timed out during startup."):
        self.failures, self.message = failures, message
        self.starts = self.shutdowns = self.nodes_ended = 0

    def init(self, *_, **__):
        self.starts += 1
        if self.starts <= self.failures:
            SlowNode(self).start()

    def shutdown(self):
        self.shutdowns += 1


class SlowNode:
    """The node of Ray, which ends its processes only if it is told to."""

    def __init__(self, ray: SlowRay):
        self.ray = ray

    def start(self):
        raise Exception(self.ray.message)

    def kill_all_processes(self, *, check_alive, allow_graceful):
        self.ray.nodes_ended += 1


def test_ray_is_started_again_when_its_time_was_too_short(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_worker_niceness", "0")
    slow, hopeless, broken = SlowRay(2), SlowRay(99), SlowRay(99, "no such folder")

    _start_ray(slow, cpus=1)
    for ray in (hopeless, broken):
        with pytest.raises(Exception, match=ray.message):
            _start_ray(ray, cpus=1)

    assert (slow.starts, slow.shutdowns, slow.nodes_ended) == (3, 2, 2)
    assert (hopeless.starts, broken.starts) == (STARTS, 1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds replicas in /proc")
def test_songs_of_a_lost_replica_are_generated_by_another_one(tiny_checkpoint, pipelines):
    pytest.importorskip("ray.serve")
    options = ["--model", tiny_checkpoint("mixed_pro"), "--ray", "2", "--max-seconds", "2"]
    # Ray would write a token to the home folder.
    with command(*options, seconds=300, RAY_AUTH_MODE="disabled") as (process, host):
        sounds = {seed: b"" for seed in (5, 6)}
        sockets = {seed: connect(f"ws://{host}{SONGS}/stream") for seed in sounds}
        with ExitStack() as stack:
            opened = {seed: stack.enter_context(one) for seed, one in sockets.items()}
            for seed, socket in opened.items():  # one for each replica
                socket.send(json.dumps({"text": "folk", "seconds": 2.0, "seed": seed}))
            for socket in opened.values():
                json.loads(socket.recv())
            wait_until(lambda: len(replicas_of(process.pid)) == 2)
            os.kill(replicas_of(process.pid)[0], signal.SIGKILL)
            ends = {}
            for seed, socket in opened.items():
                for message in socket:
                    if isinstance(message, bytes):
                        sounds[seed] += message
                    else:
                        ends[seed] = json.loads(message)

        assert [ends[seed]["type"] for seed in sounds] == ["done", "done"]
        fetched = httpx.get(f"http://{host}{SONGS}/{ends[5]['id']}?format=pcm", timeout=60)
        refused = httpx.post(f"http://{host}{SONGS}", json={"text": "a", "language": "xx"})
    for seed, sound in sounds.items():
        song = pipelines["mixed"]("folk", seed=seed, seconds=2.0, progress=False)
        expected = np.frombuffer(as_pcm(song["audio"]), "<i2")
        np.testing.assert_allclose(np.frombuffer(sound, "<i2"), expected, atol=ROUNDING)
        if seed == 5:
            assert fetched.content == as_pcm(song["audio"])
    assert refused.status_code == 400 and "xx" in refused.json()["error"]["message"]
