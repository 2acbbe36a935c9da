"""Preparation with Ray Data writes the files of ``datasets.map``, byte for byte."""

from pathlib import Path

import pytest
import soundfile

from songgen_hf.data.preparation.codes import prepare_codes
from songgen_hf.data.preparation.configuration import read_preparation
from songgen_hf.data.preparation.options import CodesOptions, SongsOptions
from songgen_hf.data.preparation.songs import build_stages, prepare_songs
from tests.training.conftest import build_tiny

from ...tools.sung_album import RATE, sing
from .test_codes import song

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray uses deprecated functions itself
]


@pytest.fixture(scope="module")
def ray_cluster():
    """A Ray cluster of two processes on this machine."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # Ray would write a token to the home folder
        patch.setenv("RAY_worker_niceness", "0")  # a busy machine would starve its processes
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their paths in it, without the report."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".html"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_codes_are_those_of_map(ray_cluster, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "songs").mkdir()
    rows = datasets.Dataset.from_list([song(number) for number in range(3)])
    rows.to_parquet(tmp_path / "songs" / "train-0.parquet")
    build_tiny("mixed")[0].audio_encoder.save_pretrained(tmp_path / "codec")

    for runner in ("map", "ray"):
        options = CodesOptions(
            source=str(tmp_path / "songs"),
            output=tmp_path / runner,
            model=str(tmp_path / "codec"),
            mixtures=0.4,
            mixture_epochs=2,
            songs_per_shard=2,
            runner=runner,
            workers=1 if runner == "map" else 2,
        )
        prepare_codes(options, progress=False)

    mapped = contents(tmp_path / "map")
    assert len(mapped) == 4 and contents(tmp_path / "ray") == mapped


def test_prepared_songs_are_those_of_map(ray_cluster, tmp_path):
    (tmp_path / "album").mkdir()
    for seed in (0, 1):
        vocal, accompaniment = sing(seed, lines=1)
        sounds = {"": vocal + accompaniment, ".vocal": vocal, ".accompaniment": accompaniment}
        for ending, sound in sounds.items():
            soundfile.write(tmp_path / "album" / f"song-{seed}{ending}.wav", sound, RATE)
    (tmp_path / "album" / "broken.mp3").write_text("words")

    for runner in ("map", "ray"):
        options = SongsOptions(
            source=str(tmp_path / "album"),
            output=tmp_path / runner,
            config="small",
            changes=("score.music=false", "caption.phrasings=1"),
            runner=runner,
            workers=1 if runner == "map" else 2,
        )
        prepare_songs(options, progress=False)

    mapped = contents(tmp_path / "map")
    assert len([name for name in mapped if name.endswith(".parquet")]) > 10
    # The card has the name of its folder.
    named = mapped.pop("README.md"), contents(tmp_path / "ray")["README.md"]
    spread = {name: data for name, data in contents(tmp_path / "ray").items() if name in mapped}
    assert spread == mapped and len(contents(tmp_path / "ray")) == len(mapped) + 1
    assert named[1].replace(b"ray", b"map") == named[0]


def test_stages_ask_for_their_share_of_a_gpu():
    changes = ["separate.device_share=0.25", "transcribe.device_share=1.0"]
    preparation = read_preparation("small", [*changes, "caption.device_share=0.5"])

    shares = {stage.name: stage.device_share for stage in build_stages(preparation, Path("x"))}

    assert {name: share for name, share in shares.items() if share} == {
        "separate": 0.25,
        "transcribe": 1.0,
        "caption": 0.5,
    }
    assert preparation.identity() == read_preparation("small").identity()
