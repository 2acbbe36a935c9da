"""A running Space and its clients: songs, isolation, cancellation and hostile input."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.pipelines.song_edges import FADE_SECONDS
from songgen_hf.provenance import read_provenance

from ..tools.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    # gradio's usage statistics call deprecated functions of pandas 3.
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|The copy keyword)"),
]
WORDS = {"lyrics": "the river runs", "text": "a folk song", "seconds": 1.0}


@pytest.fixture
def connect(space, tmp_path, monkeypatch):
    """Factory of clients; closed at the end."""
    from gradio_client import Client

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # clients leave empty folders in it

    clients = []

    def connected() -> Client:
        client = Client(
            space.local_url,
            verbose=False,
            download_files=str(tmp_path / "downloads"),
            httpx_kwargs={"timeout": 60},
        )
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def client(connect):
    return connect()


def samples(path):
    sound, _ = soundfile.read(path, dtype="int16")
    return sound


def expected(pipelines, seed, **settings):
    """The mix that the pipeline itself generates, as the samples of a file."""
    arguments = {"guidance_scale": 1.0, "top_k": 50, "temperature": 1.0} | settings
    song = pipelines["mixed"](
        WORDS["text"], lyrics=WORDS["lyrics"], seed=seed, max_seconds=1.0, min_seconds=0.5,
        do_sample=True, **arguments,
    )["audio"][0]  # fmt: skip
    return song / max(1.0, np.abs(song).max())


def test_every_setting_is_an_argument_of_the_api_with_a_default(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]

    assert set(endpoints) == {
        "/sing", "/stream", "/redo", "/new_words", "/continue_song", "/sing_over", "/remix",
        "/fetch", "/stop", "/songs", "/plan", "/redo_section", "/finish",
    }  # fmt: skip
    assert all(len(endpoint.get("description") or "") > 40 for endpoint in endpoints.values())
    parameters = endpoints["/sing"]["parameters"]
    assert [parameter["parameter_name"] for parameter in parameters] == [
        "lyrics", "text", "voice_start", "mode", "seconds", "seed", "guidance", "top_k",
        "temperature", "steps", "variations", "adapter", "adapter_weight", "best_of",
        "guidance_text", "guidance_lyrics", "guidance_voice", "whole", "window", "context",
        "repeat_chorus", "voice", "max_seconds",
    ]  # fmt: skip
    assert all(parameter["parameter_has_default"] for parameter in parameters)


def test_a_song_is_returned_with_its_files_and_its_seed(client, pipelines):
    (song,) = client.predict(**WORDS, seed=7, api_name="/sing")

    assert (song["seed"], song["settings"]["lyrics"]) == (7, WORDS["lyrics"])
    sound = samples(song["files"]["mix"]) / 32768
    np.testing.assert_allclose(sound, expected(pipelines, 7), atol=2 / 32768)
    assert read_provenance(song["files"]["mix"])["seed"] == 7
    sidecar = json.loads(Path(song["files"]["settings"]).read_text())
    assert sidecar["seed"] == 7 and sidecar["provenance"]["ai_generated"] is True


def test_the_same_seed_and_settings_give_the_same_song(client):
    first, again, other = (
        client.predict(**WORDS, seed=seed, api_name="/sing")[0] for seed in (7, 7, 8)
    )

    np.testing.assert_array_equal(samples(first["files"]["mix"]), samples(again["files"]["mix"]))
    assert not np.array_equal(samples(first["files"]["mix"]), samples(other["files"]["mix"]))


def test_a_request_without_a_seed_returns_the_random_seed(client):
    (song,) = client.predict(**WORDS, api_name="/sing")
    (again,) = client.predict(**WORDS, seed=song["seed"], api_name="/sing")

    np.testing.assert_array_equal(samples(song["files"]["mix"]), samples(again["files"]["mix"]))


def test_concurrent_clients_get_their_own_songs(connect, pipelines):
    seeds = list(range(100, 106))

    with ThreadPoolExecutor(len(seeds)) as pool:
        answers = list(
            pool.map(lambda seed: connect().predict(**WORDS, seed=seed, api_name="/sing"), seeds)
        )

    for seed, (song,) in zip(seeds, answers, strict=True):
        assert song["seed"] == seed
        sound = samples(song["files"]["mix"]) / 32768
        np.testing.assert_allclose(sound, expected(pipelines, seed), atol=2 / 32768)


def test_remix_changes_the_balance_without_running_the_model(client, pipelines, monkeypatch):
    (song,) = client.predict(**WORDS, mode="two tracks", seed=3, api_name="/sing")
    assert set(song["files"]) == {"mix", "vocal", "band", "lrc", "vtt", "settings"}
    monkeypatch.setattr(pipelines["two tracks"].model, "forward", None)

    karaoke = client.predict(song_id=song["id"], balance=-100, api_name="/remix")

    mix, band = samples(karaoke["files"]["mix"]), samples(song["files"]["band"])
    inside = len(mix) - round(FADE_SECONDS * 16000)  # a longer track fades out where it is cut
    np.testing.assert_allclose(mix[:inside], band[:inside], atol=1)
    assert karaoke["balance"] == -100


def test_a_song_is_streamed_in_parts_that_are_its_sound(client, pipelines):
    answers = list(client.submit(**WORDS, seed=7, api_name="/stream"))

    parts, (song,) = answers[-1]["parts"], answers[-1]["songs"]
    assert len(parts) > 1 and any(len(answer["parts"]) < len(parts) for answer in answers)
    sound = np.concatenate([samples(part) for part in parts]) / 32768
    whole = pipelines["mixed"](
        WORDS["text"], lyrics=WORDS["lyrics"], seed=7, max_seconds=1.0, min_seconds=0.5,
        do_sample=True, guidance_scale=1.0, top_k=50, temperature=1.0,
    )["audio"][0]  # fmt: skip
    np.testing.assert_allclose(sound, np.clip(whole[: len(sound)], -1, 1), atol=1e-3)
    assert song["seed"] == 7 and len(samples(song["files"]["mix"])) == len(whole)


def test_a_song_is_edited_in_its_session(client, tmp_path):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    (song,) = client.predict(**WORDS, mode="two tracks", seed=3, api_name="/sing")
    takes = client.predict(
        song_id=song["id"], start=0.3, end=0.6, track="vocal", takes=2, seed=5, api_name="/redo"
    )
    (words,) = client.predict(song_id=song["id"], lyrics="la la", seed=5, api_name="/new_words")
    with pytest.raises(AppError, match="leaves no room to continue it"):  # of the tiny model
        client.predict(song_id=song["id"], max_seconds=1.0, api_name="/continue_song")
    (over,) = client.predict(
        recording=handle_file(song["files"]["band"]), **WORDS, mode="two tracks", seed=5,
        api_name="/sing_over",
    )  # fmt: skip

    assert len(takes) == 2 and {take["parent"] for take in takes} == {song["id"]}
    for other in (*takes, words, over):
        band = samples(song["files"]["band"])
        np.testing.assert_allclose(samples(other["files"]["band"])[: len(band)], band, atol=1)
    assert words["settings"]["lyrics"] == "la la"
    kept = client.predict(api_name="/songs")
    assert [one["id"] for one in kept] == [
        one["id"] for one in (over, words, *reversed(takes), song)
    ]
    assert client.predict(api_name="/stop") == []


def test_a_session_that_was_stopped_sings_again(client):
    assert client.predict(api_name="/stop") == []

    (song,) = client.predict(**WORDS, seed=7, api_name="/sing")
    (take,) = client.predict(song_id=song["id"], end=0.5, api_name="/redo")
    assert client.predict(api_name="/stop") == []
    *_, heard = client.submit(**WORDS, seed=7, api_name="/stream")

    assert take["parent"] == song["id"] and len(heard["songs"]) == 1


def test_songs_of_another_session_are_not_accessible(connect):
    from gradio_client.exceptions import AppError

    (song,) = connect().predict(**WORDS, mode="two tracks", seed=3, api_name="/sing")

    with pytest.raises(AppError, match="no longer here"):
        connect().predict(song_id=song["id"], balance=0, api_name="/remix")


def test_variations_are_the_songs_of_consecutive_seeds(client):
    songs = client.predict(**WORDS, seed=7, variations=3, api_name="/sing")

    assert [song["seed"] for song in songs] == [7, 8, 9]
    assert len({song["files"]["mix"] for song in songs}) == 3


def test_canceling_a_job_frees_the_model(client, space):
    job = client.submit(**(WORDS | {"seconds": 1.5}), variations=4, api_name="/sing")
    wait_until(lambda: space.service.generator.running == 1)

    job.cancel()

    wait_until(lambda: space.service.generator.running == 0, seconds=120)
    assert client.predict(**WORDS, seed=7, api_name="/sing")[0]["seed"] == 7


def test_stop_ends_the_song_that_is_sung_and_a_waiting_one_follows(client, space):
    client.submit(**WORDS, variations=4, seed=10, api_name="/sing")
    wait_until(lambda: space.service.generator.running == 1)
    waiting = client.submit(**WORDS, seed=2, api_name="/sing")
    wait_until(lambda: waiting.communicator.event_id is not None)

    client.predict(api_name="/stop")

    assert waiting.result(timeout=120)[0]["seed"] == 2
    assert 13 not in {song["seed"] for song in client.predict(api_name="/songs")}


def test_killing_a_client_frees_the_model(client, space, tmp_path):
    program = tmp_path / "client.py"
    program.write_text(
        "import sys\nfrom gradio_client import Client\n"
        f"client = Client({space.local_url!r}, verbose=False, httpx_kwargs={{'timeout': 60}})\n"
        "job = client.submit(lyrics='la', seconds=1.5, variations=4, api_name='/sing')\n"
        "print('sent', flush=True)\njob.result()\n"
    )
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "sent\n"
        wait_until(lambda: space.service.generator.running == 1)

        os.kill(process.pid, signal.SIGKILL)

        wait_until(lambda: space.service.generator.running == 0, seconds=120)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert client.predict(**WORDS, seed=7, api_name="/sing")[0]["seed"] == 7


def test_songs_are_deleted_when_the_client_disconnects(connect, space):
    client = connect()
    (song,) = client.predict(**WORDS, seed=7, api_name="/sing")
    folder = space.service.store.root / song["id"]
    assert folder.is_dir()

    client.close()

    wait_until(lambda: not folder.exists(), seconds=120)


HOSTILE = [
    ({"lyrics": "la " * 34_000}, "at most 2000 characters: got 102000"),
    ({"lyrics": "a\x00b"}, r"control character U\+0000"),
    ({"lyrics": "a\x1b[31mb"}, r"control character U\+001B"),
    ({"lyrics": "", "text": ""}, "nothing to sing"),
    ({"seconds": 1e6}, "length must be a number"),
    ({"seed": -5}, "[Ss]eed must be"),
    ({"variations": 1000}, "[Vv]ariations must be a whole number"),
    ({"temperature": -1}, "temperature must be"),
    ({"adapter": "../../etc"}, "no adapter"),
    ({"adapter": "/etc/passwd"}, "no adapter"),
    ({"adapter": "someone/adapter"}, "its own adapters only"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_settings_raise_a_clear_error(client, space, change, message):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match=message) as caught:
        client.predict(**(WORDS | change), api_name="/sing")

    assert "<" not in str(caught.value) and "Traceback" not in str(caught.value)
    wait_until(lambda: space.service.generator.running == 0)


def voice_of(kind, folder):
    """Write a hostile recording and return its path."""
    path = folder / "voice.wav"
    if kind == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../../evil.txt", "x")
    elif kind == "two hours":
        path = folder / "voice.flac"
        with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
            for _ in range(120):
                file.write(np.zeros(60 * 8000, np.int16))
    elif kind == "text":
        path.write_text("no sound")
    elif kind == "large":
        path.write_bytes(b"RIFF" + bytes(300_000))
    elif kind == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("archive", "annot read the reference voice"),
        ("two hours", "lasts 2.0 h"),
        ("text", "annot read the reference voice"),
        ("empty", "annot read the reference voice"),
        ("large", "exceeds the maximum file size"),
    ],
)
def test_hostile_recordings_raise_a_clear_error(client, tmp_path, kind, message):
    from gradio_client import handle_file

    with pytest.raises(Exception, match=message) as caught:
        client.predict(**WORDS, voice=handle_file(voice_of(kind, tmp_path)), api_name="/sing")

    assert "Traceback" not in str(caught.value)


def test_a_reference_voice_changes_the_song(client, tmp_path):
    from gradio_client import handle_file

    tone = 0.3 * np.sin(np.arange(32000) * 0.06)
    soundfile.write(tmp_path / "voice.wav", tone, 16000)

    (plain,) = client.predict(**WORDS, seed=7, api_name="/sing")
    (voiced,) = client.predict(
        **WORDS, seed=7, voice=handle_file(tmp_path / "voice.wav"), api_name="/sing"
    )

    assert not np.array_equal(samples(plain["files"]["mix"]), samples(voiced["files"]["mix"]))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "~/.bashrc"])
def test_a_path_on_the_server_is_not_accepted_as_a_recording(client, path):
    voice = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "voice.wav"}

    with pytest.raises(Exception, match=r"\S") as caught:
        client.predict(**WORDS, voice=voice, api_name="/sing")

    assert "root:" not in str(caught.value)


def test_files_outside_of_the_spaces_folder_are_not_served(space):
    import httpx

    for path in ("/etc/passwd", f"{space.service.store.root}/../../../../../etc/passwd"):
        answer = httpx.get(f"{space.local_url}gradio_api/file={path}", timeout=60)
        assert answer.status_code in (403, 404), path


def test_the_server_rejects_uploads_that_are_too_large(space):
    import httpx

    answer = httpx.post(
        f"{space.local_url}gradio_api/upload",
        files={"files": ("voice.wav", bytes(400_000), "audio/wav")},
        timeout=60,
    )

    assert answer.status_code == 413


def test_an_upload_cannot_be_written_outside_of_the_upload_folder(space, space_folder):
    import httpx

    sound = b"RIFF" + bytes(40)
    before = {path for path in space_folder.parent.rglob("*") if "evil" in path.name}
    answer = httpx.post(
        f"{space.local_url}gradio_api/upload",
        files={"files": ("../../../../evil.wav", sound, "audio/wav")},
        timeout=60,
    )

    assert answer.status_code == 200
    (path,) = answer.json()
    assert Path(path).resolve().is_relative_to(space_folder.resolve())
    after = {path for path in space_folder.parent.rglob("*") if "evil" in path.name} - before
    assert all(path.resolve().is_relative_to(space_folder.resolve()) for path in after)


def test_html_in_lyrics_is_returned_as_text(client):
    words = "<script>alert(1)</script> <img src=x onerror=alert(2)>"

    (song,) = client.predict(lyrics=words, seconds=1.0, seed=1, api_name="/sing")

    assert song["settings"]["lyrics"] == words
    assert "<" not in Path(song["files"]["mix"]).name


def test_the_page_is_served_with_its_css_and_its_script(space):
    import httpx

    config = httpx.get(f"{space.local_url}config", timeout=60).json()

    assert ".sg-song" in config["css"] and "songgen-theme" in config["head"]
    assert config["title"].startswith("songgen")


def test_a_full_queue_raises_an_error(pipelines, space_folder):
    from gradio_client import Client

    from songgen_hf.space.app import build_demo
    from songgen_hf.space.limits import Limits

    from ..tools.serving import launched

    limits = Limits(waiting=1, seconds=3.0)
    with launched(lambda: build_demo(pipelines["mixed"], limits=limits)) as demo:
        options = {"verbose": False, "httpx_kwargs": {"timeout": 60}}
        clients = [Client(demo.local_url, **options) for _ in range(4)]
        jobs = [
            one.submit(lyrics="la", seconds=1.5, variations=4, api_name="/sing") for one in clients
        ]
        wait_until(lambda: any(job.done() for job in jobs))
        errors = [job.exception() for job in jobs if job.done()]
        for job in jobs:
            job.cancel()
        wait_until(lambda: demo.service.generator.running == 0)
        for one in clients:
            one.close()

    assert any(error is not None and "full" in str(error).lower() for error in errors), errors


def test_no_generation_thread_remains_after_a_request(client, space):
    import threading

    from songgen_hf.space.generation import THREAD_NAME

    for seed in range(3):
        client.predict(**WORDS, seed=seed, api_name="/sing")

    end = time.monotonic() + 20
    while any(thread.name == THREAD_NAME for thread in threading.enumerate()):
        assert time.monotonic() < end, "a generation thread is still running"
        time.sleep(0.05)
