"""Adaptations of the Space's models to recordings of its owner, one at a time.

An adaptation is a folder, as ``songgen-hf adapt`` writes it, and runs in a process of its own (see
``adapt_worker.py``). A stopped one goes on from its folder.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from ..data.preparation.songs import DESCRIPTION_FILE
from ..files import write_files
from ..training.adaptation.options import AdaptOptions
from ..training.adaptation.run import RUN_FOLDER, SONGS_FOLDER
from .adapt_worker import FAILED, PROGRESS, RECORDINGS, STOP, TRAIN, TRAINED
from .adapters import FILES

IDLE, PREPARING, ASKING, TRAINING, DONE, STOPPED = (
    "idle", "preparing", "asking", "training", "done", "stopped",
)  # fmt: skip
RUNNING = (PREPARING, ASKING, TRAINING)
UPLOADS = "recordings"
"""Folder of uploaded recordings in the folder of an adaptation."""
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,59}")
_STOP_SECONDS = 60


@dataclass(frozen=True)
class AdaptState:
    """Where an adaptation stands.

    Args:
        name: its name; "" before the first one.
        phase: ``"idle"``, ``"preparing"``, ``"asking"`` (whether to train), ``"training"``,
            ``"done"``, ``"stopped"`` or ``"failed"``.
        progress: ``stage``, ``done``, ``total``, ``loss`` and ``drift``, see ``AdaptProgress``.
        rows: ``recording_id``, ``clips``, ``kept`` and ``reason`` of each recording.
        kept, seconds: number and length of the clips that can be trained on.
        steps: steps that were trained at the end.
        stopped_by_drift: whether the training ended because the model had moved too far.
        message: the error of a failed adaptation.
    """

    name: str = ""
    phase: str = IDLE
    progress: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    kept: int = 0
    seconds: float = 0.0
    steps: int = 0
    stopped_by_drift: bool = False
    message: str = ""


class Adaptations:
    """The adaptations in a folder.

    Args:
        folder: folder of the adaptations, one subfolder each.
        defaults: options of every adaptation, see :class:`AdaptOptions`.
    """

    def __init__(self, folder: Path | str, **defaults: Any):
        self.folder = Path(folder).expanduser().resolve()
        self.defaults = defaults
        self.state = AdaptState()
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """Names of the adaptations that were begun."""
        begun = self.folder.glob(f"*/{SONGS_FOLDER}/{DESCRIPTION_FILE}")
        return sorted(path.parents[1].name for path in begun)

    def start(
        self, name: str, source: str, uploads: Sequence[str | Path] = (), **options: Any
    ) -> None:
        """Begin to prepare recordings, or go on with an adaptation of that name.

        Args:
            name: name of the adapter.
            source: folder with recordings; "" for the uploads, or what the adaptation began with.
            uploads: files with recordings.
            options: options besides the defaults, such as ``model`` and ``steps``.
        Raises:
            ValueError: for another one that runs, a wrong name, no recordings or wrong options.
        """
        name, source = name.strip(), source.strip()
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"the name of the adapter is {name!r}: expected letters, digits, - and _"
            )
        out = self.folder / name
        with self._lock:
            if self.state.phase in RUNNING:
                raise ValueError(
                    f"the adapter {self.state.name!r} is being made: wait for it, or stop it"
                )
            source = self._source(out, source, uploads)
            values = {**self.defaults, **options, "source": source, "out": out}
            AdaptOptions(**values)
            self.state = AdaptState(name, PREPARING)
            given = {key: str(value) if key == "out" else value for key, value in values.items()}
            self._run(given)

    def answer(self) -> None:
        """Train on the recordings that were shown."""
        if self.state.phase != ASKING:
            raise ValueError("there is nothing to train on: look at the recordings first")
        self.state = replace(self.state, phase=TRAINING, progress={})
        self._send(TRAIN)

    def stop(self) -> None:
        """Stop the running adaptation; training keeps its adapter and a checkpoint."""
        if self.state.phase in RUNNING:
            self._send(STOP)

    def close(self) -> None:
        """Stop, and end the process."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self.stop()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def adapter(self, name: str) -> Path | None:
        """The folder of the adapter of an adaptation; None before it is trained."""
        folder = self.folder / name
        return folder if name and all((folder / one).is_file() for one in FILES) else None

    def samples(self, name: str) -> dict[int, list[Path]]:
        """The songs of each evaluation, by its step; those of step 0 are sung without adapter."""
        found = {}
        for folder in sorted(self.folder.glob(f"{name or '-'}/{RUN_FOLDER}/samples/step-*")):
            songs = sorted(folder.glob("*.flac"))
            if songs:
                found[int(folder.name.partition("-")[2])] = songs
        return found

    def _source(self, out: Path, source: str, uploads: Sequence[str | Path]) -> str:
        """What is adapted to."""
        if source and uploads:
            raise ValueError("a folder and uploaded songs were both given: give one of them")
        if uploads:
            contents = {}
            for upload in uploads:
                name = Path(upload).name
                contents[out / UPLOADS / name] = Path(upload).read_bytes()
            write_files(contents)
            return str(out / UPLOADS)
        if source:
            if not Path(source).expanduser().is_dir():
                raise ValueError(
                    f"there is no folder {Path(source).name!r}: give one with recordings"
                )
            return str(Path(source).expanduser().resolve())
        described = out / SONGS_FOLDER / DESCRIPTION_FILE
        if not described.is_file():
            raise ValueError("there are no recordings: give a folder, or upload songs")
        return str(json.loads(described.read_text(encoding="utf-8"))["source"])

    def _run(self, values: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.adapt_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._send(json.dumps(values))
        Thread(target=self._follow, args=(self._process,), daemon=True, name="adaptation").start()

    def _send(self, line: str) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            try:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            except OSError:  # it has just ended
                pass

    def _follow(self, process: Any) -> None:
        """Keep the state that the process tells."""
        for line in process.stdout:
            self.state = after(self.state, json.loads(line))
            if self.state.phase not in RUNNING:
                break  # the next process may begin
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()
        if self._process is process and self.state.phase in RUNNING:
            self.state = replace(
                self.state,
                phase=FAILED,
                message=f"the training ended unexpectedly (exit status {status}): see "
                "the log, and start it again",
            )


def after(state: AdaptState, event: Mapping[str, Any]) -> AdaptState:
    """The state after an event of the process."""
    kind = event["event"]
    facts = {name: value for name, value in event.items() if name != "event"}
    if kind == PROGRESS:
        phase = TRAINING if facts["stage"] in ("codes", "train") else PREPARING
        return replace(state, phase=phase, progress=facts)
    if kind == RECORDINGS:
        return replace(state, phase=ASKING, progress={}, **facts)
    if kind == TRAINED:
        finished = facts["steps"] >= state.progress.get("total", 0) or facts["stopped_by_drift"]
        return replace(
            state,
            phase=DONE if finished else STOPPED,
            steps=facts["steps"],
            stopped_by_drift=facts["stopped_by_drift"],
        )
    if kind == FAILED:
        return replace(state, phase=FAILED, **facts)
    return replace(state, phase=STOPPED)


def copy_sample(path: Path, folder: Path) -> Path:
    """A copy of a sample in a folder from which gradio serves files."""
    target = folder / path.parents[3].name / path.parent.name / path.name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return target


__all__ = ["AdaptState", "Adaptations", "after", "copy_sample"]
