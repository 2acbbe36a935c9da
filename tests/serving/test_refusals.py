"""What the service refuses: wrong fields, hostile uploads, wrong keys, full queues, late songs."""

import base64
import io
import json
import socket
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import soundfile

from songgen_hf.serving.engine import SongEngine
from songgen_hf.serving.guard import read_keys
from songgen_hf.serving.limits import ServiceLimits
from songgen_hf.serving.requests import read_request

from ..tools.waiting import wait_until
from .running import SONGS, served

WORDS = {"text": "a folk song", "seconds": 0.3}
FIELDS = [
    ({"temperature": 5}, "temperature: input should be less than or equal to 2; got 5."),
    ({"seed": -1}, "seed: input should be greater than or equal to 0; got -1."),
    ({"seed": "7"}, 'seed: input should be a valid integer; got "7".'),
    ({"seconds": 0}, "seconds: input should be greater than 0; got 0."),
    ({"response_format": "aac"}, "response_format: input should be 'wav', 'flac', 'mp3', 'ogg', "
     "'pcm' or 'json'; got \"aac\"."),
    ({"keep_track": "drums"}, "keep_track: input should be 'accompaniment' or 'vocal'; "
     'got "drums".'),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), FIELDS)
def test_a_value_out_of_range_names_its_field(change, message):
    from songgen_hf.serving.errors import ServiceError

    with pytest.raises(ServiceError) as caught:
        read_request(json.dumps(WORDS | change))

    assert (caught.value.status, str(caught.value)) == (400, message)
    assert caught.value.param == next(iter(change))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "The request is not JSON: EOF while parsing an object at line 1 column 1."),
        ("[1]", "The request must be a JSON object."),
        ('{"seconds": NaN}', "seconds: input should be a finite number; got NaN."),
        ("[" * 5000, "The request is not JSON: recursion limit exceeded at line 1 column 202."),
    ],
)
def test_a_body_that_is_no_request_is_refused_in_one_line(body, message):
    from songgen_hf.serving.errors import ServiceError

    with pytest.raises(ServiceError) as caught:
        read_request(body)

    assert str(caught.value) == message


def test_an_unknown_field_is_named():
    from songgen_hf.serving.errors import ServiceError

    with pytest.raises(ServiceError, match=r"^There is no field 'prompt': expected some of audio"):
        read_request('{"prompt": "x"}')


