"""Best of N in both pipelines: takes are plain songs, and their order is that of their scores."""

import logging

import numpy as np
import pytest

from songgen_hf.checkpoints.embedded import RECOGNIZER_NAME, find_checkpoint
from songgen_hf.checkpoints.loading import load_pipeline, song_pipeline
from songgen_hf.data.listening.edit_distance import edit_distance
from songgen_hf.data.listening.log_mels import log_mels
from songgen_hf.data.listening.phoneme_recognizer import PhonemeRecognizer
from songgen_hf.data.listening.spelling import lyrics_words
from songgen_hf.modeling.audio_io import resample
from songgen_hf.pipelines import tracks_in_place
from songgen_hf.pipelines.best_of import WEIGHTS, rank_takes, signal_parts
from songgen_hf.pipelines.song_requests import MAX_SEED
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

LYRICS = "sing of a river"


@pytest.fixture(scope="module", params=["autoregressive", "masked"])
def pipe(request, tiny_checkpoint, tiny_masked):
    """A tiny pipeline with two tracks, as the package loads it."""
    if request.param == "autoregressive":
        return load_pipeline(tiny_checkpoint("interleaving_A_V"), device="cpu")
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    return song_pipeline(tiny_masked("parallel_std"), device="cpu")


@pytest.fixture(scope="module")
def generate(pipe):
    """Function (text, ...) -> songs, with few steps where the model has any."""
    few = {"num_inference_steps": 2, "progress": False} if pipe.mode == "masked" else {}

    def call(text, lyrics=None, **arguments):
        return pipe(text, **{"lyrics": lyrics, "seconds": 0.4, **few, **arguments})

    return call


def assert_same_sound(song, other):
    assert song["seed"] == other["seed"]
    for key in ("codes", "audio", "vocal", "accompaniment"):
        np.testing.assert_array_equal(song[key], other[key])


@pytest.mark.slow
def test_the_best_of_one_is_the_plain_song(generate):
    best = generate("folk", seed=5, best_of=1)

    assert_same_sound(best, generate("folk", seed=5))
    assert len(best["takes"]) == 1


@pytest.mark.debian
def test_takes_are_the_songs_of_single_draws_best_first(generate):
    best = generate("folk", LYRICS, seed=5, best_of=3)

    takes = best["takes"]
    assert sorted(take["seed"] for take in takes) == [5, 6, 7]
    for take in takes:
        assert_same_sound(take, generate("folk", LYRICS, seed=take["seed"]))
    scores = [take["score"] for take in takes]
    assert scores == sorted(scores, reverse=True)
    assert_same_sound(best, takes[0])
    assert best["score"] == scores[0]


@pytest.mark.slow
def test_counts_may_be_numbers_of_numpy(generate, pipe):
    one, two = np.int64(1), np.int64(2)

    best = generate("folk", seed=np.int64(5), best_of=two)
    songs = generate("folk", seed=5, num_return_sequences=two, batch_size=one)
    edit = {"song": songs[0], "seconds": None, "seed": 5}
    edits = [generate({"text": "folk", "keep_codebooks": two}, **edit)]
    edits += [generate("folk", keep_codebooks=count, **edit) for count in (two, 2)]

    by_seed = sorted(best["takes"], key=lambda take: take["seed"])
    for take, song in zip(by_seed, songs, strict=True):
        assert_same_sound(take, song)
    assert all(np.array_equal(one["codes"], edits[0]["codes"]) for one in edits)
    assert generate("folk", LYRICS, seed=5, retries=one)["seed"] in (5, 6)
    if pipe.mode == "masked":
        assert_same_sound(songs[0], generate("folk", seed=5, num_inference_steps=two))


@pytest.mark.slow
def test_zero_follows_the_greatest_seed(generate):
    takes = generate("folk", seed=MAX_SEED, best_of=2, batch_size=1)["takes"]
    songs = sum(generate(["folk", "rock"], seed=MAX_SEED - 1, num_return_sequences=2), [])

    assert sorted(take["seed"] for take in takes) == [0, MAX_SEED]
    assert [song["seed"] for song in songs] == [MAX_SEED - 1, MAX_SEED, 0, 1]
    assert_same_sound(songs[3], generate("rock", seed=1))


