"""Damaged and hostile input of every kind: it works, or it is refused in one clear line.

Cases are drawn from a seed; SONGGEN_MALFORMED_CASES=1000 runs more of them than the suite does.
Each one runs in a fork with 10 seconds and 4 GB of address space. With SONGGEN_MALFORMED_REPORT the
outcomes are counted in a JSON file.
"""

import json
import os
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, quote

import datasets
import numpy as np
import pytest

from songgen_hf.checkpoints.codes_files import encode_codes
from songgen_hf.space.settings import Settings
from tests.data.preparation.test_codes import song as corpus_song
from tests.tools.judge_cases import RATE, tiny_judges
from tests.tools.malformed import REFUSED, WORKS, Outcome, damage, guarded
from tests.tools.tiny_checkpoint import (
    tiny_checkpoint,
    tiny_masked,
    tiny_processor,
    tiny_singer,
)
from tests.training.conftest import write_songs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    # PEFT asks the model by a name that transformers is about to drop.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

ROOT = Path(__file__).parent
CASES = int(os.environ.get("SONGGEN_MALFORMED_CASES", "100"))
REPORT = os.environ.get("SONGGEN_MALFORMED_REPORT")

HOSTILE_WORDS = [
    "", "-1", "0", "1", "1e9", "nan", "inf", "-inf", "10000000000", "many", "3.5", "0x10", "a,b",
    "1,2,3", ".", "..", "no/such/place", "\x01", "☃" * 50, "true", "None", "a/b", "a" * 300, "end",
    "songgen-mini/none", "file.txt", "config.json/x",
]  # fmt: skip

