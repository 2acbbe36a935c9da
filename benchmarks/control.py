"""Measurements of the controls of generation on songgen-mini, for docs/control.md.

    python benchmarks/control.py best-of --judge RECOGNIZER [--songs FOLDER] [--prompts 30] ...

`best-of`: the phoneme error rate of the take that the listener ranks first, of N takes, and of one
draw (the mean over all takes), both by a recognizer that did not rank. The songs sing the first
line of the prompts of the evaluation. They are kept in a folder: an interrupted run goes on.

    python benchmarks/control.py by-line --judge RECOGNIZER [--songs FOLDER] [--prompts 12] ...

`by-line`: two lines sung as the best of N whole songs, and as the best of 4 line by line, with as
many sampled seconds: N is the number of takes that comes nearest to those of the lines.

    python benchmarks/control.py sing-over CORPUS --prompts FILE [--judge RECOGNIZER] [--count 16]
                                           [--best-of N]

`sing-over`: the vocal that is sung to a given band (`keep_track="accompaniment"`): the correlation
of its pitch classes with those of its band and of the bands of all other songs, the score of its
key, the same of the true vocals, and with a judge the phoneme error rate against free generation.
The bands are those of a rendered corpus.

    python benchmarks/control.py prompt-length CORPUS --judges JUDGES [--count 12] ...

`prompt-length`: whether a continuation of a recording follows the text or the recording, for texts
that ask for the other gender and another tempo, by the length of the recording that is given. The
recordings are those of a rendered corpus and begin with the first sung word.

    python benchmarks/control.py memory [--models NAME ...] [--lengths 20 180]

`memory`: the peak memory of a process that generates a whole song (`whole_song`), by its length.

The last line of each measurement is JSON.
"""

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.embedded import RECOGNIZER_NAME
from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.checkpoints.take_listeners import take_listener
from songgen_hf.data.corpus.rows import read_songs, read_sound
from songgen_hf.data.listening.key import chroma, correlation, estimate_key
from songgen_hf.data.listening.spelling import lyrics_words
from songgen_hf.data.listening.tempo import estimate_tempo
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.metrics.band_agreement import key_agreement
from songgen_hf.evaluation.metrics.bootstrap import bootstrap, grouped_ratio
from songgen_hf.evaluation.protocol.prompts import Prompt, corpus_rows, read_prompts
from songgen_hf.files import write_files
from songgen_hf.pipelines.best_of import rank_takes

PROMPTS_TOGETHER = 5
VOCALS_TOGETHER = 16
SOUNDS = ("audio", "vocal", "accompaniment")
OTHER_GENDER = {"male": "female", "female": "male"}


def draw_takes(
    pipe: Any, prompts: list[Prompt], folder: Path, *, takes: int, seconds: float, lines: int = 1
) -> list[list[dict[str, Any]]]:
    """Return the takes of each prompt's first lines, which are generated if the folder lacks them.

    Prompt ``i`` has the seeds from ``takes * i``.
    """
    paths = [folder / f"{prompt.id}.npz" for prompt in prompts]
    missing = [place for place, path in enumerate(paths) if not path.is_file()]
    for first in range(0, len(missing), PROMPTS_TOGETHER):
        places = missing[first : first + PROMPTS_TOGETHER]
        requests = [
            {
                "text": prompts[place].text,
                "lyrics": first_line(prompts[place], lines),
                "seed": takes * place,
            }
            for place in places
        ]
        songs = pipe(
            requests,
            batch_size=len(requests),
            num_return_sequences=takes,
            max_seconds=seconds,
        )
        for place, drawn in zip(places, songs, strict=True):
            buffer = io.BytesIO()
            arrays = {f"{name}{i}": song[name] for i, song in enumerate(drawn) for name in SOUNDS}
            np.savez(buffer, seeds=[song["seed"] for song in drawn], **arrays)
            write_files({paths[place]: buffer.getvalue()})
            print(f"{prompts[place].id}: {takes} takes", flush=True)
    return [_read_takes(path, pipe.model.config.sampling_rate) for path in paths]


def _read_takes(path: Path, rate: int) -> list[dict[str, Any]]:
    with np.load(path) as file:
        return [
            {
                **{name: file[f"{name}{place}"] for name in SOUNDS},
                "sampling_rate": rate,
                "seed": int(seed),
            }
            for place, seed in enumerate(file["seeds"])
        ]


