"""Songs over HTTP: formats, seeds, edits, streams and what is kept."""

import base64
import io
import json
import wave

import httpx
import numpy as np
import pytest
import soundfile

from songgen_hf.files import safe_gain
from songgen_hf.provenance import read_provenance
from songgen_hf.serving.engine import as_pcm

from ..tools.waiting import wait_until
from .running import SONGS

pytestmark = pytest.mark.slow
WORDS = {"text": "a folk song", "lyrics": "the river runs"}
SHORT = {**WORDS, "seconds": 0.3}
FORMATS = ["wav", "flac", "mp3", "ogg"]


def samples(content: bytes) -> np.ndarray:
    """The samples of a sound file."""
    sound, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    return sound


def sung(pipelines, model: str = "mixed", **arguments):
    """The song of the pipeline itself."""
    arguments = {"lyrics": WORDS["lyrics"], "progress": False} | arguments
    return pipelines[model](WORDS["text"], **arguments)


def as_samples(song) -> np.ndarray:
    """The mixture as the samples of a file, with the gain that avoids clipping."""
    return np.frombuffer(as_pcm(song["audio"] * song.gain()), "<i2")


def test_a_song_is_that_of_the_pipeline_and_of_its_seed(service, pipelines):
    answer = service.post({**SHORT, "seed": 7})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    expected = as_samples(sung(pipelines, seed=7, seconds=0.3))
    names = ("model", "seed", "seconds")
    facts = {name: answer.headers[f"x-song-{name}"] for name in names}
    assert facts == {"model": "mixed", "seed": "7", "seconds": str(len(expected) / 16000)}
    np.testing.assert_array_equal(samples(answer.content), expected)


def test_a_song_without_a_seed_can_be_repeated(service):
    first = service.post(SHORT)
    again = service.post({**SHORT, "seed": int(first.headers["x-song-seed"])})

    np.testing.assert_array_equal(samples(first.content), samples(again.content))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_its_container_and_the_record(service, kind, tmp_path):
    answer = service.post({**SHORT, "seed": 3, "response_format": kind})

    path = tmp_path / f"song.{kind}"
    path.write_bytes(answer.content)
    assert soundfile.info(path).format == kind.upper()
    assert read_provenance(path)["seed"] == 3


def test_input_is_another_name_of_the_description(service):
    body = {"lyrics": WORDS["lyrics"], "seconds": 0.3, "seed": 7}

    by_text, by_input = (service.post({**body, name: "folk"}) for name in ("text", "input"))

    assert by_text.content == by_input.content


def test_json_has_all_tracks_and_the_times_of_the_words(service):
    body = {**SHORT, "model": "tracks", "seed": 5, "timestamps": True, "response_format": "json"}
    song = service.post(body).json()

    assert (song["object"], song["seed"], song["model"]) == ("song", 5, "tracks")
    tracks = {name: samples(base64.b64decode(text)) for name, text in song["tracks"].items()}
    assert set(tracks) == {"mixture", "vocal", "accompaniment"}
    inside = min(map(len, tracks.values())) - 600  # the longer track fades out where it is cut
    mixture, vocal, band = (
        tracks[name][:inside].astype(int) for name in ("mixture", "vocal", "accompaniment")
    )
    np.testing.assert_allclose(mixture, vocal + band, atol=2)
    assert [word["word"] for word in song["words"]] == ["the", "river", "runs"]


def test_a_kept_song_is_fetched_in_every_form_and_forgotten(service):
    body = {**SHORT, "model": "tracks", "seed": 5, "timestamps": True}
    made = service.post(body)
    path = f"{SONGS}/{made.headers['x-song-id']}"

    assert service.get(path).content == made.content
    assert samples(service.get(f"{path}?format=flac").content).shape == samples(made.content).shape
    for part in ("vocal", "accompaniment"):
        assert service.get(f"{path}/{part}").headers["content-type"] == "audio/wav"
    assert service.get(f"{path}/lyrics.vtt").text.startswith("WEBVTT\n")
    assert service.get(f"{path}/lyrics.lrc").text.startswith("[00:00")
    assert service.get(f"{path}?format=json").json()["seed"] == 5
    deleted = httpx.delete(f"{service.url}{path}").json()
    assert deleted["deleted"] is True
    assert service.get(path).json()["error"]["code"] == "song_not_found"


