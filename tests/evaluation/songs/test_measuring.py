"""Measuring a folder of songs: rows, numbers of the set, and kept results."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from songgen_hf.data.listening.phonemes import PHONEMES
from songgen_hf.evaluation.backbones.vggish import VGGish
from songgen_hf.evaluation.metrics.bootstrap import bootstrap
from songgen_hf.evaluation.songs.folders import read_songs
from songgen_hf.evaluation.songs.measuring import measure_songs
from songgen_hf.evaluation.songs.options import SongsOptions
from songgen_hf.evaluation.songs.scores import pivotal_interval

from ...tools.miniature_models import (
    seeded,
    write_aesthetics,
    write_ast,
    write_clap,
    write_hubert,
    write_resemblyzer,
    write_whisper,
    write_xvectors,
)

RATE = 16000
WORDS = ["the", "river", "sings"]


def tone(pitch, *, noise=0.0, seconds):
    """A tone with vibrato, and noise."""
    times = np.arange(round(seconds * RATE)) / RATE
    random = np.random.default_rng(pitch)
    return 0.2 * np.sin(2 * np.pi * pitch * times) + noise * random.normal(size=len(times))


def write_songs(
    folder, *, noise=0.0, order=(0, 1, 2), words="the river sings", seconds=1.5, stems=False
):
    """Write three songs with vocals and descriptions; ``order`` swaps their sounds."""
    folder.mkdir()
    pitches = [(200, 300), (400, 700), (900, 1300)]
    for index, place in enumerate(order):
        backing, voice = (tone(pitch, noise=noise, seconds=seconds) for pitch in pitches[place])
        soundfile.write(folder / f"song-{index}.wav", backing + voice, RATE)
        soundfile.write(folder / f"song-{index}.vocal.wav", voice, RATE)
        if stems:
            soundfile.write(folder / f"song-{index}.accompaniment.wav", backing, RATE)
        request = {"text": "calm jazz guitar", "lyrics": words, "tempo": 100.0, "key": "C major"}
        (folder / f"song-{index}.json").write_text(json.dumps(request))
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A miniature of every model."""
    folder = tmp_path_factory.mktemp("models")
    torch.save(seeded(VGGish, 32).state_dict(), folder / "vggish.pth")
    return {
        "clap": write_clap(folder / "clap"),
        "frames": write_hubert(folder / "hubert"),
        "vggish": str(folder / "vggish.pth"),
        "tagger": write_ast(folder / "tagger"),
        "recognizer": write_whisper(folder / "whisper", WORDS, seconds=4),
        "singer": write_xvectors(folder / "singer"),
        "resemblyzer": write_resemblyzer(folder / "pretrained.pt"),
        "aesthetics": write_aesthetics(folder / "aesthetics"),
    }


@pytest.fixture
def measure(tmp_path, models):
    """Measures a folder with some of the models, with few draws."""

    def measured(generated, *names, **options):
        chosen = {name: models[name] for name in names}
        settings = {"draws": 20, "fad_draws": 4, "progress": False, "out": tmp_path / "card.json"}
        return measure_songs(SongsOptions(generated=generated, **{**settings, **chosen, **options}))

    return measured


@pytest.mark.slow
def test_equal_folders_get_the_perfect_value_of_every_metric(tmp_path, models, measure):
    songs = write_songs(tmp_path / "songs", seconds=4)  # more than 500 frames of HuBERT

    found = measure(songs, *models, reference=songs, voice_from="vocal")

    scores = {name: score.value for name, score in found.scores.items()}
    assert scores["fad_clap"] == pytest.approx(0, abs=1e-6)
    assert scores["fad_vggish"] == pytest.approx(0, abs=1e-6)
    assert scores["fad_frames"] == pytest.approx(0, abs=1e-6)
    assert scores["tag_divergence"] == pytest.approx(0, abs=1e-9)
    assert scores["singer_similarity"] == pytest.approx(1)
    assert scores["singer_similarity_resemblyzer"] == pytest.approx(1)
    assert scores["wer"] == 0 and scores.get("per", 0) == 0
    assert -1 <= scores["clap_score"] <= 1 and scores["clipped_share"] == 0
    assert scores["tempo"] in (0, 1 / 3, 2 / 3, 1)
    assert found.skipped.keys() - {"per"} == {
        "fad_clap_infinity",
        "fad_vggish_infinity",
    }, "too few windows"
    assert abs(scores["fad_frames_infinity"]) < 1
    for name, score in found.scores.items():
        assert score.n == 3, name
        if score.interval is not None and not name.startswith("fad"):
            assert score.interval[0] <= score.value + 1e-9 <= score.interval[1] + 2e-9, name
    assert [row["heard"] for row in found.rows] == ["the river sings"] * 3


