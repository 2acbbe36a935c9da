"""Songs: dicts that write sound files with a record, timed lyrics and pictures."""

import json
import logging
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from songgen_hf.pipelines.lyrics_files import lrc_lyrics
from songgen_hf.pipelines.song import Song
from songgen_hf.pipelines.takes import best_take
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.provenance import read_provenance

RATE = 16000
TIME = np.arange(RATE, dtype=np.float32) / RATE
VOCAL, BAND = 0.2 * np.sin(2000 * TIME)[None], 0.1 * np.sin(600 * TIME)[None]
WORDS = [
    {"word": "rivers", "start": 0.1, "end": 0.3, "confidence": 0.9},
    {"word": "run", "start": 0.4, "end": 0.6, "confidence": 0.2},
    {"word": "R&B", "start": 61.25, "end": 61.5, "confidence": 0.5},
]
LINES = [
    {"line": "Rivers run,", "start": 0.1, "end": 0.6, "words": WORDS[:2]},
    {"line": "R&B", "start": 61.25, "end": 61.5, "words": WORDS[2:]},
]


@pytest.fixture
def song():
    """A song of one second with two tracks and timed words."""
    content = {"audio": VOCAL + BAND, "vocal": VOCAL, "accompaniment": BAND, "sampling_rate": RATE}
    coverage = {"share": 1.0, "skipped": [], "repeated": []}
    request = {"text": "folk", "lyrics": "Rivers run,\nR&B", "top_k": 50, "song": "my/file.wav"}
    model = SimpleNamespace(
        config=SimpleNamespace(_name_or_path="me/model", _commit_hash="0123abc")
    )
    return Song(
        {**content, "seed": 7, "words": WORDS, "lines": LINES, "coverage": coverage},
        request=request,
        model=model,
    )


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".ogg"])
def test_saved_songs_have_the_samples_and_a_record(song, tmp_path, ending):
    (path,) = song.save(tmp_path / f"song{ending}")

    wave, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE and len(wave) == RATE
    assert np.abs(wave - song["audio"][0]).max() < (0.05 if ending in (".mp3", ".ogg") else 1e-4)
    record = read_provenance(path)
    assert (record["model"], record["revision"], record["seed"]) == ("me/model", "0123abc", 7)
    assert record["options"] == {"text": "folk", "lyrics": "Rivers run,\nR&B", "top_k": 50}


def test_stems_add_up_to_the_mixture_at_any_loudness(song, tmp_path):
    paths = song.save(tmp_path / "song.wav", loudness=-20, stems=True)

    assert [path.name for path in paths] == ["song.wav", "song.vocal.wav", "song.accompaniment.wav"]
    mixture, vocal, band = (soundfile.read(path, dtype="float32")[0] for path in paths)
    np.testing.assert_allclose(vocal + band, mixture, atol=1e-4)


@pytest.mark.parametrize("target", [-30.0, -18.0])
def test_a_saved_song_has_the_loudness_asked_for(song, tmp_path, target):
    pyloudnorm = pytest.importorskip("pyloudnorm", reason="needs the extra evaluate")

    (path,) = song.save(tmp_path / "song.flac", loudness=target)

    wave, rate = soundfile.read(path)
    assert pyloudnorm.Meter(rate).integrated_loudness(wave) == pytest.approx(target, abs=0.05)


