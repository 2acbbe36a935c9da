"""Tests of the inspection of recordings' files."""

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation.inspection import columns, inspect_recording

RATE, SECONDS = 44100, 4
FORMATS = {
    "wav": {},
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
}


@pytest.fixture
def recording(tmp_path):
    """Factory of the file of a stereo recording of four seconds in a format."""

    def write(ending: str):
        rng = np.random.default_rng(0)
        path = tmp_path / f"song.{ending}"
        sound = 0.1 * rng.standard_normal((SECONDS * RATE, 2))
        soundfile.write(path, sound, RATE, **FORMATS[ending])
        return path

    return write


@pytest.mark.parametrize("ending", FORMATS)
def test_the_facts_of_a_whole_file_are_those_it_was_written_with(recording, ending):
    row = inspect_recording({"recording_id": "a", "path": str(recording(ending)), "tag": "x"})

    assert row["source_seconds"] == pytest.approx(SECONDS, abs=0.1)
    assert (row["source_rate"], row["source_channels"], row["truncated"]) == (RATE, 2, False)
    assert (row["source_format"], row["tag"]) == (ending, "x")
    assert {field.name for field in columns()} == row.keys() - {"recording_id", "path", "tag"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_without_its_end_is_truncated(recording, ending, share):
    path = recording(ending)
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])

    row = inspect_recording({"path": path})

    assert row["truncated"]
    assert row["source_seconds"] == pytest.approx(share * SECONDS, rel=0.4)


def test_a_damaged_mp3_file_with_a_picture_before_its_sound_is_truncated(recording):
    path = recording("mp3")
    sound, picture = path.read_bytes(), bytes(5000)
    size = bytes([0, 0, len(picture) >> 7, len(picture) & 127])
    tag = b"ID3\x03\x00\x00" + size + picture

    for content, truncated in ((tag + sound, False), (tag + sound[: len(sound) // 2], True)):
        path.write_bytes(content)
        assert inspect_recording({"path": path})["truncated"] is truncated


def test_text_that_is_named_as_audio_is_refused_in_one_line(tmp_path):
    (tmp_path / "song.mp3").write_text("These are the words of a song.\n" * 500)

    with pytest.raises(ValueError, match=r"^cannot read 'song\.mp3' \(.*\); expected WAV, FLAC"):
        inspect_recording({"path": tmp_path / "song.mp3"})
