"""Encoding songs to parquet files of codes, and mixtures of two songs."""

import io
import json
import os
import shutil

import numpy as np
import pytest
import torch

from songgen_hf.data.preparation.clips import read_clip
from songgen_hf.data.preparation.codes import KEPT_RATE, prepare_codes
from songgen_hf.data.preparation.mixing import Draw, draw_mixing, join_captions, mix_waveforms, rms
from songgen_hf.data.preparation.options import CodesOptions
from songgen_hf.modeling.audio_io import read_audio
from songgen_hf.modeling.modeling_xcodec import XCodecModel
from tests.training.conftest import build_tiny

RATE = 16000


def flac(waveform: np.ndarray) -> dict:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, RATE, format="FLAC")
    return {"bytes": buffer.getvalue(), "path": None}


def song(number: int) -> dict:
    random = np.random.default_rng(number)
    stems = random.normal(0, 0.05, (2, 1600 + 320 * number)).astype(np.float32)
    return {
        "song_id": f"song-{number}",
        "mixture": flac(stems.sum(axis=0)),
        "vocal": flac(stems[0]),
        "accompaniment": flac(stems[1]),
        "captions": [f"song {number}", f"number {number}"],
        "lyrics": f"words {number}",
        "tempo": 100 + number,
    }


@pytest.fixture(scope="module")
def codec_folder(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("codec")
    build_tiny("mixed")[0].audio_encoder.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> str:
    import datasets

    folder = tmp_path_factory.mktemp("source")
    datasets.Dataset.from_list([song(n) for n in range(5)]).to_parquet(folder / "train-0.parquet")
    datasets.Dataset.from_list([song(9)]).to_parquet(folder / "validation-0.parquet")
    return str(folder)


@pytest.fixture(autouse=True)
def own_datasets_cache(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "c")


@pytest.fixture
def prepare(source, codec_folder, tmp_path):
    def run(out="codes", **changes):
        values = {"songs_per_shard": 2, **changes}
        options = CodesOptions(source=source, output=tmp_path / out, model=codec_folder, **values)
        prepare_codes(options, progress=False)
        return tmp_path / out

    return run


@pytest.fixture
def clips(tmp_path):
    """A parquet file of two clips of one recording with stems, and their true cuts."""
    import datasets
    import soundfile

    stems = np.random.default_rng(0).normal(0, 0.05, (2, 4 * 44100)).astype(np.float32)
    sounds = {"path": stems.sum(axis=0), "vocal": stems[0], "accompaniment": stems[1]}
    paths = {name: str(tmp_path / f"{name}.flac") for name in sounds}
    for name, sound in sounds.items():
        soundfile.write(paths[name], sound, 44100)
    rows = [
        {"id": f"clip-{start}", **paths, "clip_start": start, "clip_seconds": 1.25, "genre": "folk"}
        for start in (0.0, 2.5)
    ]
    (tmp_path / "clips").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "clips" / "train-0.parquet")
    return rows


@pytest.mark.slow
def test_clips_of_recordings_are_encoded_at_their_places(clips, codec_folder, tmp_path):
    source = str(tmp_path / "clips")
    options = CodesOptions(source=source, output=tmp_path / "codes", model=codec_folder)
    prepare_codes(options, progress=False)

    codec = XCodecModel.from_pretrained(codec_folder).eval()
    for row, clip in zip(rows_of(tmp_path / "codes"), clips, strict=True):
        assert row["genre"] == "folk" and "path" not in row and "clip_start" not in row
        for name, track in (("codes", "mixture"), ("vocal_codes", "vocal")):
            true = torch.from_numpy(read_clip(clip, track, RATE))
            with torch.no_grad():
                expected = codec.encode(true[None, None]).audio_codes[0]
            np.testing.assert_array_equal(row[name], expected)
        kept = read_audio(row["vocal"], KEPT_RATE)
        np.testing.assert_allclose(kept, read_clip(clip, "vocal", KEPT_RATE), atol=2e-4)


@pytest.mark.slow
def test_the_reference_voice_of_a_clip_is_from_another_place(clips, codec_folder, tmp_path):
    import datasets

    rows = [{**clips[0], "voice_start": 1.0, "voice_seconds": 3.0}]
    rows.append({**clips[1], "voice_start": None, "voice_seconds": None})
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train-0.parquet")
    options = CodesOptions(
        source=str(tmp_path / "train-0.parquet"), output=tmp_path / "codes", model=codec_folder
    )
    prepare_codes(options, progress=False)

    first, second = rows_of(tmp_path / "codes")
    assert second["vocal"] is None and second["vocal_codes"] is not None
    kept, true = read_audio(first["vocal"], RATE), read_audio(rows[0]["vocal"], RATE, start=1.0)
    assert len(kept) == 3 * RATE
    np.testing.assert_allclose(kept[1000:-1000], true[1000 : len(kept) - 1000], atol=3e-3)