def test_a_loudness_beyond_the_peaks_is_not_reached_and_said(song, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        (path,) = song.save(tmp_path / "song.wav", loudness=0)

    assert np.abs(soundfile.read(path)[0]).max() == pytest.approx(1.0, abs=1e-3)
    assert "its peaks would be clipped" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "song.aac"}, "expected a name that ends in .wav, .flac, .mp3, .ogg"),
        ({"path": "song.wav", "loudness": 3}, "loudness must be from -60 to 0 LUFS: got 3"),
        ({"path": "song.wav", "loudness": "loud"}, "loudness must be a number of LUFS"),
    ],
)
def test_wrong_arguments_of_save_are_one_line(song, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        song.save(**arguments)


def test_songs_of_one_track_have_no_stems_and_songs_without_timestamps_no_words(song):
    mixture = Song({**song, "vocal": None, "accompaniment": None})
    del mixture["words"]

    with pytest.raises(ValueError, match="stems need a song with two tracks"):
        mixture.save("song.wav", stems=True)
    with pytest.raises(ValueError, match="has no words: generate it with timestamps=True"):
        mixture.words  # noqa: B018


def test_lyrics_files_have_the_times_of_lines_and_words(song):
    assert song.lrc() == "[00:00.10]Rivers run,\n[01:01.25]R&B\n"
    assert song.lrc(words=True).startswith("[00:00.10]<00:00.10> rivers <00:00.40> run\n")
    assert song.webvtt() == (
        "WEBVTT\n\n00:00:00.100 --> 00:00:00.600\nrivers <00:00:00.400>run\n\n"
        "00:01:01.250 --> 00:01:01.500\nR&amp;B\n"
    )
    assert json.loads(song.json()) == {"lines": LINES, "coverage": song.coverage}


def test_copies_takes_and_pickles_are_songs_with_their_request(song):
    song["score"] = 1.0
    for other in (song.copy(), best_take([song]), pickle.loads(pickle.dumps(song))):
        assert isinstance(other, Song) and other.request == song.request
        assert other.provenance()["model"] == "me/model"


@pytest.mark.slow
@pytest.mark.parametrize("tracks", [1, 2])
def test_a_picture_has_a_spectrogram_for_each_track_and_what_else_there_is(song, tmp_path, tracks):
    pytest.importorskip("matplotlib", reason="needs the extra evaluate")
    if tracks == 1:
        song |= {"vocal": None, "accompaniment": None}
        del song["words"]
    else:
        song["sections"] = [{"name": "verse", "start": 0, "end": 1}]
        song.attention = np.eye(50, 12, dtype=np.float16)

    assert song.plot(tmp_path / "song.png").read_bytes()[1:4] == b"PNG"
    labels = [axis.get_ylabel() for axis in song.plot().axes]
    assert labels == (
        ["Mixture"] if tracks == 1 else ["", "Words", "Vocal", "Accompaniment", "Lyrics token"]
    )


def test_pipelines_return_songs_that_say_what_was_asked_for(tiny_singer, tiny_processor):
    pipe = TextToSongPipeline(model=tiny_singer(), processor=tiny_processor, device="cpu")

    song = pipe("folk", lyrics="run", seed=3, max_seconds=0.2, do_sample=True, top_k=5)

    assert type(song) is Song
    facts = {"text": "folk", "lyrics": "run", "language": "en", "top_k": 5}
    assert facts.items() <= song.request.items()


def test_a_song_knows_all_settings_that_json_has():
    request = {
        "guidance_scale": {"text": (1, np.float32(3))},
        "regions": np.array([0.5, 1]),
        "temperature": np.float32(0.5),
        "keep_track": None,
        "streamer": object(),
        "plan": {"sections": []},  # repeats the sections of a whole song
    }

    song = Song({}, request=request)

    assert song.request == {
        "guidance_scale": {"text": [1, 3.0]},
        "regions": [0.5, 1.0],
        "temperature": 0.5,
    }


@pytest.mark.parametrize("write", [Song.save, Song.plot])
def test_a_song_of_codes_alone_is_refused_where_its_sound_is_needed(song, tmp_path, write):
    song |= {"audio": None, "vocal": None, "accompaniment": None}

    with pytest.raises(ValueError, match="has codes alone: generate it without output_type"):
        write(song, tmp_path / "song.wav")


def test_the_lyrics_of_an_lrc_file_are_those_that_were_written(song):
    assert lrc_lyrics(song.lrc()) == "Rivers run,\nR&B"
    assert lrc_lyrics(song.lrc(words=True)) == "rivers run\nR&B"


def test_lines_of_an_lrc_file_with_several_times_are_sung_several_times():
    text = """[ti:Song]
        [offset:+20]
        [00:20.00][01:05.5] the refrain
        [00:30]<00:30.10>two <00:31.2>words

        [Verse]
        [00:02:50]first"""

    assert lrc_lyrics(text) == "first\nthe refrain\ntwo words\n\n[Verse]\nthe refrain"
    assert lrc_lyrics("no times\nat all\n") == "no times\nat all"