def first_line(prompt: Prompt, lines: int = 1) -> str:
    """The first line of a prompt's lyrics, or several."""
    return "\n".join(prompt.lyrics.splitlines()[:lines])


def error_rates(rates: np.ndarray, scores: np.ndarray, lengths: np.ndarray) -> dict[str, Any]:
    """Return the error rates of one draw and of the best take, and their difference.

    Args:
        rates: [prompts, takes], the phoneme error rates by the recognizer that judges.
        scores: [prompts, takes], the scores by which takes are ranked.
        lengths: [prompts], the phonemes of the lyrics.
    Returns:
        ``one_draw``, ``best`` and ``gain`` with 95 % bootstrap intervals over prompts, in percent,
        and ``least``, the rate of the takes that the judge itself would choose.
    """
    best = rates[np.arange(len(rates)), scores.argmax(axis=1)]
    columns = {"one_draw": rates.mean(axis=1), "best": best, "least": rates.min(axis=1)}
    columns["gain"] = columns["one_draw"] - best
    found = {}
    for name, values in columns.items():
        statistic, count = grouped_ratio(values * lengths, lengths)
        interval = bootstrap(statistic, count, seed=0)
        percent = [statistic(np.arange(count)), *interval]
        found[name] = [round(100 * float(value), 1) for value in percent]
    return found


def best_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what ranking takes changes."""
    pipe = load_pipeline(arguments.model, device="cpu")
    prompts = read_prompts()[: arguments.prompts]
    drawn = draw_takes(
        pipe, prompts, arguments.songs, takes=arguments.best_of, seconds=arguments.seconds
    )
    rates, scores, lengths = [], [], []
    for prompt, takes in zip(prompts, drawn, strict=True):
        request = {"text": prompt.text, "lyrics": first_line(prompt), "language": "en"}
        judge = take_listener(request, str(arguments.judge))
        rates.append([judge(take)["phoneme_error_rate"] for take in takes])
        rank_takes(takes, take_listener(request, arguments.rank_by))
        scores.append([take["score"] for take in takes])
        lengths.append(sum(len(word.phonemes) for word in lyrics_words(first_line(prompt))))
    found = error_rates(np.array(rates), np.array(scores), np.array(lengths))
    for name, (value, low, high) in found.items():
        print(f"{name:<9} {value:5.1f} % ({low:.1f} to {high:.1f})")
    return {
        "model": weights_digest(pipe.model),
        "rank_by": arguments.rank_by,
        "prompts": len(prompts),
        "takes": arguments.best_of,
        "seconds": arguments.seconds,
        **found,
    }


WHOLE_TAKES = 8
"""Whole songs that are drawn of each prompt, to have as many sampled seconds as line by line."""


def by_line(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the best of whole takes with the best of takes of each line."""
    pipe = load_pipeline(arguments.model, device="cpu")
    prompts = read_prompts()[: arguments.prompts]
    length = {"seconds": arguments.seconds, "lines": 2}
    drawn = draw_takes(pipe, prompts, arguments.songs, takes=WHOLE_TAKES, **length)
    rates, scores, lengths, lined, sampled = [], [], [], [], []
    for place, (prompt, takes) in enumerate(zip(prompts, drawn, strict=True)):
        request = {"text": prompt.text, "lyrics": first_line(prompt, 2), "language": "en"}
        judge = take_listener(request, str(arguments.judge))
        rates.append([judge(take)["phoneme_error_rate"] for take in takes])
        rank_takes(takes, take_listener(request, arguments.rank_by))
        scores.append([take["score"] for take in takes])
        lengths.append(sum(len(word.phonemes) for word in lyrics_words(request["lyrics"])))
        song = _line_by_line(pipe, request, 10**6 * (place + 1), arguments)
        lined.append(judge(song)["phoneme_error_rate"])
        whole = np.mean([take["audio"].shape[-1] / take["sampling_rate"] for take in takes])
        sampled.append((song["sampled"], float(whole)))
        print(prompt.id, np.round(rates[-1], 2), round(lined[-1], 2), sampled[-1], flush=True)
    (of_lines, of_whole) = np.mean(sampled, axis=0)
    count = int(np.clip(round(of_lines / of_whole), 1, WHOLE_TAKES))
    known, ranks = np.array(rates)[:, :count], np.array(scores)[:, :count]
    best = known[np.arange(len(known)), ranks.argmax(axis=1)]
    columns = {"one_draw": np.mean(rates, axis=1), "whole": best, "by_line": np.array(lined)}
    columns["gain"] = best - columns["by_line"]
    found: dict[str, Any] = {}
    weights = np.array(lengths, dtype=float)
    for name, values in columns.items():
        statistic, number = grouped_ratio(values * weights, weights)
        interval = bootstrap(statistic, number, seed=0)
        percent = (statistic(np.arange(number)), *interval)
        found[name] = [round(100 * float(value), 1) for value in percent]
        print(f"{name:<9} {found[name][0]:5.1f} % ({found[name][1]} to {found[name][2]})")
    seconds = {"by_line": round(of_lines, 1), "whole": round(count * of_whole, 1)}
    facts = {"prompts": len(prompts), "takes": count, "sampled_seconds": seconds}
    return {"model": weights_digest(pipe.model), "rank_by": arguments.rank_by, **facts, **found}


