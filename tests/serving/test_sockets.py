"""The WebSocket: chunks and progress of a song, and what happens to those that are closed."""

import json
import time
from contextlib import suppress
from socket import SHUT_RDWR

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from songgen_hf.serving.engine import SongEngine, as_pcm
from songgen_hf.serving.limits import ServiceLimits

from ..tools.waiting import wait_until
from .running import ROUNDING, SONGS, served

pytestmark = pytest.mark.slow
SONG = {"text": "a folk song", "lyrics": "the river runs", "seconds": 1.0, "seed": 4}


def heard(socket) -> tuple[list[dict], bytes]:
    """All messages of a socket, and its sound."""
    messages, sound = [], b""
    with suppress(ConnectionClosedError):  # after an error
        for message in socket:
            if isinstance(message, bytes):
                sound += message
            else:
                messages.append(json.loads(message))
    return messages, sound


def asked(service, request, **options) -> tuple[list[dict], bytes]:
    """The messages and the sound of a request."""
    with connect(service.socket, **options) as socket:
        socket.send(request if isinstance(request, str) else json.dumps(request))
        return heard(socket)


def test_a_socket_gets_progress_and_the_sound_of_its_song(service, pipelines):
    messages, sound = asked(service, SONG)

    song = pipelines["mixed"](
        SONG["text"], lyrics=SONG["lyrics"], seconds=1.0, seed=4, progress=False
    )
    wanted = np.frombuffer(as_pcm(song["audio"]), "<i2")
    np.testing.assert_allclose(np.frombuffer(sound, "<i2"), wanted, atol=ROUNDING)
    assert messages[0] | {"id": ""} == {
        "type": "started", "id": "", "model": "mixed", "seed": 4, "sampling_rate": 16000,
        "channels": 1, "encoding": "pcm_s16le",
    }  # fmt: skip
    steps = [message["done"] for message in messages if message["type"] == "progress"]
    assert steps == sorted(steps) and len(steps) > 40
    assert (messages[-1]["type"], messages[-1]["id"]) == ("done", messages[0]["id"])
    assert service.get(f"{SONGS}/{messages[-1]['id']}?format=pcm").content == as_pcm(song["audio"])


def test_the_first_chunk_comes_before_the_song_is_complete(service):
    kinds = []
    with connect(service.socket) as socket:
        socket.send(json.dumps(SONG | {"seconds": 1.8}))
        for message in socket:
            kinds.append("chunk" if isinstance(message, bytes) else json.loads(message)["type"])

    assert "progress" in kinds[kinds.index("chunk") :]


@pytest.mark.parametrize("leaves", ["closes", "cancels", "breaks"])
def test_a_client_that_leaves_stops_its_song_within_a_step(service, slow_steps, leaves):
    with connect(service.socket) as socket:
        socket.send(json.dumps(SONG | {"seconds": 2.0}))
        while json.loads(socket.recv())["type"] != "progress":
            pass
        if leaves == "closes":
            socket.close()
        elif leaves == "cancels":
            socket.send('{"type": "cancel"}')
        else:
            socket.socket.shutdown(SHUT_RDWR)
        left = time.monotonic()
        wait_until(lambda: service.engine.running == 0)

    after = [step for step in slow_steps if step > left + 0.2]  # the message is on its way
    assert len(slow_steps) < 60 and len(after) <= 1


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("{", "The request is not JSON: EOF while parsing an object at line 1 column 1."),
        ('{"text": ""}', "There is nothing to sing: give text, lyrics or both."),
        ('{"text": "a", "song": "song-0"}', None),
        ("[" * 3000, None),
    ],
)
def test_an_error_is_a_message_and_closes_the_socket(service, request_text, message):
    with connect(service.socket) as socket:
        socket.send(request_text)
        answers, _ = heard(socket)

    assert [answer["type"] for answer in answers] == ["error"]
    assert message is None or answers[0]["error"]["message"] == message
    assert socket.close_code == 1008


def test_pages_of_other_sites_and_clients_without_a_key_are_refused(service, pipelines):
    with pytest.raises(InvalidStatus, match="403"):
        connect(service.socket, origin="https://example.org")

    engine = SongEngine({"mixed": pipelines["mixed"]})
    with served(engine, limits=ServiceLimits(seconds=2.0), keys=("sk-anna",)) as locked:
        messages, _ = asked(locked, SONG)
        assert messages[0]["error"]["code"] == "invalid_api_key"
        messages, _ = asked(locked, SONG | {"api_key": "sk-anna", "seconds": 0.3})
        assert messages[-1]["type"] == "done"
        header = {"Authorization": "Bearer sk-anna"}
        messages, _ = asked(locked, SONG | {"seconds": 0.3}, additional_headers=header)
        assert messages[-1]["type"] == "done"


def test_a_socket_that_finds_the_queue_full_may_try_again(pipelines):
    engine = SongEngine({"mixed": pipelines["mixed"]})
    with served(engine, limits=ServiceLimits(seconds=2.0, waiting=0)) as full:
        with connect(full.socket) as first:
            first.send(json.dumps(SONG | {"seconds": 2.0}))
            first.recv()
            with connect(full.socket) as second:
                second.send(json.dumps(SONG))
                (answer,), _ = heard(second)
        assert answer["error"]["code"] == "queue_full" and second.close_code == 1013