OPTIONS_FILE = """\
learning_rate: 1.0e-4
per_device_train_batch_size: 2
max_steps: 4
warmup_steps: 0
text_dropout: 0.1
guided_attention_layers: [0, 1]
freeze: [text_encoder]
lr_scheduler_type: cosine
save_strategy: "no"
bf16: false
optimizer: adamw
seed: 5
"""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Args:
        files: patterns of the files of which one is damaged.
        run: reads the folder that holds the damaged file.
        make: name of the folder's fixture.
        head: damage the first bytes only, which hold the header.
        names: what a clear message may name instead of the file or its folder.
        intact: exit status of ``run`` with intact files.
    """

    make: str
    files: tuple[str, ...]
    run: Callable[[Path, random.Random], object]
    head: int | None = None
    names: tuple[str, ...] = ("config.json",)
    intact: int = 0


def command(*words: object) -> int:
    """Run a command of the program."""
    from songgen_hf.cli import main

    return main([str(word) for word in words])


def library(call: Callable[[], object]) -> int:
    """Run a function of the package; errors are shown as a command shows them."""
    from songgen_hf.cli import parser, run_command

    step = SimpleNamespace(
        NEEDS_MODELS=True, run=lambda options: call() and None, __doc__="", OPTIONS=None
    )
    step.add_arguments = lambda parser: None
    sys.modules["tests.malformed_step"] = step
    parser.COMMANDS["step"] = ("tests.malformed_step", "")
    return run_command(["step"])


SING = ("--lyrics", "la", "--seed", 3, "--max-seconds", 0.1, "--device", "cpu", "--quiet")


def sing(folder: Path, draw: random.Random, *flags: object) -> int:
    model = flags if "--model" in flags else ("--model", folder, *flags)
    return command("generate", "folk", *SING, "--out", folder / "song.wav", *model)


def sing_masked(folder: Path, draw: random.Random) -> int:
    out = folder / "song.wav"
    words = ("--seed", 3, "--seconds", 0.1, "--steps", 2, "--device", "cpu", "--quiet")
    return command("generate", "folk", *words, "--model", folder, "--out", out)


def sing_with_adapter(folder: Path, draw: random.Random) -> int:
    return sing(folder, draw, "--model", folder / "model", "--adapter", folder / "adapter")


def judge(folder: Path, draw: random.Random) -> int:
    from songgen_hf.evaluation.judges.loading import Judges

    noise = [np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)]

    def call() -> None:
        judges = Judges.load(folder)
        judges.phonemes(noise)
        judges.voice(noise)

    return library(call)


def hear(folder: Path, draw: random.Random) -> int:
    (sound,) = folder.glob("sound.*")
    model = folder / "model"
    if draw.random() < 0.5 or not (model / "tokenizer.json").is_file():
        return command("encode", sound, folder / "codes.npz", "--model", model, "--device", "cpu")
    return sing(folder, draw, "--model", model, "--voice", sound)


def decode(folder: Path, draw: random.Random) -> int:
    codes = min(folder.glob("codes.*"))
    return command("decode", codes, folder / "a.wav", "--model", folder / "model")


def read_codes_parquet(folder: Path, draw: random.Random) -> int:
    from songgen_hf import SongGenConfig
    from songgen_hf.training.language_model.dataset import SongDataset, read_songs
    from songgen_hf.training.options import DataOptions

    def call() -> None:
        config = SongGenConfig.from_pretrained(folder / "model")
        config.decoder.num_codebooks = 3
        songs = SongDataset(read_songs(str(folder / "codes"), "train"), config, DataOptions())
        for index in range(len(songs)):
            songs[index]

    return library(call)


def prepare(folder: Path, draw: random.Random) -> int:
    out, model = folder / "out", folder / "model"
    return command("prepare", "codes", folder / "songs", out, "--quiet", "--model", model)


def open_link(folder: Path, draw: random.Random) -> int:
    from songgen_hf.space.limits import Limits
    from songgen_hf.space.settings import MODES, Settings, read_link

    def call() -> None:
        text = (folder / "link.txt").read_bytes().decode("utf-8", errors="surrogateescape")
        if draw.random() < 0.5:
            name = draw.choice(["seconds", "seed", "top_k", "guidance", "steps", "variations"])
            text += f"&{name}={quote(draw.choice(HOSTILE_WORDS))}"
        settings, _ = read_link(dict(parse_qsl(text)), Settings(), Limits(), MODES)
        (settings or Settings()).checked(Limits())

    return library(call)


def type_command(folder: Path, draw: random.Random) -> int:
    commands = {
        "generate": ["folk", "--model", folder, *SING, "--out", folder / "song.wav"],
        "encode": [folder / "sound.wav", folder / "a.npz", "--model", folder],
        "decode": [folder / "codes.npz", folder / "a.wav", "--model", folder],
        "info": [folder],
        "init": ["--out", folder / "new"],
        "export": [folder, folder / "new"],
        "prepare codes": [folder, folder / "new", "--model", folder],
        "train lm": ["--model", folder, "--output-dir", folder / "new", "--dataset", "none"],
        "train codec": ["--data", folder / "none", "--out", folder / "new"],
        "space files": [folder / "new"],
        "evaluate prompts": [folder, "--out", folder / "new"],
        "evaluate mini": ["--songs", folder, "--judges", folder, "--out", folder / "new"],
        "card": [folder],
        "completion": ["bash"],
    }
    name = draw.choice(sorted(commands))
    words = [str(word) for word in commands[name]]
    flags = json.loads((ROOT / "cli" / "flags.json").read_text(encoding="utf-8"))[name]["flags"]
    for _ in range(draw.choice([1, 1, 2])):
        if draw.random() < 0.3:
            words[draw.randrange(len(words))] = draw.choice(HOSTILE_WORDS)
        else:
            words += [draw.choice(sorted(set(flags) - {"--debug"})), draw.choice(HOSTILE_WORDS)]
    os.chdir(folder)
    return command(*name.split(), *words)


def train(folder: Path, draw: random.Random) -> int:
    flags = ("--config", folder / "run.yaml", "--dataset", folder / "none")
    return command("train", "lm", *flags, "--model", folder / "model", "--output-dir", folder / "o")


KINDS = {
    "config": Kind("song", ("config.json",), sing),
    "config, info": Kind("song", ("config.json",), lambda folder, draw: command("info", folder)),
    "generation config": Kind("song", ("generation_config.json",), sing),
    "processor": Kind("song", ("*processor*.json", "*tokenizer*.json", "lyrics_t*/*.json"), sing),
    "weights": Kind("song", ("model.safetensors",), sing),
    "shards": Kind("shards", ("*.index.json", "*.safetensors"), sing),
    "codec": Kind("codec", ("model/*",), hear),
    "masked model": Kind("masked", ("*.json", "*/*.json", "transformer/*"), sing_masked),
    "judges": Kind("judges", ("*.json", "*/*"), judge),
    "adapter": Kind("adapter", ("adapter/adapter*",), sing_with_adapter),
    "wav": Kind("wav", ("sound.wav",), hear, head=100),
    "flac": Kind("flac", ("sound.flac",), hear, head=200),
    "ogg": Kind("ogg", ("sound.ogg",), hear),
    "mp3": Kind("mp3", ("sound.mp3",), hear),
    "codes": Kind("codes", ("codes.*",), decode),
    "codes parquet": Kind("codes_parquet", ("codes/*.parquet",), read_codes_parquet),
    "songs parquet": Kind("songs_parquet", ("songs/*.parquet",), prepare),
    "link": Kind("link", ("link.txt",), open_link, names=("",)),
    "words": Kind("words", (), type_command, intact=2),
    "training options": Kind("options", ("run.yaml",), train, names=("",), intact=2),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory, tiny_checkpoint, tiny_masked, tiny_singer):
    """Factory ``make(name)`` of folders with intact files, which cases link and damage."""
    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            fill(name, made[name])
        return made[name]

    def fill(name: str, folder: Path) -> None:
        import soundfile

        checkpoint, codec = Path(tiny_checkpoint("mixed")), tiny_singer("mixed").audio_encoder
        noise = np.random.default_rng(0).normal(0, 0.1, RATE // 4).astype(np.float32)
        if name in ("song", "words", "shards"):
            shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
        if name == "words":
            soundfile.write(folder / "sound.wav", noise, RATE)
        elif name == "shards":
            (folder / "model.safetensors").unlink()
            tiny_singer("mixed").save_pretrained(folder, max_shard_size="60KB")
        elif name == "masked":
            tiny_masked().save_pretrained(folder)
        elif name == "judges":
            tiny_judges().save(folder)
            (folder / "judges.json").write_text('{"seed": 1, "scores": {"per": 0.5}}')
        elif name == "adapter":
            write_adapter(checkpoint, folder)
        elif name in ("wav", "flac", "ogg", "mp3"):
            soundfile.write(folder / f"sound.{name}", noise, RATE)
            shutil.copytree(checkpoint, folder / "model")
        elif name == "codec":
            codec.save_pretrained(folder / "model")
            soundfile.write(folder / "sound.wav", noise, RATE)
        elif name == "codes":
            codec.save_pretrained(folder / "model")
            ids = np.random.default_rng(0).integers(0, 64, (4, 9))
            for path in (folder / "codes.npz", folder / "codes.safetensors"):
                path.write_bytes(encode_codes(path, ids, sampling_rate=RATE, num_samples=2880))
        elif name == "codes_parquet":
            shutil.copytree(checkpoint, folder / "model")
            write_songs(folder / "codes" / "train-0.parquet", [9, 12, 7])
        elif name == "songs_parquet":
            codec.save_pretrained(folder / "model")
            rows = [corpus_song(number) for number in range(2)]
            datasets.Dataset.from_list(rows).to_parquet(folder / "songs" / "train-0.parquet")
        elif name == "link":
            (folder / "link.txt").write_text(Settings(lyrics="la la", seed=3).query())
        elif name == "options":
            shutil.copytree(checkpoint, folder / "model")
            (folder / "run.yaml").write_text(OPTIONS_FILE)

    return build


def write_adapter(checkpoint: Path, folder: Path) -> None:
    """A checkpoint ``model`` and a LoRA adapter of it."""
    from transformers import AutoProcessor

    from songgen_hf import SongGenForConditionalGeneration
    from songgen_hf.training.language_model.lora import LoraOptions, add_lora

    shutil.copytree(checkpoint, folder / "model")
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint)
    processor = AutoProcessor.from_pretrained(checkpoint)
    add_lora(model, LoraOptions(lora_rank=2), processor).save_pretrained(folder / "adapter")


@pytest.mark.parametrize("name", KINDS)
def test_malformed_input_works_or_is_refused_in_one_line(name, make, tmp_path, monkeypatch):
    kind, number = KINDS[name], list(KINDS).index(name)
    outcomes: list[tuple[int, str, Outcome]] = []
    with warnings.catch_warnings():  # intact input; what it imports, forks need not import again
        warnings.simplefilter("ignore")
        shutil.copytree(make(kind.make), tmp_path / "intact")
        monkeypatch.chdir(tmp_path)
        assert kind.run(tmp_path / "intact", random.Random(0)) in (0, kind.intact)
    for seed in range(number, CASES, len(KINDS)):
        draw, folder = random.Random(seed), tmp_path / str(seed)
        shutil.copytree(make(kind.make), folder, copy_function=os.link)
        where, names = "", ()
        if kind.files:
            paths = sorted({path for pattern in kind.files for path in folder.glob(pattern)})
            chosen = draw.choice([path for path in paths if path.is_file()])
            where = str(chosen.relative_to(folder))
            names = (chosen.name, str(folder), *kind.names)
            damage(chosen, draw, kind.head)
            if kind.make == "codes":
                [path.unlink() for path in folder.glob("codes.*") if path != chosen]
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
        outcome = guarded(
            lambda folder=folder, draw=draw: kind.run(folder, draw), tmp_path / "log", names
        )
        outcomes.append((seed, where, outcome))
        shutil.rmtree(folder)
    record(name, outcomes)

    bad = [
        f"seed {seed}, {where}: {outcome.kind} in {outcome.seconds:.1f} s\n{outcome.output[-3000:]}"
        for seed, where, outcome in outcomes
        if outcome.kind not in (WORKS, REFUSED)
    ]
    assert not bad, f"{len(bad)} of {len(outcomes)}\n" + "\n".join(bad)


def record(name: str, outcomes: list[tuple[int, str, Outcome]]) -> None:
    """Add the outcomes of a kind to the report, if one is asked for."""
    if REPORT is None:
        return
    path = Path(REPORT)
    report = json.loads(path.read_text()) if path.is_file() else {}
    report[name] = {
        "counts": Counter(outcome.kind for *_, outcome in outcomes),
        "longest": round(max((outcome.seconds for *_, outcome in outcomes), default=0), 2),
        "cases": [
            [seed, where, outcome.kind, outcome.output[-400:]] for seed, where, outcome in outcomes
        ],
    }
    path.write_text(json.dumps(report, indent=1))
