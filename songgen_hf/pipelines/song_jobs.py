"""Generates many songs from lines of JSON, in batches, so that an interrupted run can be resumed.

``SongJobs`` maps a column of requests to a column of results. ``datasets.map`` and Ray Data call it
on each of their machines; ``generate_jobs`` calls it for the lines of one file, skips those that
are done, and appends a line to ``results.jsonl`` after each batch.
"""

import codecs
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import safe_name, sound_format, write_files
from .song_requests import check_length, check_lyrics, check_seed, check_voices, seed_after

logger = logging.getLogger(__name__)

BOUNDS = ("min_seconds", "max_seconds")
"""Settings that the ``seconds`` of a job replace, and that replace the ``seconds`` of all."""
OWN_SETTINGS = (
    *("guidance_scale", "guidance_schedule", "guidance_interval", "temperature", "top_p"),
    *BOUNDS,
)
"""Keys of a job that replace a setting of all songs; jobs of equal ones share batches."""
JOB_KEYS = {
    "text": "text",
    "lyrics": "lyrics",
    "language": "language",
    "seed": "seed",
    "seconds": "seconds",
    "voice": "reference_voice",
    "voice_start": "voice_start",
    "separate_voice": "separate_voice",
    "negative_text": "negative_text",
    "prompt_audio": "audio_prompt",
    **{name: name for name in OWN_SETTINGS},
}
"""Keys of a job, and the arguments of the pipelines that they are."""
PATHS = ("voice", "prompt_audio")
RESULTS = "results.jsonl"


@dataclass(frozen=True)
class SongJob:
    """A line of a file of jobs.

    Args:
        line: number of the line, from 1 up.
        text: the line.
    """

    line: int
    text: str


