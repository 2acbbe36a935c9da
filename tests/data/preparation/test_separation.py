"""Separation of recordings into files: given stems, the network, Demucs models, broken files."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.checkpoints import separators
from songgen_hf.checkpoints.separators import Separator
from songgen_hf.data.preparation import separation
from songgen_hf.data.preparation.separation import (
    STEM_RATE,
    SeparateOptions,
    columns,
    read_blocks,
    separate,
    unused_stems,
)
from songgen_hf.modeling.audio_io import read_audio
from songgen_hf.modeling.listening.separator import map_blocks

from ...tools.separation_cases import noise, tiny_separator


@pytest.fixture
def network(tmp_path):
    """Options with the folder of a tiny separator."""
    tiny_separator().save_pretrained(tmp_path / "network")
    return SeparateOptions(separator=str(tmp_path / "network"))


def recorded(folder, name="song.wav", *, seconds=1.7, rate=44100, channels=2, **columns):
    """The row of a recording in a new file."""
    samples = noise(round(seconds * rate) * channels).reshape(-1, channels)
    soundfile.write(folder / name, samples, rate)
    return {"recording_id": "a-song", "path": str(folder / name), "tags": ["folk"], **columns}


def read(path):
    """The samples of a stem, int16, after a check of its form."""
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (STEM_RATE, 1, "PCM_16")
    return soundfile.read(path, dtype="int16")[0].astype(int)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 44100, 2), ("b.flac", 24000, 1), ("c.mp3", 44100, 2), ("d.ogg", 22050, 1)],
)
def test_stems_have_the_length_of_the_mixture_and_add_up_to_it(
    name, rate, channels, network, tmp_path
):
    row = recorded(tmp_path, name, rate=rate, channels=channels, title="kept")

    made = separate(row, network, tmp_path / "stems")

    assert set(made) - set(row) == {"vocal", "accompaniment", "separator"}
    assert made["title"] == "kept" and made["separator"] == network.separator
    vocal, accompaniment = read(made["vocal"]), read(made["accompaniment"])
    mixture = read_audio(row["path"], STEM_RATE) * 2**15
    assert len(vocal) == len(accompaniment) == len(mixture)
    assert np.abs(vocal).max() > 500 and np.abs(accompaniment).max() > 500
    np.testing.assert_allclose(vocal + accompaniment, mixture, atol=3)


def test_the_same_recording_gives_the_same_bytes(network, tmp_path):
    row = recorded(tmp_path)

    first, second = (separate(row, network, tmp_path / name) for name in ("one", "two"))

    for stem in ("vocal", "accompaniment"):
        contents = [Path(made[stem]).read_bytes() for made in (first, second)]
        assert contents[0] == contents[1]


class Stopped(BaseException):
    """A kill, which no code handles."""


def test_a_killed_separation_goes_on_in_the_middle_of_a_long_recording(tmp_path, monkeypatch):
    row = recorded(tmp_path, seconds=2.6, rate=STEM_RATE)
    options = SeparateOptions("mini")
    calls, stop_at = [], None

    def process(block):
        calls.append(len(block))
        if len(calls) == stop_at:
            raise Stopped
        return 0.5 * block[:, 0]

    sizes = {"size": STEM_RATE // 4, "margin": 2400, "fade": 1200}
    separator = Separator(STEM_RATE, 1, partial(map_blocks, process=process, **sizes))
    monkeypatch.setattr(separation, "load_separator", lambda *_: separator)

    def files(folder):
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    separate(row, options, tmp_path / "short")
    assert len(calls) == 11 and not [*(tmp_path / "short").glob("*.blocks")]
    monkeypatch.setattr(separation, "KEPT_SECONDS", 2.0)
    calls.clear()
    stop_at = 7
    with pytest.raises(Stopped):
        separate(row, options, tmp_path / "long")
    calls.clear()
    stop_at = None
    separate(row, options, tmp_path / "long")

    assert len(calls) == 5
    assert [path.name for path in (tmp_path / "long").iterdir()] == ["a-song"]
    assert files(tmp_path / "long") == files(tmp_path / "short")


def test_kept_blocks_of_another_file_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(separation, "KEPT_SECONDS", 1.0)
    row, target = recorded(tmp_path), tmp_path / "stems" / "a-song"

    def keep(row, options):
        return separation._KeptBlocks(target, row["path"], options)

    first = keep(row, SeparateOptions("mini"))
    first(0, lambda: np.ones(3, np.float32))
    np.testing.assert_array_equal(keep(row, SeparateOptions("mini"))(0, lambda: None), [1, 1, 1])
    other = keep(recorded(tmp_path, seconds=1.8), SeparateOptions("mini"))
    np.testing.assert_array_equal(other(0, lambda: np.zeros(3, np.float32)), [0, 0, 0])


def test_the_length_of_the_blocks_that_are_read_does_not_matter(network, tmp_path, monkeypatch):
    row = recorded(tmp_path, seconds=2.3)
    whole = separate(row, network, tmp_path / "whole")
    monkeypatch.setattr(separation, "_READ_SECONDS", 0.31)

    parts = separate(row, network, tmp_path / "parts")

    np.testing.assert_allclose(read(parts["vocal"]), read(whole["vocal"]), atol=2)
    blocks = [*read_blocks(row["path"], STEM_RATE)]
    assert len(blocks) > 7 and max(map(len, blocks)) < STEM_RATE
    joined = np.concatenate(blocks)[:, 0]
    np.testing.assert_allclose(joined, read_audio(row["path"], STEM_RATE), atol=1e-4)


def test_given_stems_are_used_as_they_are(tmp_path):
    row = recorded(tmp_path)
    for stem in ("vocal", "accompaniment"):
        row[stem] = recorded(tmp_path, f"{stem}.flac", rate=16000, channels=1)["path"]

    made = [separate(row, SeparateOptions(name), tmp_path / "stems") for name in ("given", "mini")]

    assert made == [{**row, "separator": "given"}] * 2
    assert not (tmp_path / "stems").exists()


def test_given_stems_of_another_length_are_refused(tmp_path):
    row = recorded(tmp_path, vocal=recorded(tmp_path, "v.wav", seconds=1.2)["path"])

    with pytest.raises(ValueError, match="'a-song' has one stem: expected vocal and accomp"):
        separate(row, SeparateOptions(), tmp_path)
    row["accompaniment"] = row["path"]
    with pytest.raises(ValueError, match=r"have 1.70 s, 1.20 s, 1.70 s, expected one length"):
        separate(row, SeparateOptions(), tmp_path)
    (tmp_path / "v.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="'a-song': cannot read 'v.wav'"):
        separate(row, SeparateOptions(), tmp_path)


def test_a_recording_without_stems_is_refused_where_they_must_be_given(tmp_path):
    with pytest.raises(ValueError, match="'a-song' has no stems: expected the columns vocal"):
        separate(recorded(tmp_path), SeparateOptions("given"), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no sound at all", r"'a-song': cannot read 'song.mp3' \(.+\); expected WAV"),
        (None, r"'a-song': 'song.wav' holds no audio"),
    ],
)
def test_a_broken_recording_leaves_no_files(content, message, network, tmp_path):
    row = recorded(tmp_path, seconds=0 if content is None else 1)
    if content is not None:
        row["path"] = str(tmp_path / "song.mp3")
        (tmp_path / "song.mp3").write_bytes(content)

    with pytest.raises(ValueError, match=message):
        separate(row, network, tmp_path / "stems")

    assert not [*(tmp_path / "stems").iterdir()]


def test_samples_that_are_not_finite_are_refused(tmp_path):
    samples = noise(4000)
    samples[3000] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")

    with pytest.raises(ValueError, match="'x.wav' holds NaN or infinite samples"):
        [*read_blocks(tmp_path / "x.wav", 24000)]


def test_folders_of_different_ids_are_different_and_portable(network, tmp_path):
    row = recorded(tmp_path, seconds=0.2)
    ids = ["a-song", "A song", "a song", "../a song", "con"]

    made = [separate({**row, "recording_id": one}, network, tmp_path / "s") for one in ids]

    assert len({one["vocal"].lower() for one in made}) == len(ids)
    assert len([*(tmp_path / "s").iterdir()]) == len(ids)
    again = separate(row, network, tmp_path / "s")
    assert again == made[0]


def test_stems_of_recordings_that_are_gone_are_found(network, tmp_path):
    row, stems = recorded(tmp_path, seconds=0.2), tmp_path / "stems"
    gone = ["A song", "given"]
    for one in ("a-song", *gone):
        separate({**row, "recording_id": one}, network, stems)
    (stems / "a-song.blocks").mkdir()
    (stems / ".hidden").mkdir()
    (stems / "notes.txt").write_text("of a user")

    found = unused_stems(stems, [row, {**row, "recording_id": "given", "vocal": "v.wav"}])

    assert [path.name.partition("-")[0] for path in found] == ["a", "given"]
    assert unused_stems(tmp_path / "none", [row]) == ()


def test_an_unknown_separator_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown separator: got 'demuks', expected a folder or"):
        SeparateOptions("demuks")
    with pytest.raises(ValueError, match="train networks with `songgen-hf train separator"):
        separate(recorded(tmp_path), SeparateOptions(str(tmp_path)), tmp_path / "stems")


def test_columns_are_those_that_are_added():
    assert [field.name for field in columns()] == ["vocal", "accompaniment", "separator"]


@pytest.mark.slow
def test_a_demucs_model_separates_stereo_recordings_in_blocks(tmp_path, monkeypatch):
    pytest.importorskip("demucs")
    monkeypatch.setattr(separators, "DEMUCS_SECONDS", 1.0)
    monkeypatch.setattr(separators, "DEMUCS_MARGIN", 0.5)
    monkeypatch.setattr(separators, "DEMUCS_FADE", 0.2)
    monkeypatch.setattr(separators, "DEMUCS_MODELS", ("demucs_unittest",))
    separators.load_separator.cache_clear()
    row = recorded(tmp_path, rate=32000)

    made = separate(row, SeparateOptions("demucs_unittest"), tmp_path / "stems")

    vocal, accompaniment = read(made["vocal"]), read(made["accompaniment"])
    mixture = read_audio(row["path"], STEM_RATE) * 2**15
    assert len(vocal) == len(mixture) and np.abs(vocal).max() > 0
    np.testing.assert_allclose(vocal + accompaniment, mixture, atol=3)
    assert separators.demucs_separator("demucs_unittest").rate == 44100