@pytest.mark.debian
def test_scores_are_those_of_a_plain_computation(generate):
    recognizer = PhonemeRecognizer.from_pretrained(find_checkpoint(RECOGNIZER_NAME))
    wanted = [phoneme for word in lyrics_words(LYRICS) for phoneme in word.phonemes]

    def plain_score(take):
        vocal = resample(take["vocal"][0], take["sampling_rate"], 16000)
        error = edit_distance(wanted, recognizer.recognize(log_mels(vocal))) / len(wanted)
        block = take["sampling_rate"] // 50
        blocks = [take["audio"][0, i : i + block] for i in range(0, take["audio"].shape[1], block)]
        blocks = [one for one in blocks if len(one) == block]
        silent = sum(np.sqrt(np.mean(one**2)) < 1e-3 for one in blocks) / len(blocks)
        return -error - silent - np.mean(np.abs(take["audio"]) > 1)

    takes = generate("folk", LYRICS, seed=5, best_of=4)["takes"]

    expected = [plain_score(take) for take in takes]
    assert [take["score"] for take in takes] == pytest.approx(expected)
    by_seed = sorted(zip(expected, takes, strict=True), key=lambda pair: pair[1]["seed"])
    ranked = sorted(by_seed, key=lambda pair: -pair[0])
    assert [take["seed"] for take in takes] == [take["seed"] for _, take in ranked]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_the_batch_size_changes_nothing(generate, batch_size):
    texts, arguments = ["folk", "rock"], {"seed": 3, "best_of": 3}

    songs = generate(texts, **arguments, batch_size=batch_size)

    for song, expected in zip(songs, generate(texts, **arguments), strict=True):
        for take, other in zip(song["takes"], expected["takes"], strict=True):
            assert_same_sound(take, other)
            assert take["score"] == pytest.approx(other["score"], abs=1e-6)
    assert [{take["seed"] for take in song["takes"]} for song in songs] == [{3, 4, 5}, {6, 7, 8}]


@pytest.mark.slow
def test_no_more_songs_are_generated_together_than_the_batch_size(tiny_checkpoint, monkeypatch):
    pipe = load_pipeline(tiny_checkpoint("mixed"), device="cpu")
    sizes = []
    plain = pipe.model.decode_codes
    monkeypatch.setattr(
        pipe.model,
        "decode_codes",
        lambda codes, **options: sizes.append(len(codes)) or plain(codes, **options),
    )

    pipe(["a", "b", "c"], seconds=0.2, seed=1, best_of=4, batch_size=3)
    pipe(["a", "b", "c"], seconds=0.2, seed=1, best_of=2, batch_size=5)
    pipe("a", seconds=0.2, seed=1, best_of=4)

    assert sizes == [3, 1] * 3 + [4, 2] + [4]


@pytest.mark.slow
def test_generators_of_inputs_give_iterators(generate):
    songs = generate((text for text in ("folk", "rock")), seed=3, best_of=2)

    assert [sorted(take["seed"] for take in song["takes"]) for song in songs] == [[3, 4], [5, 6]]


@pytest.mark.slow
def test_songs_without_lyrics_are_ranked_by_what_applies(generate):
    takes = generate("folk", seed=5, best_of=2)["takes"]

    assert [set(take["score_parts"]) for take in takes] == [
        {"silent_share", "clipped_share", "swapped"}
    ] * 2


