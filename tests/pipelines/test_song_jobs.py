"""Jobs give the songs of single calls, in any batch, also after an interruption."""

import codecs
import functools
import json
import pickle

import pytest
import soundfile

from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.pipelines.song_jobs import RESULTS, SongJob, SongJobs, generate_jobs, read_jobs

SETTINGS = {"max_seconds": 0.2, "progress": False}
JOBS = [
    {"text": "folk", "lyrics": "la la", "seed": 5},
    {"text": "jazz"},
    {"text": "rock", "lyrics": "na na na na na", "seconds": 0.1},
]


def lines(*jobs) -> list[SongJob]:
    texts = [job if isinstance(job, str) else json.dumps(job) for job in jobs]
    return [SongJob(number, text) for number, text in enumerate(texts, 1)]


@pytest.fixture
def pipeline(tiny_checkpoint):
    return load_pipeline(tiny_checkpoint(), device="cpu")


def jobs_into(out, pipeline, **options) -> SongJobs:
    return SongJobs(lambda: pipeline, out, settings={"max_seconds": 0.2}, **options)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_each_song_is_that_of_a_call_of_its_own(tmp_path, pipeline, batch_size):
    jobs = lines(*JOBS[:2])

    results = generate_jobs(jobs, jobs_into(tmp_path, pipeline), batch_size=batch_size)

    assert [result["seed"] for result in results] == [5, 1]
    for job, result in zip(JOBS, results, strict=False):
        song = pipeline(**{"seed": 1, **job}, max_seconds=0.2)
        song.save(tmp_path / "alone.wav")
        written = (tmp_path / result["file"]).read_bytes()
        assert soundfile.read(tmp_path / result["file"])[0].size
        assert written == (tmp_path / "alone.wav").read_bytes()


@pytest.mark.slow
def test_settings_of_a_job_replace_those_of_all(tmp_path, pipeline):
    own = [{"temperature": 0.5, "guidance_scale": [1, 2]}, {"max_seconds": 0.1}, {}]
    jobs = lines(*({"text": "folk", "seed": 3, **settings} for settings in own))
    function = SongJobs(lambda: pipeline, tmp_path, settings={"seconds": 0.2, "temperature": 0.9})

    results = generate_jobs(jobs, function, batch_size=3)

    for settings, result in zip(own, results, strict=True):
        given = {"seconds": 0.2, "temperature": 0.9, **settings}
        if "max_seconds" in settings:
            del given["seconds"]
        pipeline("folk", seed=3, **given).save(tmp_path / "alone.wav")
        written = (tmp_path / result["file"]).read_bytes()
        assert written == (tmp_path / "alone.wav").read_bytes()
    assert len({(tmp_path / result["file"]).read_bytes() for result in results}) == 3


def test_jobs_of_the_same_settings_share_batches(tmp_path):
    calls = []

    def sing(requests, **settings):
        calls.append((len(requests), settings.get("temperature")))
        return [ValueError("a stand-in")] * len(requests)

    jobs = lines(*({"text": "a", "temperature": number} for number in (1, 2, 1, 2)))
    generate_jobs(jobs, SongJobs(lambda: sing, tmp_path), batch_size=2)

    assert calls == [(2, 1), (2, 2)]


def test_a_job_with_a_length_and_bounds_is_refused(tmp_path):
    (job,) = lines({"text": "a", "seconds": 1, "max_seconds": 2})

    (result,) = SongJobs(lambda: None, tmp_path).run([job])

    assert result["error"] == "seconds is the length: leave min_seconds and max_seconds out"


def test_jobs_without_a_voice_are_sung_where_the_voices_of_others_are_separated(tmp_path):
    def sing(requests, **settings):
        assert "separate_voice" not in settings
        return [ValueError("a stand-in")] * len(requests)

    jobs = SongJobs(lambda: sing, tmp_path, settings={"separate_voice": "always"})

    assert [result["error"] for result in jobs.run(lines({"text": "a"}))] == ["a stand-in"]


@pytest.mark.slow
def test_a_bad_line_is_reported_and_the_others_are_sung(tmp_path, pipeline):
    jobs = lines(
        JOBS[0], "{not json", {"text": 3}, {"text": "a", "tempo": 90}, [1],
        {"text": "a", "voice": "no.wav"}, {"text": "b", "seconds": -1}, JOBS[1],
        {"text": "a", "lyrics": "!!!"}, {"text": "a", "voice_start": 2},
    )  # fmt: skip

    results = generate_jobs(jobs, jobs_into(tmp_path, pipeline), batch_size=8)

    errors = {result["line"]: result["error"] for result in results if "error" in result}
    assert sorted(errors) == [2, 3, 4, 5, 6, 7, 9, 10]
    assert errors[2].startswith("it is not JSON:")
    assert errors[3] == 'text must be a string ("" for none): got 3'
    assert errors[4].startswith("unknown key 'tempo': expected some of text, lyrics,")
    assert errors[5] == "expected a JSON object: got list"
    assert "no.wav" in errors[6]
    assert errors[7] == "seconds must be above 0 and finite: got -1"
    assert errors[10].startswith("voice_start is 2, but there is no reference voice")
    assert errors[9].startswith("lyrics have no letter or digit to sing: got '!!!'")
    written = {path.name for path in tmp_path.glob("*.wav")}
    assert written == {"00001-la-la.wav", "00008-jazz.wav"}


