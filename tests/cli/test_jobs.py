"""``songgen-hf generate --jobs``: files of songs, errors by line, and options that do not fit."""

import json

import pytest

from songgen_hf.cli import main
from songgen_hf.cli.generate.jobs import automatic_batch_size
from songgen_hf.pipelines.song_jobs import RESULTS


@pytest.mark.slow
def test_jobs_write_songs_results_and_errors(tmp_path, tiny_checkpoint, capsys):
    jobs = tmp_path / "songs.jsonl"
    jobs.write_text('{"text": "folk", "lyrics": "la"}\n{"text": "pop", "seed": 9}\n{"txt": "a"}\n')
    call = ["generate", "--jobs", jobs, "--out", tmp_path / "out", "--model", tiny_checkpoint()]
    call = [*map(str, call), "--max-seconds", "0.2", "--device", "cpu", "--quiet", "--seed", "3"]

    status = main([*call, "--json"])

    assert status == 1  # a line failed
    facts = json.loads(capsys.readouterr().out)
    assert facts["failed"] == 1 and facts["batch_size"] >= 1
    assert [job.get("seed") for job in facts["jobs"]] == [3, 9, None]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"00001-la.wav", "00002-pop.wav", RESULTS}
    jobs.write_text("\n".join(jobs.read_text().splitlines()[:2]))
    assert main(call) == 0
    assert "2 of 2 songs are in" in capsys.readouterr().out


@pytest.mark.slow
def test_jobs_write_the_tracks_of_each_song(tmp_path, tiny_checkpoint, capsys):
    jobs = tmp_path / "songs.jsonl"
    jobs.write_text('{"text": "folk", "lyrics": "la"}\n')
    call = ["generate", "--jobs", jobs, "--out", tmp_path / "out", "--stems", "--json", "--quiet"]
    call = [*map(str, call), "--max-seconds", "0.2", "--device", "cpu"]

    assert main([*call, "--model", tiny_checkpoint("interleaving_A_V")]) == 0

    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["stems"] == ["00001-la.vocal.wav", "00001-la.accompaniment.wav"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {RESULTS, job["file"], *job["stems"]}
    assert main([*call, "--model", tiny_checkpoint("mixed")]) == 2
    assert "--stems needs a two-track model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "new"], "give a description of the song, or --jobs with a file of many"),
        (["folk", "--jobs", "a", "--out", "new"], "a text was given with --jobs: each line of"),
        (["--jobs", "a", "--out", "new", "--plot"], "--plot was given with --jobs"),
        (["--jobs", "a", "--out", "new", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["--jobs", "a", "--out", "song.wav"], "got --out song.wav, expected a folder"),
        (["--jobs", "a", "--out", "-"], "got --out -, expected a folder"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, message, capsys):
    assert main(["generate", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_jobs_take_the_options_of_loading_and_checking(tmp_path, tiny_checkpoint, capsys):
    jobs = tmp_path / "songs.jsonl"
    jobs.write_text('{"text": "folk", "lyrics": "la"}\n')
    call = ["generate", "--jobs", jobs, "--out", tmp_path / "out", "--json", "--quiet"]
    call += ["--max-seconds", "0.2", "--device", "cpu", "--check-tracks"]
    call = [*map(str, call), "--model", tiny_checkpoint("interleaving_A_V")]

    digests = []
    for flags in ([], ["--quantize", "int8"], ["--quantize", "int8"]):
        assert main([*call, *flags]) == 0
        digests.append(json.loads(capsys.readouterr().out)["jobs"][0]["digest"])

    assert digests[0] != digests[1] == digests[2]


def test_the_batch_follows_the_length_and_the_memory(tiny_singer, monkeypatch):
    class Pipeline:
        mode, model = "autoregressive", tiny_singer()
        device = model.device

    def size(seconds: float, free: int | None) -> int:
        monkeypatch.setattr("songgen_hf.cli.doctor.machine.memory", lambda: (free, None))
        return automatic_batch_size(Pipeline(), seconds, {})

    assert size(30.0, 1) == size(30.0, None) == 1
    assert size(30.0, 10**12) == 16
    sizes = [size(seconds, 2 * 10**7) for seconds in (1.0, 10.0, 100.0)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]
