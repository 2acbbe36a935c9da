"""How well an adapter has learned a new voice, measured on songs before and after its training.

    python benchmarks/learn_a_voice.py ADAPTER --songs NEW_VOICE --others CORPUS --judges JUDGES
                                       [--model songgen-mini] [--split validation] [--seeds 2]

NEW_VOICE is a rendered corpus of one voice, CORPUS one of the voices that the model was trained on.
Songs are generated from the captions and lyrics of a split that the adapter was not trained on: by
the model alone, by the model with three seconds of the voice, and by both with the adapter. A song
matches (`voice_match`) if its voice is nearer to another corpus song of the new voice than to a
corpus song of another voice of the same gender. `true` is the result of the corpus songs
themselves, which is an upper bound. The losses are the held-out ones of the adapter's training. The
last line is JSON. See docs/lora.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from transformers import pipeline

from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.data.listening.log_mels import SAMPLING_RATE
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.metrics.bootstrap import ratio_interval
from songgen_hf.evaluation.metrics.voice_similarity import voice_similarities
from songgen_hf.evaluation.protocol.prompts import corpus_rows, vocal_start
from songgen_hf.pipelines.adapters import load_adapters
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

COLUMNS = ("vocal", "captions", "lyrics", "gender", "voice_id", "words", "duration")


def references(rows: list[dict], others: list[dict], *, seed: int) -> tuple[list, list]:
    """Return a vocal of another song of the same voice, and one of another voice, for each row.

    The other voice has the same gender if the corpus contains such songs.
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


def generate_all(
    pipe, rows: list[dict], *, seeds: int, max_seconds: float, with_voice: bool
) -> list:
    """Generate every row with every seed; return vocals, or the mixtures of mixed models, [S]."""
    voice = {}
    if with_voice:
        given = [rows[index - 1] for index in range(len(rows))]
        voice["reference_voice"] = [(read_sound(row, "vocal"), SAMPLING_RATE) for row in given]
        voice["voice_start"] = [vocal_start(row) for row in given]
    songs = []
    for seed in range(seeds):
        songs += pipe(
            [row["captions"][0] for row in rows],
            [row["lyrics"] for row in rows],
            seed=1000 * seed,
            max_seconds=max_seconds,
            batch_size=len(rows),
            **voice,
        )
    return [song["audio" if song["vocal"] is None else "vocal"][0] for song in songs]


def score(judges: Judges, waveforms: list, own: list, foreign: list) -> dict:
    """Return the share of songs nearer to the new voice with its 95 % interval, and mean cosines.

    Args:
        judges: with a song classifier.
        waveforms: songs, in as many rounds as there are seeds.
        own: corpus vocals of the new voice, one for each song of a round.
        foreign: corpus vocals of other voices, one for each song of a round.
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
    """Return the held-out losses before the first step and after the last step of the training."""
    path = adapter / "trainer_state.json"
    if not path.is_file():
        return {}
    history = json.loads(path.read_text(encoding="utf-8"))["log_history"]
    found = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    return {"loss_before": found[0], "loss_after": found[-1]} if found else {}


def measure(arguments: argparse.Namespace) -> dict:
    """Generate and compare the songs; return what is printed."""
    rows = corpus_rows(arguments.songs, arguments.split, columns=COLUMNS)
    others = corpus_rows(arguments.others, arguments.split, columns=COLUMNS)
    judges = Judges.load(arguments.judges)
    own, foreign = references(rows, others, seed=arguments.seed)
    pipe = pipeline(
        "text-to-song",
        model=find_checkpoint(arguments.model),
        device=arguments.device,
        pipeline_class=TextToSongPipeline,
    )
    settings = {"seeds": arguments.seeds, "max_seconds": arguments.max_seconds}
    started = time.perf_counter()
    found = {"true": score(judges, [read_sound(row, "vocal") for row in rows], own, foreign)}
    for name, with_voice in (("before", False), ("before, with the voice given", True)):
        songs = generate_all(pipe, rows, with_voice=with_voice, **settings)
        found[name] = score(judges, songs, own, foreign)
    load_adapters(pipe.model, arguments.adapter)
    for name, with_voice in (("after", False), ("after, with the voice given", True)):
        songs = generate_all(pipe, rows, with_voice=with_voice, **settings)
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
    parser.add_argument("--seed", type=int, default=0, help="seed of the other voices")
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