@pytest.mark.slow
def test_a_resumed_run_generates_what_is_missing_and_equals_the_whole(tmp_path, pipeline):
    jobs = lines(*JOBS[:2], {"text": "pop"})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    generate_jobs(jobs, jobs_into(whole, pipeline), batch_size=2)
    calls = []

    def counted(requests, **settings):
        calls.append([request["text"] for request in requests])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return pipeline(requests, **settings)

    with pytest.raises(KeyboardInterrupt):
        generate_jobs(jobs, jobs_into(parts, counted))
    with (parts / RESULTS).open("a") as file:
        file.write('{"line": 2, "fi')  # a line that was being written
    results = generate_jobs(jobs, jobs_into(parts, counted), batch_size=2)

    assert calls == [["jazz"], ["pop"], ["pop", "folk"]]
    assert [result["line"] for result in results] == [1, 2, 3]
    for file in whole.glob("*.wav"):
        assert (parts / file.name).read_bytes() == file.read_bytes()
    recorded = [json.loads(line) for line in (parts / RESULTS).read_text().splitlines()]
    assert sorted(recorded, key=lambda one: one["line"]) == results
    assert generate_jobs(jobs, jobs_into(parts, counted)) == results and len(calls) == 3


@pytest.mark.slow
def test_stems_are_written_and_a_missing_one_is_generated_again(tmp_path, tiny_checkpoint):
    pipeline = load_pipeline(tiny_checkpoint("interleaving_A_V"), device="cpu")
    jobs = lines(JOBS[0])
    (plain,) = generate_jobs(jobs, jobs_into(tmp_path, pipeline))

    (result,) = generate_jobs(jobs, jobs_into(tmp_path, pipeline, stems=True))

    assert "stems" not in plain
    assert result["stems"] == ["00001-la-la.vocal.wav", "00001-la-la.accompaniment.wav"]
    song = pipeline(**JOBS[0], max_seconds=0.2)
    for name in song.save(tmp_path / "alone.wav", stems=True):
        written = tmp_path / name.name.replace("alone", "00001-la-la")
        assert written.read_bytes() == name.read_bytes()
    (tmp_path / result["stems"][1]).unlink()
    again = generate_jobs(jobs, jobs_into(tmp_path, pipeline, stems=True))
    assert again == [result] and (tmp_path / result["stems"][1]).exists()
    assert generate_jobs(jobs, jobs_into(tmp_path, None, stems=True)) == [result]


def test_changed_jobs_and_missing_files_are_generated_again(tmp_path):
    function = SongJobs(lambda: None, tmp_path)
    job, other = lines({"text": "a"}, {"text": "a", "seed": 0})

    assert function.digest(job) == function.digest(other.__class__(1, other.text))  # the same seed
    assert function.digest(job) != function.digest(lines({"text": "b"})[0])
    changes = ({"version": "2"}, {"settings": {"top_k": 3}}, {"first_seed": 1}, {"stems": True})
    for changed in changes:
        assert SongJobs(lambda: None, tmp_path, **changed).digest(job) != function.digest(job)


@pytest.mark.slow
def test_seconds_of_a_job_replace_the_bounds_of_all_jobs(tmp_path, pipeline):
    jobs = lines({"text": "folk", "seconds": 0.1}, {"text": "jazz"})

    exact, bounded = generate_jobs(jobs, jobs_into(tmp_path, pipeline), batch_size=2)

    assert exact["duration"] == pytest.approx(0.1)
    assert 0 < bounded["duration"] <= 0.2


def test_a_line_ends_at_a_line_feed_and_has_an_encoding_of_its_own(tmp_path):
    path = tmp_path / "jobs.jsonl"
    job = json.dumps({"text": "folk", "lyrics": "one\u2028two\x85"}, ensure_ascii=False)
    path.write_bytes(codecs.BOM_UTF8 + job.encode() + b'\r\n{"text": "caf\xe9"}\n{"text": "jazz"}')

    first, bad, last = read_jobs(path)

    function = SongJobs(lambda: None, tmp_path)
    assert function.request(first)["lyrics"] == "one\u2028two\x85"
    with pytest.raises(ValueError, match="it is not UTF-8"):
        function.request(bad)
    assert (last.line, function.request(last)["text"]) == (3, "jazz")


def test_empty_lines_count_but_are_no_jobs(tmp_path):
    (tmp_path / "jobs.jsonl").write_text('{"text": "a"}\n\n{"text": "b"}\n')

    assert [job.line for job in read_jobs(tmp_path / "jobs.jsonl")] == [1, 3]


@pytest.mark.slow
def test_the_function_is_one_for_columns_in_any_process(tmp_path, tiny_checkpoint):
    datasets = pytest.importorskip("datasets")
    load = functools.partial(load_pipeline, tiny_checkpoint(), device="cpu")
    function = pickle.loads(pickle.dumps(SongJobs(load, tmp_path, settings=SETTINGS)))
    texts = [json.dumps(job) for job in JOBS[:2]]
    table = datasets.Dataset.from_dict({"line": [1, 2], "job": texts})

    mapped = table.map(function, batched=True, batch_size=2, new_fingerprint="jobs")

    results = [json.loads(result) for result in mapped["result"]]
    assert [result["line"] for result in results] == [1, 2]
    assert all((tmp_path / result["file"]).is_file() for result in results)
