"""How much of a new voice an adapter has learned: songs before and after, judged.

    python benchmarks/learn_a_voice.py ADAPTER --songs NEW_VOICE --others CORPUS --judges JUDGES
                                       [--model songgen-mini] [--split validation] [--seeds 2]

NEW_VOICE is a rendered corpus of one singer, CORPUS one of the singers that the model was trained
on. The captions and lyrics of a split that the adapter was not trained on are sung by the model
alone, by the model with three seconds of the voice, and with the adapter. A song counts as
right (`voice_match`) if the judge finds its voice nearer to another true song of the new singer
than to a true song of another singer of the same gender. `true` judges true songs likewise: the
most that can be had. The losses are the held-out ones of the adapter's own run. The last line is
JSON. See docs/lora.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from transformers import pipeline

from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.judges.log_mels import SAMPLING_RATE
from songgen_hf.evaluation.metrics.bootstrap import ratio_interval
from songgen_hf.evaluation.metrics.voice_similarity import voice_similarities
from songgen_hf.evaluation.protocol.growing_cache import growing_cache
from songgen_hf.evaluation.protocol.prompts import corpus_rows, singing_start
from songgen_hf.pipelines.adapters import load_adapters
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

COLUMNS = ("vocal", "captions", "lyrics", "gender", "voice_id", "words", "duration")


def references(rows: list[dict], others: list[dict], *, seed: int) -> tuple[list, list]:
    """For each row a vocal of another song of its singer, and one of another singer.

    The other singer has the same gender, where the corpus has such songs.
    """
    random = np.random.default_rng(seed)
    own = [read_sound(rows[(index + 1) % len(rows)], "vocal") for index in range(len(rows))]
    foreign = []
    for row in rows:
        different = [other for other in others if other["voice_id"] != row["voice_id"]]
        alike = [other for other in different if other["gender"] == row["gender"]]
        pool = alike or different
        foreign.append(read_sound(pool[random.integers(len(pool))], "vocal"))
    return own, foreign


def sing_all(sing, rows: list[dict], *, seeds: int, max_seconds: float, with_voice: bool) -> list:
    """float32 [S] of every row with every seed: the vocal track, or the mixture of mixed models."""
    voice = {}
    if with_voice:
        given = [rows[index - 1] for index in range(len(rows))]
        voice["reference_voice"] = [(read_sound(row, "vocal"), SAMPLING_RATE) for row in given]
        voice["voice_start"] = [singing_start(row) for row in given]
    songs = []
    for seed in range(seeds):
        songs += sing(
            [row["captions"][0] for row in rows],
            [row["lyrics"] for row in rows],
            seed=1000 * seed,
            max_seconds=max_seconds,
            batch_size=len(rows),
            past_key_values=growing_cache(),
            **voice,
        )
    return [song["audio" if song["vocal"] is None else "vocal"][0] for song in songs]


def score(judges: Judges, waveforms: list, own: list, foreign: list) -> dict:
    """Share of songs nearer to the new voice, mean cosines, 95 % interval of the share.

    Args:
        judges: with a song classifier.
        waveforms: songs, as many rounds of them as there are seeds.
        own: true vocals of the new singer, one for each song of a round.
        foreign: true vocals of other singers, likewise.
    """
    rounds = len(waveforms) // len(own)
    right = voice_similarities(judges, waveforms, own * rounds)
    wrong = voice_similarities(judges, waveforms, foreign * rounds)
    matches = (right > wrong).astype(float)
    groups = list(range(len(own))) * rounds  # songs of one prompt are drawn together
    return {
        "voice_match": float(matches.mean()),
        "voice_match_interval": ratio_interval(matches, seed=0, groups=groups),
        "voice_similarity": float(right.mean()),
        "voice_similarity_other": float(wrong.mean()),
        "songs": len(waveforms),
    }


def losses(adapter: Path) -> dict[str, float]:
    """Held-out loss before the first step and after the last, from the adapter's run."""
    path = adapter / "trainer_state.json"
    if not path.is_file():
        return {}
    history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    found = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    return {"loss_before": found[0], "loss_after": found[-1]} if found else {}


def measure(arguments: argparse.Namespace) -> dict:
    """Everything that is printed."""
    rows = corpus_rows(arguments.songs, arguments.split, columns=COLUMNS)
    others = corpus_rows(arguments.others, arguments.split, columns=COLUMNS)
    judges = Judges.load(arguments.judges)
    own, foreign = references(rows, others, seed=arguments.seed)
    sing = pipeline(
        "text-to-song",
        model=find_checkpoint(arguments.model),
        device=arguments.device,
        pipeline_class=TextToSongPipeline,
    )
    settings = {"seeds": arguments.seeds, "max_seconds": arguments.max_seconds}
    started = time.perf_counter()
    found = {"true": score(judges, [read_sound(row, "vocal") for row in rows], own, foreign)}
    for name, with_voice in (("before", False), ("before, with the voice given", True)):
        songs = sing_all(sing, rows, with_voice=with_voice, **settings)
        found[name] = score(judges, songs, own, foreign)
    load_adapters(sing.model, arguments.adapter)
    for name, with_voice in (("after", False), ("after, with the voice given", True)):
        songs = sing_all(sing, rows, with_voice=with_voice, **settings)
        found[name] = score(judges, songs, own, foreign)
    return {
        "model": arguments.model,
        "adapter": arguments.adapter,
        "voices": sorted({row["voice_id"] for row in rows}),
        "seconds": round(time.perf_counter() - started, 1),
        **losses(Path(arguments.adapter)),
        "rows": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("adapter")
    parser.add_argument("--model", default="songgen-mini")
    parser.add_argument("--songs", required=True)
    parser.add_argument("--others", required=True)
    parser.add_argument("--judges", required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the other singers")
    parser.add_argument("--max-seconds", type=float, default=12.0)
    parser.add_argument("--device", default="cpu")
    report = measure(parser.parse_args())
    print(f"{'':<30}{'match':>7}  {'95 %':^13}{'similarity':>11}{'to another':>12}")
    for name, row in report["rows"].items():
        low, high = row["voice_match_interval"]
        print(
            f"{name:<30}{row['voice_match']:7.2f}  {low:5.2f} - {high:4.2f} "
            f"{row['voice_similarity']:11.3f}{row['voice_similarity_other']:12.3f}"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