@pytest.mark.slow
def test_codes_of_a_moved_preparation_go_on(clips, codec_folder, tmp_path):
    import datasets

    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "songs.json").write_text("{}")
    for name in ("path", "vocal", "accompaniment"):
        (tmp_path / f"{name}.flac").rename(old / f"{name}.flac")
        clips = [{**clip, name: f"{name}.flac"} for clip in clips]
    datasets.Dataset.from_list(clips).to_parquet(old / "data" / "train-0.parquet")

    def prepare(folder):
        options = CodesOptions(
            source=str(folder / "data"),
            output=folder / "codes",
            model=codec_folder,
            songs_per_shard=1,
        )
        prepare_codes(options, progress=False)
        return [row["codes"] for row in rows_of(folder / "codes")]

    before = prepare(old)
    next((old / "codes").glob("*.parquet")).unlink()
    old.rename(new)

    assert prepare(new) == before and len(before) == 2


def rows_of(folder, split="train") -> list[dict]:
    import pyarrow.parquet

    paths = sorted(folder.glob(f"{split}-*.parquet"))
    return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]


@pytest.mark.slow
def test_rows_contain_the_codes_of_the_codec_and_the_metadata_of_the_source(prepare, codec_folder):
    folder = prepare()

    rows = rows_of(folder)
    assert [row["id"] for row in rows] == [f"song-{n}" for n in range(5)]
    assert [row["num_frames"] for row in rows] == [5, 6, 7, 8, 9]
    assert rows[3]["tempo"] == 103 and rows[3]["lyrics"] == "words 3"
    assert "mixture" not in rows[0] and rows[0]["vocal"]["bytes"] == song(0)["vocal"]["bytes"]
    assert len(rows_of(folder, "validation")) == 1

    import soundfile

    codec = XCodecModel.from_pretrained(codec_folder).eval()
    for name, column in (("codes", "mixture"), ("vocal_codes", "vocal")):
        waveform, _ = soundfile.read(io.BytesIO(song(2)[column]["bytes"]), dtype="float32")
        expected = codec.encode(torch.from_numpy(waveform)[None, None]).audio_codes[0]
        assert rows[2][name] == expected.tolist()


@pytest.mark.slow
def test_the_codes_are_described_in_a_json_file(prepare):
    description = json.loads((prepare() / "codes.json").read_text())

    assert description["frame_rate"] == 50
    assert description["num_codebooks"] == 3
    assert description["codebook_size"] == 1024


@pytest.mark.slow
def test_a_resumed_run_writes_the_same_files(prepare, tmp_path):
    whole = {path.name: path.read_bytes() for path in prepare("whole").iterdir()}
    folder = prepare("killed")
    kept = folder / "train-00000-of-00003.parquet"
    before = kept.stat().st_mtime_ns
    (folder / "train-00001-of-00003.parquet").unlink()

    prepare("killed")

    assert kept.stat().st_mtime_ns == before
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


@pytest.mark.slow
def test_a_folder_with_codes_of_other_options_is_refused(prepare):
    prepare()

    with pytest.raises(ValueError, match="holds codes of another max_seconds"):
        prepare(max_seconds=0.1)


