"""Measurements of songs that are generated to given recordings, for docs/control.md.

    python benchmarks/given_recordings.py sing-over CORPUS --prompts FILE [--judge RECOGNIZER]
                                                    [--count 16] [--best-of N]

`sing-over`: the vocal that is sung to a given band (`keep_track="accompaniment"`): the correlation
of its pitch classes with those of its band and of the bands of all other songs, the score of its
key, the same of the true vocals, and with a judge the phoneme error rate against free generation.
The bands are those of a rendered corpus.

    python benchmarks/given_recordings.py prompt-length CORPUS --judges JUDGES [--count 12] ...

`prompt-length`: whether a continuation of a recording follows the text or the recording, for texts
that ask for the other gender and another tempo, by the length of the recording that is given. The
recordings are those of a rendered corpus and begin with the first sung word.

The last line of each measurement is JSON.
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from best_takes import SOUNDS, first_line, in_percent

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.checkpoints.loading import load_pipeline
from songgen_hf.checkpoints.take_listeners import take_listener
from songgen_hf.data.corpus.rows import read_songs, read_sound
from songgen_hf.data.listening.key import chroma, correlation, estimate_key
from songgen_hf.data.listening.spelling import lyrics_words
from songgen_hf.data.listening.tempo import estimate_tempo
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.metrics.band_agreement import key_agreement
from songgen_hf.evaluation.metrics.bootstrap import bootstrap
from songgen_hf.evaluation.protocol.prompts import Prompt, corpus_rows, read_prompts
from songgen_hf.files import write_files

VOCALS_TOGETHER = 16
OTHER_GENDER = {"male": "female", "female": "male"}


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
        found[name] = in_percent(values * weights, weights)
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
            value, *interval = found[f"{measure} after {name}"] = in_percent(values)
            print(f"{measure} after {name:<10} {value:5.1f} % of the text", interval)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="MEASUREMENT")
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
    arguments = parser.parse_args()
    print(json.dumps(arguments.measure(arguments)))


if __name__ == "__main__":
    main()