@pytest.mark.parametrize("model", ["mixed", "masked"])
def test_a_streamed_song_is_the_whole_song(service, pipelines, model):
    body = {**WORDS, "model": model, "seconds": 1.1, "seed": 9, "stream": True}
    chunks = []
    with httpx.stream("POST", f"{service.url}{SONGS}", json=body, timeout=60) as answer:
        assert answer.headers["x-song-seed"] == "9"
        chunks = list(answer.iter_raw())

    content = b"".join(chunks)
    song = sung(pipelines, model, seed=9, seconds=1.1)
    assert len(chunks) > 2
    heard, expected = (np.frombuffer(one, "<i2") for one in (content[44:], as_pcm(song["audio"])))
    np.testing.assert_allclose(heard, expected, atol=2)  # decoded in chunks
    head = io.BytesIO(content[:44])
    with wave.open(head) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16000, 1)
    kept = service.get(f"{SONGS}/{answer.headers['x-song-id']}?format=pcm")
    assert kept.content == as_pcm(song["audio"])


def test_a_part_of_a_kept_song_is_generated_again_and_the_rest_stays(service, pipelines):
    body = {**WORDS, "model": "tracks", "seconds": 0.5, "seed": 5, "response_format": "json"}
    before = service.post(body).json()
    edit = {**WORDS, "model": "tracks", "seed": 6, "song": before["id"], "regions": [[0.3, None]]}
    after = service.post({**edit, "response_format": "json"}).json()

    original = sung(pipelines, "tracks", seed=5, seconds=0.5)
    edited = sung(pipelines, "tracks", seed=6, song=original, regions=[(0.3, None)])
    sound = samples(base64.b64decode(after["tracks"]["mixture"]))
    both = [edited[name] for name in ("audio", "vocal", "accompaniment")]
    np.testing.assert_array_equal(
        sound, np.frombuffer(as_pcm(edited["audio"] * safe_gain(*both)), "<i2")
    )


def test_uploaded_tracks_are_edited_and_an_uploaded_voice_is_sung_with(service, tone):
    fields = {"text": "folk", "lyrics": "la", "model": "tracks", "seed": "1"}
    fields |= {"keep_track": "accompaniment", "response_format": "json"}
    files = {"song_vocal": tone, "song_accompaniment": tone}

    covered = service.post(data=fields, files=files)

    assert covered.status_code == 200, covered.text
    kept = samples(base64.b64decode(covered.json()["tracks"]["accompaniment"]))
    given = samples(tone)
    gain = np.abs(kept).max() / np.abs(given).max()
    np.testing.assert_allclose(kept, gain * given[: len(kept)], atol=3)
    plain = {"text": "folk", "seed": "1", "seconds": "0.3"}
    with_voice = service.post(data=plain, files={"voice": tone})
    as_text = service.post(
        {**plain, "seed": 1, "seconds": 0.3, "voice": base64.b64encode(tone).decode()}
    )
    assert with_voice.content == as_text.content
    assert with_voice.content != service.post({**plain, "seed": 1, "seconds": 0.3}).content


def test_settings_reach_the_pipeline(service, pipelines):
    body = {**SHORT, "seed": 2, "guidance": {"text": 2.0, "lyrics": 1.5}, "temperature": 0.7}
    body |= {"top_k": 5, "negative_text": "noise"}
    expected = sung(
        pipelines, seed=2, seconds=0.3, guidance_scale={"text": 2.0, "lyrics": 1.5},
        temperature=0.7, top_k=5, negative_text="noise",
    )  # fmt: skip
    np.testing.assert_array_equal(samples(service.post(body).content), as_samples(expected))

    steps = {**SHORT, "model": "masked", "seed": 2, "steps": 3, "guidance": [1.0, 3.0]}
    expected = sung(
        pipelines, "masked", seed=2, seconds=0.3, num_inference_steps=3, guidance_scale=(1.0, 3.0)
    )
    np.testing.assert_array_equal(samples(service.post(steps).content), as_samples(expected))


def test_songs_of_clients_at_the_same_time_are_those_of_their_seeds(service, pipelines):
    from concurrent.futures import ThreadPoolExecutor

    seeds = list(range(40, 46))
    with ThreadPoolExecutor(len(seeds)) as pool:
        answers = list(pool.map(lambda seed: service.post({**SHORT, "seed": seed}), seeds))

    for seed, answer in zip(seeds, answers, strict=True):
        expected = as_samples(sung(pipelines, seed=seed, seconds=0.3))
        np.testing.assert_array_equal(samples(answer.content), expected)