def _line_by_line(
    pipe: Any, request: dict[str, Any], seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """A song line by line with its ``sampled`` seconds, kept in the folder of the songs."""
    path = arguments.songs / f"by-line-{seed}.npz"
    if not path.is_file():
        sampled = 0.0
        decode = pipe.model.decode_codes

        def counted(codes: Any, **options: Any) -> Any:
            nonlocal sampled
            sampled += codes.shape[0] * codes.shape[-1] / pipe.model.config.frame_rate
            return decode(codes, **options)

        pipe.model.decode_codes = counted
        try:
            own = {"max_seconds": arguments.seconds, "seed": seed, "rank_by": arguments.rank_by}
            song = pipe(request, best_of=arguments.best_of, best_of_by="line", **own)
        finally:
            del pipe.model.decode_codes
        lines = song["line_takes"]
        known = sum(line["start"] for line in lines) * arguments.best_of
        buffer = io.BytesIO()
        sounds = {name: song[name] for name in SOUNDS}
        np.savez(buffer, sampled=sampled - known, seeds=song["seed"], **sounds)
        write_files({path: buffer.getvalue()})
    with np.load(path) as file:
        song = {name: file[name] for name in SOUNDS}
        return {**song, "sampled": float(file["sampled"]), "sampling_rate": pipe.sampling_rate}


def sing_over(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure vocals that are sung to a given band."""
    pipe = load_pipeline(arguments.model, device="cpu")
    prompts = read_prompts(arguments.prompts)[: arguments.count]
    columns = ("song_id", "accompaniment", "vocal", "sampling_rate")
    songs_of = corpus_rows(arguments.corpus, arguments.split, columns=columns)
    rows = {row["song_id"]: row for row in songs_of}
    longest = round(arguments.seconds * pipe.model.config.sampling_rate)
    bands = [_cut(read_sound(rows[prompt.id], "accompaniment"), longest) for prompt in prompts]
    vocals = draw_vocals(pipe, prompts, bands, arguments.songs, arguments.best_of)
    found: dict[str, Any] = {}
    if arguments.judge is not None:
        found |= _errors_of_vocals(pipe, prompts, vocals, arguments)
    true = [_cut(read_sound(rows[prompt.id], "vocal"), longest) for prompt in prompts]
    of_bands = [chroma(band) for band in bands]
    for name, sung in (("pitch_classes", vocals), ("pitch_classes_of_true_vocals", true)):
        of_vocals = [chroma(vocal) for vocal in sung]
        found[name] = own_against_others(
            np.array([[correlation(vocal, band) for band in of_bands] for vocal in of_vocals])
        )
        print(f"{name}, correlation with the own band and others: {found[name]}")
    keys = [estimate_key(band) for band in bands]
    for name, sung in (("keys", vocals), ("keys_of_true_vocals", true)):
        scores = [key_agreement([estimate_key(vocal)] * len(keys), keys) for vocal in sung]
        found[name] = own_against_others(np.array(scores))
        print(f"{name}, score with the own band and others: {found[name]}")
    return {"model": weights_digest(pipe.model), "songs": len(prompts), **found}


def _cut(sound: np.ndarray, length: int) -> np.ndarray:
    return np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.float32)


def without_key(prompt: Prompt) -> str:
    """A description that does not name the key, which is to be heard in the band."""
    return f"{prompt.lead_instrument}, {prompt.tempo} bpm, {prompt.gender} voice"


def draw_vocals(
    pipe: Any, prompts: list[Prompt], bands: list[np.ndarray], folder: Path, best_of: int | None
) -> list[np.ndarray]:
    """Return the vocals [S] to bands [S] of one length, generated if the folder lacks them."""
    folder.mkdir(parents=True, exist_ok=True)
    rate = pipe.model.config.sampling_rate
    paths = [folder / f"{prompt.id}.npy" for prompt in prompts]
    missing = [place for place, path in enumerate(paths) if not path.is_file()]
    for first in range(0, len(missing), VOCALS_TOGETHER):
        places = missing[first : first + VOCALS_TOGETHER]
        requests = [
            {
                "text": without_key(prompts[place]),
                "lyrics": first_line(prompts[place]),
                "seed": place * (best_of or 1),
                "song": {
                    "accompaniment": (bands[place], rate),
                    "vocal": (np.zeros_like(bands[place]), rate),
                },
                "keep_track": "accompaniment",
            }
            for place in places
        ]
        songs = pipe(requests, batch_size=VOCALS_TOGETHER, best_of=best_of)
        for place, song in zip(places, songs, strict=True):
            buffer = io.BytesIO()
            np.save(buffer, song["vocal"][0])
            write_files({paths[place]: buffer.getvalue()})
        print(f"{first + len(places)} of {len(missing)} vocals", flush=True)
    return [np.load(path) for path in paths]


def own_against_others(values: np.ndarray) -> list[float]:
    """Return the mean of own pairs, that of others, their difference and its 95 % interval.

    Args:
        values: [N, N], of each vocal with each band; those of one song are on the diagonal. Songs
            are drawn with replacement, vocals and bands together; a pair of one song with itself
            is none of others.
    """
    count = len(values)
    own = np.eye(count, dtype=bool)

    def difference(drawn: np.ndarray) -> float:
        chosen, same = values[np.ix_(drawn, drawn)], own[np.ix_(drawn, drawn)]
        return float(values.diagonal()[drawn].mean() - chosen[~same].mean())

    interval = bootstrap(difference, count, seed=0)
    means = (values[own].mean(), values[~own].mean(), difference(np.arange(count)), *interval)
    return [round(float(value), 3) for value in means]


def _errors_of_vocals(
    pipe: Any, prompts: list[Prompt], vocals: list[np.ndarray], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Phoneme error rates of vocals over a band and of free generation, and their difference."""
    errors: dict[str, list[float]] = {"free": [], "sung over": []}
    lengths = []
    for place, (prompt, vocal) in enumerate(zip(prompts, vocals, strict=True)):
        line = first_line(prompt)
        request = {"text": without_key(prompt), "lyrics": line}
        judge = take_listener({**request, "language": "en"}, str(arguments.judge))
        free = pipe({**request, "seed": place}, max_seconds=arguments.seconds)
        over = {"vocal": vocal[None], "sampling_rate": pipe.sampling_rate}
        for name, song in (("free", free), ("sung over", over)):
            errors[name].append(judge(song)["phoneme_error_rate"])
        lengths.append(sum(len(word.phonemes) for word in lyrics_words(line)))
        print(f"{prompt.id}: {errors['free'][-1]:.2f} {errors['sung over'][-1]:.2f}", flush=True)
    found: dict[str, Any] = {}
    rates = {name: np.array(values) for name, values in errors.items()}
    rates["difference"] = rates["sung over"] - rates["free"]
    weights = np.array(lengths, dtype=float)
    for name, values in rates.items():
        statistic, count = grouped_ratio(values * weights, weights)
        interval = bootstrap(statistic, count, seed=0)
        found[name] = [
            round(100 * float(value), 1) for value in (statistic(np.arange(count)), *interval)
        ]
        print(f"PER, {name:<10} {found[name][0]:5.1f} % ({found[name][1]} to {found[name][2]})")
    return found


def contradiction(song: dict[str, Any]) -> tuple[str, str, float]:
    """Return a text with the other gender and another tempo, this gender and this tempo in bpm.

    The tempo is half as fast again, or two thirds, so that no octave of one is one of the other.
    """
    gender = OTHER_GENDER[song["gender"]]
    tempo = round(song["tempo"] * (1.5 if song["tempo"] < 105 else 2 / 3))
    text = (
        f"{song['genre']}, {song['mood']}, {song['lead_instrument']}, {tempo} bpm, {gender} voice"
    )
    return text, gender, tempo


def distance(tempo: float, other: float) -> float:
    """Return the distance of two tempi in octaves; half and double a tempo are the same."""
    octaves = np.log2(tempo / other)
    return float(abs(octaves - np.round(octaves)))


def prompt_length(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure whether continuations follow the text or the recording that they continue."""
    pipe = load_pipeline(arguments.model, device="cpu")
    judges = Judges.load(arguments.judges)
    rate = pipe.model.config.sampling_rate
    longest = max(arguments.lengths)
    songs: dict[str, list[dict[str, Any]]] = {gender: [] for gender in OTHER_GENDER}
    columns = ["genre", "mood", "lead_instrument", "tempo", "gender", "lyrics", "words", "duration"]
    rows = read_songs(arguments.corpus / "data" / "test-*.parquet", [*columns, *SOUNDS[1:]])
    while sum(map(len, songs.values())) < arguments.count:
        song = next(rows)
        begin = song["words"][0]["start"]
        same = songs[song["gender"]]
        if 2 * len(same) < arguments.count and song["duration"] - begin >= longest + 4:
            same.append(song)
    chosen = [song for pair in zip(*songs.values(), strict=True) for song in pair]
    asked = [contradiction(song) for song in chosen]
    sounds = []
    for song in chosen:
        first = round(song["words"][0]["start"] * rate)
        sounds.append({name: song[name][first:] for name in SOUNDS[1:]})

    def judge(vocals: list[Any], bands: list[Any]) -> dict[str, list[float]]:
        """Whether each song has the gender of the text, and a tempo nearer to that of the text."""
        genders = judges.gender(vocals)
        tempi = [estimate_tempo(band) for band in bands]
        return {
            "gender": [float(heard == text[1]) for heard, text in zip(genders, asked, strict=True)],
            "tempo": [
                float(distance(heard, text[2]) < distance(heard, song["tempo"]))
                for heard, text, song in zip(tempi, asked, chosen, strict=True)
            ],
        }

    cut = round(arguments.seconds * rate)
    following = {"recording": judge(*([one[name][-cut:] for one in sounds] for name in SOUNDS[1:]))}
    for length in arguments.lengths:
        first = round(length * rate)
        continued = draw_continuations(
            pipe,
            [
                {
                    "text": text,
                    "lyrics": song["lyrics"],
                    "audio_prompt": {name: (sound[:first], rate) for name, sound in one.items()},
                    "seconds": arguments.seconds,
                    "seed": place,
                }
                for place, ((text, _, _), song, one) in enumerate(
                    zip(asked, chosen, sounds, strict=True)
                )
            ],
            arguments.songs / f"{length:g}.npz",
        )
        following[f"{length:g} s"] = judge(
            *([song[name][0, first:] for song in continued] for name in SOUNDS[1:])
        )
    found = {}
    for name, scores in following.items():
        for measure, values in scores.items():
            statistic, count = grouped_ratio(values)
            interval = bootstrap(statistic, count, seed=0)
            percent = [100 * float(one) for one in (statistic(np.arange(count)), *interval)]
            found[f"{measure} after {name}"] = [round(value, 1) for value in percent]
            print(f"{measure} after {name:<10} {percent[0]:5.1f} % of the text", percent[1:])
    return {"model": weights_digest(pipe.model), "count": len(chosen), **found}


def draw_continuations(
    pipe: Any, requests: list[dict[str, Any]], path: Path
) -> list[dict[str, np.ndarray]]:
    """Return the tracks of the songs of some requests, generated if there is no such file."""
    if not path.is_file():
        songs = pipe(requests, batch_size=len(requests))
        arrays = {f"{name}{i}": song[name] for i, song in enumerate(songs) for name in SOUNDS[1:]}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_files({path: buffer.getvalue()})
        print(f"{path.stem} s: {len(requests)} continuations", flush=True)
    with np.load(path) as file:
        return [{name: file[f"{name}{i}"] for name in SOUNDS[1:]} for i in range(len(requests))]


WHOLE_LYRICS = """[verse 10s]
The river runs to the sea and I will follow
[inst 10s]
"""


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the peak memory in MB by model and seconds; each is a process of its own."""
    if len(arguments.models) == len(arguments.lengths) == 1:
        return _peak_of(arguments.models[0], arguments.lengths[0])
    found: dict[str, Any] = {}
    for model in arguments.models:
        for seconds in arguments.lengths:
            command = [sys.executable, __file__, "memory", "--models", model]
            run = subprocess.run(
                [*command, "--lengths", str(seconds)], check=True, capture_output=True, text=True
            )
            found.setdefault(model, {})[f"{seconds:g}"] = json.loads(run.stdout.splitlines()[-1])
            print(model, f"{seconds:g} s", found[model][f"{seconds:g}"], flush=True)
    return found


def _peak_of(model: str, seconds: float) -> dict[str, Any]:
    """Generate a song of ``seconds``, a multiple of 20, in this process."""
    import torch

    torch.set_num_threads(1)
    pipe = load_pipeline(model)
    # Windows of one length at both lengths of song: all sections have 10 s.
    lyrics = WHOLE_LYRICS * round(seconds / 20)
    song = pipe.whole_song("folk, female voice", lyrics, seed=1, window=16)
    status = Path("/proc/self/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "seconds": song["audio"].shape[-1] / song["sampling_rate"],
        "peak_mb": round(int(peak) / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="MEASUREMENT")
    ranking = commands.add_parser("best-of", help="phoneme error rates of ranked takes")
    ranking.set_defaults(measure=best_of)
    ranking.add_argument("--model", default="songgen-mini/interleaving_A_V")
    ranking.add_argument("--judge", type=Path, required=True, help="folder of a recognizer")
    ranking.add_argument("--rank-by", default=RECOGNIZER_NAME, help="default recognizer-mini")
    ranking.add_argument("--songs", type=Path, default=Path("takes"), help="folder of the takes")
    ranking.add_argument("--prompts", type=int, default=30, help="number of prompts (default 30)")
    ranking.add_argument("--best-of", type=int, default=4, help="takes of a prompt (default 4)")
    ranking.add_argument("--seconds", type=float, default=5.0, help="longest song (default 5)")
    lines = commands.add_parser("by-line", help="best of N of whole songs and line by line")
    lines.set_defaults(measure=by_line)
    lines.add_argument("--model", default="songgen-mini/interleaving_A_V")
    lines.add_argument("--judge", type=Path, required=True, help="folder of a recognizer")
    lines.add_argument("--rank-by", default=RECOGNIZER_NAME, help="default recognizer-mini")
    lines.add_argument("--songs", type=Path, default=Path("by-line"), help="folder of the songs")
    lines.add_argument("--prompts", type=int, default=12, help="number of prompts (default 12)")
    lines.add_argument("--best-of", type=int, default=4, help="takes of a line (default 4)")
    lines.add_argument("--seconds", type=float, default=9.0, help="longest song (default 9)")
    covering = commands.add_parser("sing-over", help="vocals that are sung to a given band")
    covering.set_defaults(measure=sing_over)
    covering.add_argument("corpus", type=Path, help="folder of a rendered corpus")
    covering.add_argument("--model", default="songgen-mini/interleaving_A_V")
    covering.add_argument("--prompts", type=Path, required=True, help="prompts of its songs")
    covering.add_argument("--split", default="validation")
    covering.add_argument("--judge", type=Path, help="folder of a recognizer (default: none)")
    covering.add_argument("--songs", type=Path, default=Path("sung-over"), help="their folder")
    covering.add_argument("--best-of", type=int, help="takes of a vocal (default: one draw)")
    covering.add_argument("--count", type=int, default=16, help="number of songs (default 16)")
    covering.add_argument("--seconds", type=float, default=6.0, help="length (default 6)")
    length = commands.add_parser("prompt-length", help="text against the recording continued")
    length.set_defaults(measure=prompt_length)
    length.add_argument("corpus", type=Path, help="folder of a rendered corpus")
    length.add_argument("--model", default="songgen-mini/interleaving_A_V")
    length.add_argument("--judges", type=Path, required=True, help="folder of trained judges")
    length.add_argument("--songs", type=Path, default=Path("continued"), help="folder of the songs")
    length.add_argument("--count", type=int, default=12, help="recordings, even (default 12)")
    length.add_argument(
        "--lengths", type=float, nargs="+", default=[0.5, 1.0, 2.0, 4.0], help="seconds given"
    )
    length.add_argument("--seconds", type=float, default=4.0, help="seconds added (default 4)")
    peaks = commands.add_parser("memory", help="peak memory of whole songs by their length")
    peaks.set_defaults(measure=memory)
    peaks.add_argument(
        "--models",
        nargs="+",
        default=["songgen-mini/masked", "songgen-mini/interleaving_A_V"],
        help="checkpoints (default: both kinds of songgen-mini)",
    )
    peaks.add_argument(
        "--lengths", type=float, nargs="+", default=[20.0, 180.0], help="seconds, multiples of 20"
    )
    arguments = parser.parse_args()
    print(json.dumps(arguments.measure(arguments)))


if __name__ == "__main__":
    main()