def test_keys_are_read_from_the_lines_of_a_file(tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text("# of the band\nsk-anna\n\n  sk-ben  \n")

    assert read_keys(path) == ("sk-anna", "sk-ben")
    path.write_text("\n# nobody\n")
    with pytest.raises(ValueError, match=r"^keys.txt has no key: write one in each line$"):
        read_keys(path)
    path.write_text("two words\n")
    with pytest.raises(ValueError, match="key 1 of keys.txt has spaces"):
        read_keys(path)


FACTS = {"hop": {"hop_length": 640}, "weights": {"hop_length": 320, "codec": "0123"}}


def hostile(kind: str) -> bytes:
    """A file that is no short recording."""
    content = io.BytesIO()
    if kind == "archive":
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("../../../evil.txt", "x")
    elif kind == "two hours":
        with soundfile.SoundFile(content, "w", 1000, 1, "PCM_16", format="FLAC") as file:
            for _ in range(120):
                file.write(np.zeros(60_000, np.int16))
    elif kind in ("bomb", "pickle"):
        values = np.zeros(20_000_000, np.int8) if kind == "bomb" else np.array([{}])
        np.savez_compressed(content, codes=values)
    elif kind in FACTS:
        np.savez(content, codes=np.zeros((1, 4, 20), int), sampling_rate=16000, **FACTS[kind])
    elif kind == "words":
        np.savez(content, codes=np.array(["a"]))
    elif kind == "text":
        content.write(b"no sound")
    elif kind == "one sample":
        soundfile.write(content, np.zeros(1), 16000, format="WAV")
    elif kind == "large":
        content.write(b"RIFF" + bytes(300_000))
    return content.getvalue()


UPLOADS = [
    ("voice", "archive", "annot read the reference voice"),
    ("voice", "two hours", "The reference voice lasts 2.0 h"),
    ("voice", "text", "annot read the reference voice"),
    ("voice", "empty", "annot read the reference voice"),
    ("voice", "large", "The reference voice has 0 MB"),
    ("song", "archive", "song is no recording and has no codes that can be read"),
    ("song", "bomb", "song is no recording and has no codes that can be read"),
    ("song", "pickle", "song is no recording and has no codes that can be read"),
    ("song", "words", "song is no recording and has no codes that can be read"),
    ("song", "hop", "song has codes of another codec, with the hop_length 640: expected 320; give"),
    ("song", "weights", "song has codes of another codec, with the codec 0123: expected "),
    ("song", "two hours", "song (mixture) lasts 7200.0 s: up to 2 s are accepted"),
    ("song", "text", "song (mixture) is not a recording that can be read"),
    ("song", "empty", "song (mixture) is not a recording that can be read"),
    ("song", "one sample", "has 1 samples, expected at least one frame of 320"),
    ("song", "large", "song (mixture) has 0 MB"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "message"), UPLOADS)
def test_hostile_uploads_raise_a_clear_error(service, name, kind, message):
    fields = {"text": "folk"} | ({"keep_codebooks": "1"} if name == "song" else {})

    status, error = service.error(data=fields, files={name: hostile(kind)})

    assert (status, error["type"]) == (400, "invalid_request_error"), error
    assert error["param"] == (None if kind == "one sample" else name)
    assert message in error["message"] and "\n" not in error["message"]
    assert "/" not in error["message"].replace("https://", "")


REQUESTS = [
    ({}, 400, None, None, "There is nothing to sing: give text, lyrics or both."),
    ({"text": "a", "input": "b"}, 400, None, "text",
     "text and input were both given: they are the same; give one."),
    ({**WORDS, "model": "/etc/passwd"}, 404, "model_not_found", "model",
     "There is no model '/etc/passwd': expected mixed or tracks or masked."),
    ({**WORDS, "seconds": 60}, 400, None, "seconds", "seconds must be at most 2: got 60."),
    ({**WORDS, "max_seconds": 1}, 400, None, "seconds",
     "seconds is the length: leave min_seconds and max_seconds out."),
    ({**WORDS, "best_of": 9}, 400, None, "best_of", "best_of must be at most 4: got 9."),
    ({**WORDS, "steps": 8}, 400, None, "steps",
     "steps is for masked models: leave it out for mixed."),
    ({**WORDS, "model": "masked", "top_k": 8}, 400, None, "top_k",
     "top_k is for autoregressive models: leave it out for masked."),
    ({**WORDS, "regions": [[0, 1]]}, 400, None, "regions",
     "regions needs a song to edit: give song."),
    ({**WORDS, "song": "song-" + "0" * 32}, 404, "song_not_found", "id",
     "There is no song 'song-00000000000000000000000000000000': songs are forgotten after a "
     "while. Generate it again with its seed."),
    ({**WORDS, "voice": "!"}, 400, None, "voice",
     "voice is not base64: encode the bytes of a WAV, FLAC, OGG or MP3 file, or upload the file "
     "as a part of a form."),
    ({**WORDS, "stream": True, "response_format": "mp3"}, 400, None, "response_format",
     "response_format is 'mp3': a stream is wav or pcm; leave stream out for the other formats."),
    ({**WORDS, "lyrics": "la" * 2000}, 400, None, "lyrics",
     "The lyrics must have at most 2000 characters: got 4000; shorten them."),
    ({**WORDS, "voice_start": 2}, 400, None, "voice_start",
     "voice_start is 2.0, but there is no reference voice: give one, or leave voice_start out."),
    ({**WORDS, "lyrics": "..."}, 400, None, "lyrics",
     "lyrics have no letter or digit to sing: got '...'; write words, or leave them empty for a "
     "song without."),
    ({**WORDS, "lyrics": "a\x1b[31mb"}, 400, None, "lyrics",
     "The control character U+001B at position 2 is not allowed in the lyrics: remove it, or type "
     "the text instead of pasting it."),
    ({**WORDS, "language": "xx"}, 400, None, "language", None),
    ({**WORDS, "guidance": {"melody": 2}}, 400, "invalid_value", "guidance", None),
    ({"text": "a", "whole": True, "seconds": 1}, 400, None, "whole", None),
    ({**WORDS, "negative_text": "a\x00"}, 400, None, "negative_text", None),
    ({**WORDS, "guidance_interval": [1, 0]}, 400, None, "guidance_interval", None),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("body", "status", "code", "param", "message"), REQUESTS)
def test_wrong_requests_raise_a_clear_error(service, body, status, code, param, message):
    found, error = service.error(body)

    assert (found, error["code"], error["param"]) == (status, code, param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert message is None or error["message"] == message
    assert error["message"] and "\n" not in error["message"]


@pytest.mark.slow
def test_other_paths_methods_and_kinds_of_bodies_are_refused_in_the_same_form(service):
    def error(answer):
        return answer.status_code, answer.json()["error"]["message"]

    assert error(service.get("/v1/nothing")) == (404, "There is no /v1/nothing.")
    assert error(httpx.put(f"{service.url}/health")) == (405, "/health does not take PUT.")
    assert service.error(content=b"text=folk")[0] == 415
    wrong = {"headers": {"content-type": "text/plain"}, "content": b"{}"}
    assert service.error(**wrong)[1]["message"] == (
        "The content type is 'text/plain': expected application/json or multipart/form-data."
    )
    twice = {"data": {"text": "folk"}, "files": [("evil", ("evil", b"x"))]}
    assert "there is no file 'evil'" in service.error(**twice)[1]["message"].lower()


@pytest.mark.slow
def test_a_song_has_no_track_and_no_times_that_it_does_not_have(service):
    song = f"{SONGS}/{service.post({**WORDS, 'seed': 1}).headers['x-song-id']}"
    codes = {
        "/vocal": "track_not_found",
        "/lyrics.vtt": "no_timestamps",
        "/drums": None,
    }
    for part, code in codes.items():
        answer = service.get(song + part)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    refused = service.get(f"{song}?format=aac").json()["error"]["message"]
    assert refused == "format is 'aac': expected wav, flac, mp3, ogg, pcm, or json."


@pytest.mark.slow
def test_bodies_that_are_too_large_are_refused_with_and_without_their_length(service):
    large = json.dumps({"text": "a" * 1_100_000}).encode()
    head = {"content-type": "application/json"}

    told = service.post(content=large, headers=head)
    untold = service.post(content=iter([large[:600_000], large[600_000:]]), headers=head)

    for answer in (told, untold):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


@pytest.fixture
def small(pipelines):
    """Factory of services with their own limits and keys."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def serve(keys=(), **limits):
            limits = ServiceLimits(**{"seconds": 2.0, "keep_minutes": 60} | limits)
            engine = SongEngine({"mixed": pipelines["mixed"]})
            return stack.enter_context(served(engine, limits=limits, keys=keys))

        yield serve


@pytest.mark.slow
def test_only_keys_open_the_service_and_each_sees_its_own_songs(small):
    service = small(keys=("sk-anna", "sk-ben"))
    anna, ben = ({"Authorization": f"Bearer {key}"} for key in ("sk-anna", "sk-ben"))

    for headers in ({}, {"Authorization": "Bearer sk-ann"}, {"Authorization": "Basic sk-anna"}):
        answer = service.post(WORDS, headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert service.get("/metrics").status_code == 401
    assert service.get("/health").status_code == 200
    song = service.post({**WORDS, "seed": 1}, headers=anna)
    path = f"{SONGS}/{song.headers['x-song-id']}"
    assert service.get(path, headers=anna).content == song.content
    assert service.get(path, headers=ben).status_code == 404
    assert httpx.delete(f"{service.url}{path}", headers=ben).status_code == 404


@pytest.mark.slow
def test_a_full_queue_says_when_to_try_again_and_the_metrics_count_it(small):
    service = small(waiting=1)
    long = {"text": "folk", "seconds": 2.0}

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda seed: service.post({**long, "seed": seed}), range(6)))

    refused = [answer for answer in answers if answer.status_code == 429]
    assert sorted({answer.status_code for answer in answers}) == [200, 429]
    assert int(refused[0].headers["retry-after"]) >= 1
    assert (
        refused[0]
        .json()["error"]["message"]
        .startswith("The queue is full: 1 requests wait already. Try again in")
    )
    metrics = service.get("/metrics").text
    done = 6 - len(refused)
    assert f'songgen_requests_total{{endpoint="{SONGS}",status="200"}} {done}.0' in metrics
    assert f'songgen_requests_total{{endpoint="{SONGS}",status="429"}} {len(refused)}.0' in metrics
    assert f"songgen_generation_seconds_count {done}.0" in metrics
    assert "songgen_running 0.0" in metrics and "songgen_queue_length 0.0" in metrics
    assert f"songgen_stored_songs {done}.0" in metrics


@pytest.mark.slow
def test_a_song_that_takes_too_long_is_given_up(small):
    service = small(timeout=0.01)  # a quick machine sings two seconds in 0.2

    status, error = service.error({"text": "folk", "seconds": 2.0})

    assert (status, error["code"]) == (504, "timeout")
    wait_until(lambda: service.engine.running == 0)


@pytest.mark.slow
def test_the_end_of_the_service_stops_songs_at_once_and_those_that_wait(
    pipelines, slow_steps, caplog
):
    engine = SongEngine({"mixed": pipelines["mixed"]})

    with ThreadPoolExecutor(3) as pool, served(engine, limits=ServiceLimits()) as service:
        requests = [{"text": "folk", "seconds": 2.0}, {"text": "folk", "seconds": 2.0}]
        answers = [pool.submit(service.post, request) for request in requests]
        stream = {"text": "folk", "seconds": 2.0, "stream": True, "response_format": "pcm"}
        answers.append(pool.submit(service.post, stream))
        wait_until(lambda: slow_steps and service.service.waiting == 2)
        stopped = time.monotonic()
        service.stop()
        answers = [answer.result() for answer in answers]

    assert max(slow_steps) - stopped < 1.0  # of five seconds
    for answer in answers:
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == "stopping"
    assert "Traceback" not in caplog.text


@pytest.mark.slow
def test_a_client_that_sends_nothing_more_is_refused(small):
    service = small(idle_seconds=0.3)
    host, port = service.host.split(":")
    with socket.create_connection((host, int(port))) as slow:
        head = "content-type: application/json\r\ncontent-length: 99\r\nhost: x\r\n\r\n{"
        slow.sendall(f"POST {SONGS} HTTP/1.1\r\n{head}".encode())
        slow.settimeout(20)

        assert slow.recv(200).startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_old_and_surplus_songs_are_forgotten_and_nothing_is_on_disk(small, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    service = small(songs=2, keep_minutes=0.05)
    tone = io.BytesIO()
    soundfile.write(tone, 0.3 * np.sin(np.arange(16000) * 0.06), 16000, format="WAV")
    voice = base64.b64encode(tone.getvalue()).decode()

    ids = [
        service.post({**WORDS, "seed": seed, "voice": voice}).headers["x-song-id"]
        for seed in range(3)
    ]

    kept = [service.get(f"{SONGS}/{song}").status_code for song in ids]
    assert kept[0] == 404
    wait_until(lambda: len(service.service.store) == 0, seconds=10)
    assert list(tmp_path.rglob("*")) == []