@pytest.mark.slow
def test_codes_of_copied_files_go_on_and_of_other_files_of_the_same_name_are_refused(
    source, codec_folder, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(source, first)
    shutil.copytree(source, second, copy_function=shutil.copyfile)
    for path in second.iterdir():
        os.utime(path, ns=(0, 0))
    shutil.copyfile(second / "train-0.parquet", second / "notes.parquet")  # of no split

    def prepare(folder):
        options = CodesOptions(source=str(folder), output=tmp_path / "codes", model=codec_folder)
        prepare_codes(options, progress=False)
        return (tmp_path / "codes" / "train-00000-of-00001.parquet").stat().st_mtime_ns

    assert prepare(first) == prepare(second) == prepare(second)

    (second / "validation-0.parquet").write_bytes((second / "train-0.parquet").read_bytes())
    with pytest.raises(ValueError, match="holds codes of another source_files"):
        prepare(second)


def test_long_songs_are_cut_to_the_maximum_length(prepare):
    rows = rows_of(prepare(max_seconds=0.12))

    assert max(row["num_frames"] for row in rows) == 6


@pytest.mark.slow
def test_mixtures_of_two_songs_are_added_to_the_training_split(prepare, codec_folder):
    folder = prepare(mixtures=0.6)

    rows = rows_of(folder)
    assert len(rows) == 8
    assert [row["mixture_epoch"] for row in rows] == [-1] * 5 + [0] * 3
    assert rows[0]["mixture_snr"] is None and "vocal" not in rows[0]
    mixed = rows[-1]
    assert mixed["captions"][0].count("song") == 2
    assert len(rows_of(folder, "validation")) == 1

    first, second = (
        read_audio(song(int(name.split("-")[1]))["mixture"], RATE)
        for name in mixed["id"].split("+")
    )
    draw = Draw(mixed["mixture_snr"], round(mixed["mixture_start"] * RATE))
    codec = XCodecModel.from_pretrained(codec_folder).eval()
    mixture = torch.from_numpy(mix_waveforms(first, second, draw))
    assert mixed["codes"] == codec.encode(mixture[None, None]).audio_codes[0].tolist()


@pytest.mark.slow
def test_every_epoch_has_other_mixtures_which_the_seed_determines(prepare):
    def drawn(out, **options):
        rows = rows_of(prepare(out, mixtures=0.8, **options))[5:]
        return [(row["id"], row["mixture_snr"], row["codes"]) for row in rows]

    one, two = drawn("one"), drawn("two", mixture_epochs=2)

    assert len(one) == 4 and len(two) == 8
    assert two[:4] == one
    assert {snr for _, snr, _ in two[4:]}.isdisjoint(snr for _, snr, _ in one)
    assert drawn("again", mixture_epochs=2) == two
    assert drawn("other", seed=1) != one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": ("test",)}, "has no split 'test': it has train, validation"),
        ({"runner": "slurm"}, "unknown runner: got 'slurm'"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"mixtures": -1.0}, "mixtures must be 0 or more"),
        ({"mixture_epochs": 0}, "mixture_epochs must be at least 1: got 0"),
        ({"device_share": 1.5}, "device_share must be 0 to 1 or a whole number of GPUs: got 1.5"),
    ],
)
def test_invalid_options_are_refused(prepare, changes, message):
    with pytest.raises(ValueError, match=message):
        prepare(**changes)


def test_a_source_without_audio_columns_is_refused(prepare, tmp_path, codec_folder):
    import datasets

    path = tmp_path / "text.parquet"
    datasets.Dataset.from_list([{"captions": ["a"]}]).to_parquet(path)

    with pytest.raises(ValueError, match="none of the audio columns mixture, vocal, accompaniment"):
        prepare_codes(
            CodesOptions(source=str(path), output=tmp_path / "out", model=codec_folder),
            progress=False,
        )


@pytest.mark.slow
def test_two_processes_write_the_same_rows_as_one(prepare):
    one = prepare("one")
    two = prepare("two", workers=2)

    assert rows_of(one) == rows_of(two)


def test_the_levels_of_a_mixture_are_those_that_were_drawn():
    random = np.random.default_rng(0)
    first, second = random.normal(0, 0.02, (2, 4000)).astype(np.float32)

    for snr in (-5.0, 0.0, 3.7):
        inserted = mix_waveforms(first, second, Draw(snr, 0)) - first
        assert 20 * np.log10(rms(first) / rms(inserted)) == pytest.approx(snr, abs=1e-3)

    late = mix_waveforms(first, second, Draw(0.0, 3000))
    np.testing.assert_array_equal(late[:3000], first[:3000])
    gain = rms(first) / rms(second)
    np.testing.assert_allclose(late[3000:], first[3000:] + gain * second[:1000], atol=1e-6)


def test_levels_and_places_are_uniform_over_their_ranges():
    draws = [draw_mixing((10_000, 5000), 1000, np.random.default_rng(n)) for n in range(2000)]

    snr, start = np.array(draws).T
    assert -5 <= snr.min() < -4.9 < 4.9 < snr.max() <= 5
    assert start.min() < 50 and 8950 < start.max() <= 9000  # a second is heard
    for values, low, high in ((snr, -5, 5), (start, 0, 9000)):
        counts, _ = np.histogram(values, bins=9, range=(low, high))
        assert counts.min() > 160  # of 222
    assert {draw_mixing((800, 300), 1000, np.random.default_rng(n)).start for n in range(99)} <= {
        *range(501)
    }
    assert draw_mixing((0, 5), 1000, np.random.default_rng(0)).start == 0


def test_a_loud_mixture_stays_within_full_scale():
    loud = np.full(100, 0.9, dtype=np.float32)

    assert np.abs(mix_waveforms(loud, loud, Draw(0.0, 50))).max() <= 0.99 + 1e-6


@pytest.mark.parametrize("silent", ["first", "second", "both"])
def test_a_mixture_with_silence_is_finite(silent):
    sound, silence = np.full(50, 0.1, np.float32), np.zeros(50, np.float32)
    first = silence if silent != "second" else sound
    second = silence if silent != "first" else sound

    assert np.isfinite(mix_waveforms(first, second, Draw(-5.0, 0))).all()


def test_captions_are_joined_pair_by_pair():
    first, second = {"captions": ["A dog.", "Barking"]}, {"caption": "rain"}

    assert join_captions(first, second) == ["A dog. rain"]
    assert join_captions(first, {}) == []