@pytest.mark.slow
def test_a_swapped_take_comes_last_without_a_warning(generate, monkeypatch, caplog):
    margins = iter([0.9, -0.9])
    monkeypatch.setattr(tracks_in_place, "swap_margin", lambda *_: next(margins))

    with caplog.at_level(logging.WARNING):
        song = generate("folk", seed=5, best_of=2)

    assert [take["seed"] for take in song["takes"]] == [6, 5]
    assert [take["score_parts"]["swapped"] for take in song["takes"]] == [0.0, 1.0]
    assert "swap_margin" not in song
    assert not [record for record in caplog.records if "accompaniment" in record.message]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"best_of": 0}, "best_of must be an integer of at least 1: got 0"),
        ({"best_of": True}, "best_of must be an integer of at least 1: got True"),
        ({"best_of": 2, "num_return_sequences": 3}, "best_of and num_return_sequences were both"),
        ({"rank_by": "recognizer-mini"}, "nothing to rank: give best_of"),
        ({"best_of": 2, "rank_by": "maybe"}, "rank_by is 'maybe': expected recognizer-mini, or"),
        (
            {"best_of": 2, "language": "de", "lyrics": "la"},
            "recognizer-mini hears English lyrics: got .* 'de'",
        ),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(generate, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        generate("folk", **arguments)

    assert "\n" not in str(caught.value)


def test_a_pipeline_without_a_listener_says_how_to_get_one(tiny_singer, tiny_processor):
    bare = TextToSongPipeline(model=tiny_singer("mixed"), processor=tiny_processor, device="cpu")

    with pytest.raises(ValueError, match="best_of is 2, but this pipeline has no listener"):
        bare("folk", best_of=2, seconds=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("best_of", [1, 2])
def test_takes_of_an_edit_are_ranked_in_one_way(tiny_checkpoint, best_of):
    pipe = load_pipeline(tiny_checkpoint("interleaving_A_V"), device="cpu")
    song = pipe("folk", seconds=0.3, seed=1)
    edit = {"song": song, "regions": (0.1, 0.2), "seed": 4}

    best = pipe("folk", **edit, best_of=best_of)

    assert sorted(take["seed"] for take in best["takes"]) == [4, 5][:best_of]
    for take in best["takes"]:
        alone = pipe("folk", **{**edit, "seed": take["seed"]}, takes=1)
        np.testing.assert_array_equal(take["codes"], alone["codes"])
    with pytest.raises(ValueError, match="takes and .* were both given"):
        pipe("folk", **edit, best_of=best_of, takes=3)


def test_takes_to_a_given_band_are_ranked_by_their_harmony_too(generate, pipe):
    song = generate("folk", seed=1)
    band = pipe.encode(song)[0].numpy()

    best = generate("folk", song=song, keep_track="accompaniment", seed=4, best_of=2, seconds=None)

    for take in best["takes"]:
        np.testing.assert_array_equal(take["codes"][0], band)
        assert -1 <= take["score_parts"]["harmony"] <= 1
        assert take["score"] == pytest.approx(
            sum(WEIGHTS[name] * part for name, part in take["score_parts"].items())
        )


def test_masked_takes_need_seeds_and_audio(tiny_masked):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    pipe = song_pipeline(tiny_masked("parallel_std"), device="cpu")

    with pytest.raises(ValueError, match="leave generator and output_type out"):
        pipe("folk", best_of=2, output_type="codes")


def test_silent_and_clipped_shares_are_exact():
    audio = np.full((1, 1000), 0.5, np.float32)
    audio[:, :320], audio[:, -100:] = 0.0, 1.5

    parts = signal_parts({"audio": audio, "sampling_rate": 8000})

    assert parts == {"silent_share": pytest.approx(2 / 6), "clipped_share": pytest.approx(0.1)}
    empty = signal_parts({"audio": audio[:, :1], "sampling_rate": 8000})
    assert empty == {"silent_share": 1.0, "clipped_share": 0.0}


def test_equal_scores_keep_the_order_of_seeds():
    audio = np.full((1, 1000), 0.5, np.float32)
    takes = [{"audio": audio, "sampling_rate": 8000, "seed": seed} for seed in (4, 5, 6)]

    song = rank_takes(takes, lambda take: {"phoneme_error_rate": float(take["seed"] < 5)})

    assert [take["seed"] for take in song["takes"]] == [5, 6, 4]