def test_a_client_that_leaves_frees_the_model(service, slow_steps):
    body = {**WORDS, "seconds": 2.0, "best_of": 4}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}{SONGS}", json=body, timeout=0.3)
    with httpx.stream("POST", f"{service.url}{SONGS}", json={**WORDS, "stream": True}) as answer:
        next(answer.iter_raw())

    wait_until(lambda: service.engine.running == 0 and service.service.waiting == 0)
    assert len(slow_steps) < 100  # two whole songs take more than 200
    assert service.post({**SHORT, "seed": 1}).status_code == 200


def test_the_service_says_what_it_has_and_how_it_does(service):
    models = service.get("/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["mixed", "tracks", "masked"]
    assert [model["tracks"] for model in models] == [1, 2, 2]
    assert service.get("/health").json() == {"status": "ok"}
    assert service.get("/ready").json() == {"ready": True}
    schema = service.get("/openapi.json").json()
    body = schema["paths"][SONGS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"lyrics", "guidance", "regions"} <= set(body["properties"])
    json.dumps(schema)


WHOLE = {
    "text": "folk", "lyrics": "[verse 0.16s]\nla lo\n[chorus 0.1s]\noh\n", "model": "masked",
    "steps": 2, "seed": 3, "whole": True, "window": 0.4, "context": 0.06,
}  # fmt: skip


def test_a_whole_song_is_planned_sung_and_one_of_its_sections_redone(service, pipelines):
    fields = ("lyrics", "window", "context")
    planned = httpx.post(
        f"{service.url}{SONGS}/plan", json={name: WHOLE[name] for name in fields}, timeout=60
    ).json()
    sung = service.post({**WHOLE, "response_format": "json"}).json()
    redone = service.post({"song": sung["id"], "redo": 2, "seed": 8, "response_format": "json"})

    assert [section["name"] for section in planned["sections"]] == ["verse", "chorus"]
    assert (planned["window"], planned["seconds"]) == (0.4, pytest.approx(0.26))
    pipe = pipelines["masked"]
    options = {name: WHOLE[name] for name in (*fields, "seed")}
    song = pipe.whole_song("folk", **options, num_inference_steps=2)
    again = pipe.redo_section(song, 1, seed=8)
    for answer, expected in ((sung, song), (redone.json(), again)):
        assert [one["name"] for one in answer["sections"]] == ["verse", "chorus"]
        gain = expected.gain(stems=True)
        np.testing.assert_array_equal(
            samples(base64.b64decode(answer["tracks"]["mixture"])),
            np.frombuffer(as_pcm(expected["audio"] * gain), "<i2"),
        )
    assert service.error({"song": redone.json()["id"], "redo": 3})[1]["message"] == (
        "The song has sections 1 to 2: got 3."
    )
    plain = service.post({**SHORT, "seed": 7}).headers["x-song-id"]
    assert "is no whole song" in service.error({"song": plain, "redo": 1})[1]["message"]


def test_codes_edit_a_song_that_is_no_longer_kept(service):
    made = service.post({**SHORT, "model": "masked", "steps": 2, "seed": 5})
    edit = {**WORDS, "model": "masked", "steps": 2, "seed": 6, "regions": [[0.1, None]]}
    address = f"{SONGS}/{made.headers['x-song-id']}"
    codes = service.get(f"{address}/codes.npz").content
    httpx.delete(f"{service.url}{address}")

    again = service.post({**edit, "song": base64.b64encode(codes).decode()})

    address = f"{SONGS}/{again.headers['x-song-id']}"
    old, new = (
        dict(np.load(io.BytesIO(content)))
        for content in (codes, service.get(f"{address}/codes.npz").content)
    )
    assert old["hop_length"] == 320 and len(str(old["codec"])) == 16
    np.testing.assert_array_equal(new["codes"][..., :5], old["codes"][..., :5])
    assert (new["codes"][..., 5:] != old["codes"][..., 5:]).any()


def test_loudness_is_that_of_all_files_and_a_picture_is_drawn(service, pipelines):
    body = {**WORDS, "seconds": 0.6, "seed": 7, "loudness": -30}
    made = service.post(body)

    song = sung(pipelines, seed=7, seconds=0.6)
    expected = as_pcm(song["audio"] * np.float32(song.gain(-30.0)))
    np.testing.assert_array_equal(samples(made.content), np.frombuffer(expected, "<i2"))
    address = f"{SONGS}/{made.headers['x-song-id']}"
    assert service.get(f"{address}?format=pcm").content == expected
    picture = service.get(f"{address}/picture.png")
    assert picture.headers["content-type"] == "image/png" and picture.content[1:4] == b"PNG"
