"""Generate the songs of the pages with the commands that stand beside them.

    python docs/songs.py            all songs
    python docs/songs.py NAME ...   these songs, and what they are made from
    python docs/songs.py --pages    none, but the pages are written again

The commands run in one folder, as for a reader who follows a page from its first song. The sound
files go to ``docs/audio/songs``, and the facts about them, which the pages quote, to
``docs/songs.json``: seed, length, and phoneme error rate by recognizer-mini. A page has
``<!-- song: NAME -->`` where the player, the facts and the command of a song are written.
Songs are the same for the same weights; run this again when those of songgen-mini change.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
AUDIO = ROOT / "docs" / "audio" / "songs"
FACTS = ROOT / "docs" / "songs.json"
PAGES = tuple(ROOT / "docs" / name for name in ("index.md", "edit.md", "prompts.md"))
PLACE = re.compile(r"<!-- song: (?P<name>[\w-]+) -->\n(?:.*?\n)??<!-- end of the song -->", re.S)

LYRICS = {
    "waltz.txt": "my yard hides tonight\nwe will hide the moss\nwho will throw my rain\n",
    "river.txt": "the silver river runs below the hill\n",
    "winter.txt": "the winter train is leaving in the snow\n",
    "slow.txt": "the river runs below\n",
    "crowded.txt": "the silver river and the golden water run together below the hill\n",
}
"""The files of lyrics that the commands read."""

WALTZ = (
    "This is a waltz song, with a female vocalist, 138 beats per minute, flute in the foreground."
)
FOLK = "a warm folk song, led by flute, sung by a female voice, at 100 bpm"
TWO_TRACKS = "--model songgen-mini/interleaving_A_V"
FEW_STEPS = "--mode masked --steps 16"
EDIT = f"{FEW_STEPS} --song river.codes.npz"


@dataclass(frozen=True)
class Song:
    """One song of a page.

    Args:
        text: its description.
        lyrics: name of its file of lyrics.
        settings: the other arguments of ``songgen-hf generate``, without ``--out``.
        after: songs whose files the command reads.
        tracks: whether the page has players of its tracks.
    """

    text: str
    lyrics: str
    settings: str
    after: tuple[str, ...] = ()
    tracks: bool = False

    def command(self, name: str) -> str:
        """The command that makes it, as its page shows it."""
        words = f"{self.settings} --stems" if "interleaving" in self.settings else self.settings
        if FEW_STEPS in words:
            words += " --stems"
        return (
            f"songgen-hf generate {json.dumps(self.text)} --lyrics-file {self.lyrics} "
            f"{words} --out {name}.mp3"
        )


SONGS = {
    "river": Song(FOLK, "river.txt", f"{FEW_STEPS} --seed 1 --best-of 2 --save-codes"),
    "river-passage": Song(FOLK, "river.txt", f"{EDIT} --region 2.5 4.5 --seed 2", ("river",)),
    "river-other-words": Song(
        FOLK, "winter.txt", f"{EDIT} --keep-track accompaniment --seed 3", ("river",)
    ),
    "river-other-band": Song(
        "a bold rock song, led by distorted guitar, sung by a female voice, at 100 bpm",
        "river.txt",
        f"{EDIT} --keep-track vocal --seed 4",
        ("river",),
    ),
    "river-continued": Song(
        FOLK,
        "river.txt",
        f"{FEW_STEPS} --prompt-audio river.codes.npz --seconds 3 --seed 5",
        ("river",),
    ),
    "river-passage-autoregressive": Song(
        FOLK,
        "river.txt",
        f"{TWO_TRACKS} --song river.codes.npz --region 2.5 4.5 --takes 2 --seed 6",
        ("river",),
    ),
    "waltz-few-steps": Song(WALTZ, "waltz.txt", f"{FEW_STEPS} --seed 1 --best-of 2", tracks=True),
    "waltz-two-tracks": Song(
        WALTZ, "waltz.txt", f"{TWO_TRACKS} --max-seconds 12 --seed 1 --best-of 2", tracks=True
    ),
    "waltz-mixture": Song(
        WALTZ, "waltz.txt", "--model songgen-mini/mixed_pro --max-seconds 12 --seed 1 --best-of 2"
    ),
    "female": Song("a folk song, sung by a female voice", "river.txt", f"{FEW_STEPS} --seed 1"),
    "male": Song("a folk song, sung by a male voice", "river.txt", f"{FEW_STEPS} --seed 1"),
    "lullaby": Song(
        "a tender lullaby song, led by music box, sung by a female voice, slow",
        "river.txt",
        f"{FEW_STEPS} --seed 1",
    ),
    "rock": Song(
        "a bold rock song, led by distorted guitar, sung by a female voice, fast tempo",
        "river.txt",
        f"{FEW_STEPS} --seed 1",
    ),
    "guidance-1": Song(FOLK, "river.txt", f"{FEW_STEPS} --guidance-scale 1 --seed 1"),
    "guidance-4": Song(FOLK, "river.txt", f"{FEW_STEPS} --guidance-scale 4 --seed 1"),
    "sparse": Song(FOLK, "slow.txt", f"{FEW_STEPS} --seconds 4 --seed 1"),
    "crowded": Song(FOLK, "crowded.txt", f"{FEW_STEPS} --seconds 4 --seed 1"),
    "with-voice": Song("a folk song", "river.txt", f"{FEW_STEPS} --voice voice.flac --seed 1"),
    "without-voice": Song("a folk song", "river.txt", f"{FEW_STEPS} --seed 1"),
}
TRUE = "waltz-true"
"""The rendered song of the evaluation whose description and lyrics the waltzes share."""
CORPUS = "songgen-hf corpus corpus --train-songs 0 --validation-songs 0 --test-songs 2"
ENCODE = "songgen-hf encode waltz-true.flac waltz-true.npz"
DECODE = f"songgen-hf decode waltz-true.npz {TRUE}.mp3"


def main(names: list[str]) -> None:
    """Make the songs of these names, or all, and write what the pages say about them.

    Raises:
        KeyError: for a name that is not in ``SONGS``.
    """
    if names == ["--pages"]:
        return write(json.loads(FACTS.read_text(encoding="utf-8")))
    wanted = names or [*SONGS, TRUE]
    needed = {before for name in wanted if name != TRUE for before in SONGS[name].after}
    facts = json.loads(FACTS.read_text(encoding="utf-8")) if FACTS.exists() else {}
    AUDIO.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for file, lyrics in LYRICS.items():
            Path(file).write_text(lyrics, encoding="utf-8")
        shutil.copy(ROOT / "docs" / "audio" / "voice.flac", "voice.flac")
        for name in [*(each for each in SONGS if each in needed or each in wanted), TRUE]:
            if name in SONGS:
                facts[name] = generate(name, SONGS[name])
            elif name in wanted:
                facts[name] = true_song()
            order = [*SONGS, TRUE]
            facts = {key: facts[key] for key in sorted(facts, key=order.index)}
            write(facts)
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()


def write(facts: dict[str, Any]) -> None:
    """Write the facts, and the pages that quote them."""
    from songgen_hf.files import write_files

    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    pages = {page: filled(page.read_text(encoding="utf-8"), facts) for page in PAGES}
    write_files({path: each.encode() for path, each in {FACTS: text, **pages}.items()})


def run(command: str) -> None:
    """Run a command of ``songgen-hf`` in this process."""
    from songgen_hf.cli import main as songgen

    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        status = songgen(shlex.split(command)[1:])
    if status:
        raise RuntimeError(f"exit status {status}: {command}")


def generate(name: str, song: Song) -> dict[str, Any]:
    """Generate one song, keep its sound files, and return its facts."""
    run(song.command(name))
    record = json.loads(Path(f"{name}.json").read_text(encoding="utf-8"))
    vocal = Path(f"{name}.vocal.mp3")
    files = [f"{name}.mp3"]
    if song.tracks:
        files += [f"{name}.vocal.mp3", f"{name}.accompaniment.mp3"]
    for file in files:
        shutil.copy(file, AUDIO / file)
    return {
        "files": files,
        "commands": [song.command(name)],
        "seed": record["seed"],
        "takes": len(record.get("takes") or [0]),
        "seconds": round(record["duration"], 1),
        "heard_in": "vocal" if vocal.exists() else "mixture",
        "phoneme_error_rate": error_rate(vocal if vocal.exists() else files[0], song.lyrics),
        "model": f"{record['model']} {record['provenance']['revision']}",
    }


def true_song() -> dict[str, Any]:
    """Render the true song, send it through the codec, keep both, and return the facts."""
    import datasets
    import soundfile

    from songgen_hf.data.corpus.rows import read_sound

    run(CORPUS)
    found = sorted(str(path) for path in Path("corpus", "data").glob("test-*.parquet"))
    rows = datasets.load_dataset("parquet", data_files=found, split="train", cache_dir="cache")
    row = next(row for row in rows if row["lyrics"].strip() == LYRICS["waltz.txt"].strip())
    samples, rate = read_sound(row), row["sampling_rate"]
    soundfile.write(f"{TRUE}.flac", samples, rate)
    soundfile.write(AUDIO / f"{TRUE}-rendered.mp3", samples, rate)
    soundfile.write("vocal.flac", read_sound(row, "vocal"), rate)
    run(ENCODE)
    run(DECODE)
    run("songgen-hf encode vocal.flac vocal.npz")
    run("songgen-hf decode vocal.npz vocal.wav")
    shutil.copy(f"{TRUE}.mp3", AUDIO)
    return {
        "files": [f"{TRUE}.mp3", f"{TRUE}-rendered.mp3"],
        "commands": [CORPUS, ENCODE, DECODE],
        "seconds": round(len(samples) / rate, 1),
        "heard_in": "mixture",
        "phoneme_error_rate": error_rate(f"{TRUE}.mp3", "waltz.txt"),
        "before_the_codec": error_rate(f"{TRUE}.flac", "waltz.txt"),
        "vocal_alone": error_rate("vocal.wav", "waltz.txt"),
        "vocal_before_the_codec": error_rate("vocal.flac", "waltz.txt"),
    }


def error_rate(path: str | Path, lyrics: str) -> float:
    """The phoneme error rate of a sound file by recognizer-mini."""
    import soundfile

    from songgen_hf.checkpoints.take_listeners import take_listener

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    request = {"text": "", "lyrics": Path(lyrics).read_text(encoding="utf-8"), "language": "en"}
    take = {"audio": samples.T, "sampling_rate": rate}
    return round(take_listener(request)(take)["phoneme_error_rate"], 3)


def filled(page: str, facts: dict[str, Any]) -> str:
    """The text of a page with the players of all songs that it has places for."""

    def place(match: re.Match[str]) -> str:
        name = match["name"]
        inner = player(name, facts[name]) if name in facts else ""
        return f"<!-- song: {name} -->\n{inner}<!-- end of the song -->"

    return PLACE.sub(place, page)


def player(name: str, fact: dict[str, Any]) -> str:
    """The players, the facts and the commands of one song, as Markdown."""
    labels = ["", " vocal", " accompaniment"] if name != TRUE else [" codec", " before it"]
    lines = [
        f'<audio controls preload="none" src="audio/songs/{file}" '
        f'aria-label="{name}{label}"></audio>{label}'
        for file, label in zip(fact["files"], labels, strict=False)
    ]
    words = f"{fact['seconds']:.1f} s; phoneme error rate of the {fact['heard_in']} "
    words += f"{100 * fact['phoneme_error_rate']:.0f} %"
    if "before_the_codec" in fact:
        words += f", before the codec {100 * fact['before_the_codec']:.0f} %; of the vocal alone "
        words += f"{100 * fact['vocal_alone']:.0f} %, before the codec "
        words += f"{100 * fact['vocal_before_the_codec']:.0f} %"
    else:
        seed, count = f"; seed {fact['seed']}", fact["takes"]
        picker = "by how probable what follows is" if "--takes" in fact["commands"][0] else "by it"
        words += seed + (f", picked of {count} takes {picker}" if count > 1 else "")
    commands = "<br>\n".join(f"`{command}`" for command in fact["commands"])
    return "<br>\n".join(lines) + f"<br>\n{words}.<br>\n{commands}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