@pytest.mark.slow
def test_noise_and_swapped_songs_make_every_distance_larger(tmp_path, measure):
    names = ("frames", "vggish", "tagger", "singer")
    true = write_songs(tmp_path / "true")
    found = [
        measure(folder, *names, reference=true, voice_from="vocal").scores
        for folder in (
            true,
            write_songs(tmp_path / "quiet", noise=0.01),
            write_songs(tmp_path / "loud", noise=0.3),
        )
    ]
    swapped = measure(
        write_songs(tmp_path / "swapped", order=(1, 2, 0)), *names, reference=true,
        voice_from="vocal",
    ).scores  # fmt: skip

    for name in ("fad_frames", "fad_vggish", "tag_divergence"):
        values = [scores[name].value for scores in found]
        assert values[0] < values[1] < values[2], name
    voices = [scores["singer_similarity"].value for scores in found]
    assert voices[0] > voices[1] and voices[0] > voices[2]
    assert swapped["singer_similarity"].value < 1 - 1e-6
    assert swapped["tag_divergence"].value > 0
    assert swapped["fad_frames"].value == pytest.approx(0, abs=1e-6), "a set has no order"


@pytest.mark.slow
def test_cut_words_raise_the_word_error_rate(tmp_path, measure):
    rates = []
    for index, words in enumerate(("the river sings", "the river sings to me", "nothing")):
        folder = write_songs(tmp_path / str(index), words=words)
        rates.append(measure(folder, "recognizer", language="de", normalizer="basic").scores)

    assert [round(scores["wer"].value, 3) for scores in rates] == [0, 0.4, 3]
    assert "per" not in rates[0]


@pytest.mark.debian
def test_the_embedded_recognizer_hears_phonemes_alone(tmp_path, measure):
    found = measure(write_songs(tmp_path / "songs"), recognizer="recognizer-mini")

    # Tones are no words: nothing or little is heard, and every phoneme of the lyrics is missed.
    assert 0.7 < found.scores["per"].value and found.scores["per"].n == 3
    assert found.skipped["wer"].startswith("the recognizer hears phonemes")
    assert found.settings["recognizer"]["model"] == "recognizer-mini"
    assert set(" ".join(row["heard"] for row in found.rows).split()) <= set(PHONEMES)


@pytest.mark.debian
def test_the_phoneme_error_rate_compares_pronunciations(tmp_path, measure):
    same = measure(write_songs(tmp_path / "same", words="The River... sings"), "recognizer")
    other = measure(write_songs(tmp_path / "other", words="the rover sings"), "recognizer")

    assert same.scores["per"].value == 0
    assert 0 < other.scores["per"].value < other.scores["wer"].value


@pytest.mark.slow
def test_results_are_kept_and_only_missing_or_damaged_ones_are_computed_again(tmp_path, measure):
    songs = write_songs(tmp_path / "songs")
    kept = tmp_path / "card.cache"
    first = measure(songs, "vggish", reference=songs)
    files = {path: path.stat().st_mtime_ns for path in kept.rglob("*.npz")}
    assert len(files) == 6, "three measurements, and three results for both folders"

    lost, damaged, *others = sorted(files)
    lost.unlink()
    damaged.write_bytes(b"PK")
    for path in (tmp_path / "songs").glob("song-0*"):
        path.rename(path.with_name(path.name.replace("song-0", "renamed")))
    second = measure(songs, "vggish", reference=songs)

    assert second.scores == first.scores
    assert {path for path in kept.rglob("*.npz")} == set(files)
    assert all(path.stat().st_mtime_ns == files[path] for path in others)
    assert damaged.stat().st_size > 2
    measure(songs, "vggish", reference=songs, loudness=-20.0)
    assert len(list(kept.rglob("*.npz"))) == 9, "another loudness is heard again"