class SongJobs:
    """Function of columns that generates a song for each job and writes its sound file.

    Songs do not depend on the batch in which they are generated. A job that fails has a result with
    an ``error``, and the songs of its batch are generated without it. If memory runs out, or a song
    of a batch is refused, the batch is halved. ``seconds`` of a job replace the bounds of the
    length in the settings, and ``OWN_SETTINGS`` of a job those of the same name.

    Args:
        load: returns the pipeline; called once in each process, when the first job is there.
        out: folder of the sound files, which all machines have access to.
        suffix: ending of the sound files, such as ".flac".
        first_seed: a job without a seed has this one plus the number of its line, less one.
        inputs: folder that the paths of voices and prompts are relative to.
        loudness: integrated loudness of the songs in LUFS; None leaves it.
        settings: arguments of the pipeline for all songs.
        version: what else determines the songs, such as the name of the model. Songs of another
            version are generated again.
        stems: whether to write the tracks of each song, too.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        out: Path | str,
        *,
        suffix: str = ".wav",
        first_seed: int = 0,
        inputs: Path | str = ".",
        loudness: float | None = None,
        settings: Mapping[str, Any] | None = None,
        version: str = "",
        stems: bool = False,
    ):
        sound_format(f"song{suffix}")
        self.load = load
        self.out, self.inputs = Path(out), Path(inputs)
        self.suffix = suffix
        self.first_seed = check_seed(first_seed)
        self.loudness = loudness
        self.settings = dict(settings or {})
        self.version = version
        self.stems = stems
        self._pipeline: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pipeline": None}  # each process loads its own

    def __call__(self, columns: Mapping[str, Iterable[Any]]) -> dict[str, list[str]]:
        """Generate the songs of one batch.

        Args:
            columns: ``line``, numbers of lines, and ``job``, JSON objects as text with some of
                ``JOB_KEYS``.
        Returns:
            The column ``result`` with one JSON object as text for each job, in their order.
        """
        lines, jobs = columns["line"], columns["job"]
        batch = [SongJob(int(line), str(job)) for line, job in zip(lines, jobs, strict=True)]
        return {"result": [json.dumps(result) for result in self.run(batch)]}

    def run(self, jobs: Sequence[SongJob]) -> list[dict[str, Any]]:
        """Generate the songs of one batch and return the result of each job."""
        results: dict[int, dict[str, Any]] = {}
        requests: dict[int, dict[str, Any]] = {}
        for index, job in enumerate(jobs):
            try:
                requests[index] = self.request(job)
            except (TypeError, ValueError) as error:
                results[index] = self._failure(job, error)
        groups: dict[str, dict[int, dict[str, Any]]] = {}
        for index, request in requests.items():
            settings = json.dumps(self._settings_of(request), sort_keys=True, default=str)
            groups.setdefault(settings, {})[index] = request
        songs = itertools.chain.from_iterable(
            self._songs(group, self._settings_of(next(iter(group.values()))))
            for group in groups.values()
        )
        for index, song in songs:  # each is written before the next part of a batch is generated
            job = jobs[index]
            try:
                if isinstance(song, Exception):
                    raise song
                results[index] = self._write(job, requests[index], song)
            except (OSError, RuntimeError, TypeError, ValueError) as error:
                results[index] = self._failure(job, error)
        return [results[index] for index in range(len(jobs))]

    def request(self, job: SongJob) -> dict[str, Any]:
        """Return the request dict of a job for the pipeline.

        Raises:
            TypeError, ValueError: if the line is not UTF-8, or not a JSON object with some of
                ``JOB_KEYS``.
        """
        try:
            job.text.encode()
            given = json.loads(job.text)
        except UnicodeEncodeError:
            raise ValueError("it is not UTF-8: save the file in this encoding") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"it is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise TypeError(f"expected a JSON object: got {type(given).__name__}")
        if unknown := [key for key in given if key not in JOB_KEYS]:
            raise ValueError(f"unknown key {unknown[0]!r}: expected some of {', '.join(JOB_KEYS)}")
        if not isinstance(given.get("text"), str):
            raise TypeError(f'text must be a string ("" for none): got {given.get("text")!r}')
        check_lyrics(given.get("lyrics"))
        check_length(*(given.get(name) for name in ("seconds", *BOUNDS)))
        check_voices([{**given, "reference_voice": given.get("voice")}])
        seed = given.get("seed")
        own = seed_after(self.first_seed, job.line - 1)
        given["seed"] = own if seed is None else check_seed(seed)
        for name in PATHS:
            if isinstance(given.get(name), str):
                given[name] = str(self.inputs / given[name])
        return {JOB_KEYS[key]: value for key, value in given.items() if value is not None}

    def digest(self, job: SongJob) -> str:
        """Return a digest of all that determines the song of a job."""
        try:
            request = self.request(job)
        except (TypeError, ValueError):
            request = {"text": job.text}
        facts = [request, self.settings, self.suffix, self.loudness, self.version]
        facts += ["stems"] if self.stems else []
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def _settings_of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of all songs, with those of a job in their place."""
        own = {name: request[name] for name in OWN_SETTINGS if name in request}
        replaced: tuple[str, ...] = BOUNDS if "seconds" in request else ()
        if any(name in own for name in BOUNDS):
            replaced = ("seconds",)
        return {name: it for name, it in self.settings.items() if name not in replaced} | own

    def _songs(
        self, requests: Mapping[int, dict[str, Any]], settings: Mapping[str, Any]
    ) -> Iterator[tuple[int, Any]]:
        """The song of each request, or the error that it raised alone."""
        if not requests:
            return
        if not any("reference_voice" in request for request in requests.values()):
            settings = {name: it for name, it in settings.items() if name != "separate_voice"}
        if self._pipeline is None:
            self._pipeline = self.load()
        try:
            inputs = [
                {name: it for name, it in request.items() if name not in OWN_SETTINGS}
                for request in requests.values()
            ]
            songs = self._pipeline(inputs, batch_size=len(inputs), **settings)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if len(requests) == 1:
                yield next(iter(requests)), error
                return
            logger.warning("A batch of %d songs failed, and is halved: %s", len(requests), error)
            indices = list(requests)
            for half in (indices[: len(indices) // 2], indices[len(indices) // 2 :]):
                yield from self._songs({index: requests[index] for index in half}, settings)
        else:
            yield from zip(requests, songs, strict=True)

    def _write(self, job: SongJob, request: dict[str, Any], song: Any) -> dict[str, Any]:
        words = str(request.get("lyrics") or request["text"]).strip().splitlines()
        name = f"{job.line:05d}-{safe_name(words[0] if words else '')}{self.suffix}"
        written = song.save(self.out / name, loudness=self.loudness, stems=self.stems)
        stems = [path.name for path in written[1:]]
        return {
            "line": job.line,
            "digest": self.digest(job),
            "file": name,
            **({"stems": stems} if stems else {}),
            "seed": song["seed"],
            "duration": song["audio"].shape[-1] / song["sampling_rate"],
            "sampling_rate": song["sampling_rate"],
        }

    def _failure(self, job: SongJob, error: Exception) -> dict[str, Any]:
        message = " ".join(str(error).split())
        return {"line": job.line, "digest": self.digest(job), "error": message}


def read_jobs(path: Path | str) -> list[SongJob]:
    """Read a UTF-8 file of jobs, one JSON object in each line; empty lines are left out.

    Lines end with ``\\n``. A line in another encoding fails as a job, without the others.
    """
    content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    lines = content.decode(errors="surrogateescape").split("\n")
    return [SongJob(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def generate_jobs(
    jobs: Sequence[SongJob],
    function: SongJobs,
    *,
    batch_size: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Generate the songs of jobs that are not done yet.

    ``results.jsonl`` in the folder of the songs gets a line when a song is done. Jobs of which it
    has the song, and whose request has not changed, are skipped; those that failed are tried again.
    Jobs of the same settings and of similar length are generated together, because a batch takes as
    many steps as its longest song; songs that have ended leave it.

    Args:
        jobs: the jobs.
        function: generates the songs of a batch.
        batch_size: number of songs that are generated together.
        report: called with (number of jobs done, number of all jobs) after each batch.
    Returns:
        The result of each job, in the order of the jobs.
    """
    function.out.mkdir(parents=True, exist_ok=True)
    path = function.out / RESULTS
    done = {(result["line"], result["digest"]): result for result in _finished(path)}
    results = {job: done.get((job.line, function.digest(job))) for job in jobs}
    kept = [result for result in results.values() if result is not None]
    write_files({path: b"".join(_line(result) for result in kept)})

    waiting = sorted((job for job in jobs if results[job] is None), key=_order)
    report(len(jobs) - len(waiting), len(jobs))
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        found = function.run(batch)
        with path.open("ab") as file:
            file.writelines(map(_line, found))
        results |= dict(zip(batch, found, strict=True))
        report(len(jobs) - len(waiting) + start + len(batch), len(jobs))
    return [result for result in results.values() if result is not None]


def _finished(path: Path) -> Iterator[dict[str, Any]]:
    """The results whose songs exist; a last line that was not written whole is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(result, dict) and "file" in result:
            files = [result["file"], *result.get("stems", ())]
            if all((path.parent / name).exists() for name in files):
                yield result


def _line(result: Mapping[str, Any]) -> bytes:
    return json.dumps(result).encode() + b"\n"


def _order(job: SongJob) -> tuple[str, float, int]:
    """What jobs are sorted by: their own settings, and what the length of a song depends on."""
    try:
        given = json.loads(job.text)
        own = {name: given[name] for name in OWN_SETTINGS if name in given}
        settings = json.dumps(own, sort_keys=True)
        return settings, float(given.get("seconds") or 0.0), len(given.get("lyrics") or "")
    except (AttributeError, TypeError, ValueError):
        return "", 0.0, 0


__all__ = ["JOB_KEYS", "RESULTS", "SongJob", "SongJobs", "generate_jobs", "read_jobs"]