def test_models_hear_songs_of_equal_loudness(tmp_path, measure):
    songs = write_songs(tmp_path / "songs")
    (tmp_path / "quiet").mkdir()
    for path in (tmp_path / "songs").glob("song-?.wav"):
        waveform, rate = soundfile.read(path)
        soundfile.write(tmp_path / "quiet" / path.name, 0.25 * waveform, rate, subtype="FLOAT")

    equal = measure(str(tmp_path / "quiet"), "vggish", reference=songs).scores
    other = measure(str(tmp_path / "quiet"), "vggish", reference=songs, normalize=False).scores

    assert equal["fad_vggish"].value < other["fad_vggish"].value / 100
    assert equal["loudness"].value == other["loudness"].value


def test_requests_of_a_file_replace_those_beside_the_songs(tmp_path, measure):
    songs = write_songs(tmp_path / "songs")
    prompts = tmp_path / "prompts.json"
    entries = [{"id": f"song-{index}", "voice": "voice.wav"} for index in range(3)]
    prompts.write_text(json.dumps({"prompts": entries}))
    shutil.copy(tmp_path / "songs" / "song-0.vocal.wav", tmp_path / "voice.wav")

    found = measure(songs, "singer", prompts=prompts, voice_from="vocal")

    similarities = [row["singer_similarity"] for row in found.rows]
    assert similarities[0] == pytest.approx(1) and similarities[0] > similarities[1]
    assert "tempo" not in found.scores
    prompts.write_text(json.dumps(entries[:2]))
    with pytest.raises(ValueError, match="no prompt with the id 'song-2'"):
        measure(songs, prompts=prompts)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"tempo": "fast"}, "tempo of 'song-0': got 'fast', expected beats per minute"),
        ({"tempo": -1}, "got -1 bpm, expected a positive one"),
        ({"lyrics": ["a"]}, r"lyrics of 'song-0': got \['a'\], expected text"),
        ({"voice": "gone.wav"}, "voice of 'song-0' is not there: got 'gone.wav'"),
    ],
)
def test_a_wrong_request_is_an_error(tmp_path, entry, message):
    songs = write_songs(tmp_path / "songs", order=(0,))
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"id": "song-0", **entry}))

    with pytest.raises(ValueError, match=message):
        read_songs(songs, prompts, tmp_path / "work")


@pytest.mark.slow
def test_what_cannot_be_measured_has_a_reason(tmp_path, models, measure):
    (tmp_path / "songs").mkdir()
    silence = np.zeros(RATE // 4)
    soundfile.write(tmp_path / "songs" / "short.wav", silence, RATE)

    found = measure(str(tmp_path / "songs"), *models)

    assert found.skipped == {
        "clap_score": "no song has a description",
        "fad_clap": "no reference songs; give --reference",
        "fad_frames": "no reference songs; give --reference",
        "fad_vggish": "no reference songs; give --reference",
        "tag_divergence": "no reference song has the name of a generated song; give --reference",
        "wer": "no song has lyrics",
        "singer_similarity": "no song has a reference voice",
        "singer_similarity_resemblyzer": "no song has a reference voice",
    }
    assert found.scores["silent_share"].value == 1
    assert found.scores["loudness"].value == -70


@pytest.mark.slow
def test_a_silent_song_has_finite_scores(tmp_path, models, measure):
    songs, silence = tmp_path / "songs", np.zeros(RATE // 2)
    write_songs(songs, order=(0, 1), stems=True)
    for path in songs.glob("song-1*.wav"):
        soundfile.write(path, silence, RATE)
    reference = write_songs(tmp_path / "reference")
    names = models.keys() - {"recognizer", "frames"}

    found = measure(str(songs), *names, reference=reference, recognizer="recognizer-mini")

    assert {"aesthetics_pq", "swapped", "singer_similarity_resemblyzer"} <= found.scores.keys()
    for name, score in found.scores.items():
        assert np.isfinite(score.value), name
        assert score.n == 2, name
    assert found.rows[1]["swapped"] == 0 and found.rows[1]["per_edits"] > 0


@pytest.mark.slow
def test_exchanged_stems_turn_the_swapped_tracks_around(tmp_path, measure):
    true, exchanged = (tmp_path / name for name in ("true", "exchanged"))
    write_songs(true, stems=True)
    shutil.copytree(true, exchanged)
    for index in range(3):
        for one, other in (("vocal", "accompaniment"), ("accompaniment", "vocal")):
            shutil.copy(true / f"song-{index}.{one}.wav", exchanged / f"song-{index}.{other}.wav")

    found, turned = measure(str(true)), measure(str(exchanged))

    assert [row["swapped"] for row in found.rows] == [1 - row["swapped"] for row in turned.rows]
    assert found.scores["tempo_with_band"].value == turned.scores["tempo_with_band"].value
    assert found.settings["voice_separator"]["model"] == "separator-mini"


def test_missing_vocals_and_songs_are_errors(tmp_path, measure):
    songs = write_songs(tmp_path / "songs", order=(0,))
    (tmp_path / "songs" / "song-0.vocal.wav").unlink()

    with pytest.raises(ValueError, match="'song-0' has no vocal beside it"):
        measure(songs, "recognizer", voice_from="vocal")
    soundfile.write(tmp_path / "songs" / "song-1.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match="'song-1.wav' holds no audio"):
        measure(songs)
    with pytest.raises(FileNotFoundError, match="no folder nowhere of songs"):
        measure("nowhere")


def test_the_pivotal_interval_corrects_for_repeated_songs():
    def draw(seed):
        return np.random.default_rng(seed).normal(size=(30, 12))

    def statistic(songs):
        return lambda drawn: float(np.square(songs[drawn].mean(axis=0)).sum())

    values, highs, plain = [], [], []
    for seed in range(20):
        one = statistic(draw(seed))
        values.append(one(np.arange(30)))
        low, high = pivotal_interval(values[-1], one, 30, seed=0, draws=100)
        assert 0 <= low <= high
        highs.append(low)
        plain.append(bootstrap(one, 30, seed=0, draws=100)[0])

    # The true distance is 0: the plain interval lies above it, the pivotal one reaches it.
    assert sum(low == 0 for low in highs) > 18 and min(plain) > 0


@pytest.mark.slow
def test_songs_of_several_seeds_are_measured_by_prompt(tmp_path, measure):
    """``generated/SEED/prompt.wav``: one reference and one request for all songs of a prompt."""
    reference = write_songs(tmp_path / "reference")
    (tmp_path / "songs").mkdir()
    for seed, noise in (("0", 0.0), ("7", 0.1)):
        write_songs(tmp_path / "songs" / seed, noise=noise)
        for path in (tmp_path / "songs" / seed).glob("*.json"):
            path.unlink()
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps([{"id": f"song-{index}", "tempo": 90} for index in range(3)]))
    songs = str(tmp_path / "songs")

    found = measure(songs, "vggish", "tagger", reference=reference, prompts=prompts)

    assert [(row["prompt"], row["seed"]) for row in found.rows] == [
        (f"song-{index}", seed) for seed in (0, 7) for index in range(3)
    ]
    assert found.settings["seeds"] == [0, 7]
    assert (found.settings["num_songs"], found.settings["num_prompts"]) == (6, 3)
    divergence, distance = found.scores["tag_divergence"], found.scores["fad_vggish"]
    assert divergence.n == 6 and divergence.per_seed[0] == pytest.approx(0, abs=1e-9)
    assert divergence.value == pytest.approx(sum(divergence.per_seed.values()) / 2)
    assert distance.per_seed[0] < distance.per_seed[7] and len(distance.draws) == 4
    facts = distance.facts("fad_vggish")
    assert facts["seed_spread"] == pytest.approx(np.std(list(distance.per_seed.values()), ddof=1))
    one = measure(songs, prompts=prompts, out=tmp_path / "again.json")
    assert one.scores["tempo"].n == 6


def test_the_interval_is_over_prompts_not_over_songs(tmp_path, measure):
    """Equal songs of further seeds tell nothing new, so the interval stays as it is."""
    write_songs(tmp_path / "0")
    for seeds in ("one", "many"):
        for seed in range(1 if seeds == "one" else 3):
            shutil.copytree(tmp_path / "0", tmp_path / seeds / str(seed))

    one, many = (measure(str(tmp_path / seeds)).scores["loudness"] for seeds in ("one", "many"))

    assert (one.n, many.n) == (3, 9)
    assert many.interval == pytest.approx(one.interval)
    assert one.per_seed == {} and set(many.per_seed) == {0, 1, 2}
