"""Tests of edits with autoregressive models: what is kept, takes, recordings and errors."""

import math

import numpy as np
import pytest
import torch

from songgen_hf.pipelines.editing import CROSSFADE_SECONDS, KnownSong, spliced
from songgen_hf.pipelines.song_edges import song_waveforms
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

RATE, HOP = 16000, 320
FADE = round(CROSSFADE_SECONDS * RATE)
SETTINGS = {"do_sample": True, "suppress_tokens": list(range(1025, 1088))}
PATTERNS = ("mixed_pro", "parallel_A_V", "interleaving_V_A")


@pytest.fixture
def sing(tiny_singer, tiny_processor):
    def build(pattern="parallel_std"):
        return TextToSongPipeline(model=tiny_singer(pattern), processor=tiny_processor)

    return build


def a_song(pipe, frames=15):
    return pipe("folk", lyrics="la la", seed=1, seconds=frames / 50, **SETTINGS)


def changed_frames(one, other):
    """Frames in which the codes of any track differ."""
    return np.flatnonzero((one["codes"] != other["codes"]).any(axis=(0, 1))).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_region_is_generated_again_and_all_other_samples_stay(sing, pattern):
    pipe = sing(pattern)
    song = a_song(pipe)

    edited = pipe("folk", lyrics="la la", seed=5, song=song, regions=(0.1, 0.2), **SETTINGS)

    assert set(changed_frames(song, edited)) <= set(range(5, 10)) and changed_frames(song, edited)
    assert edited["audio"].shape == song["audio"].shape
    for name in ("audio", "vocal", "accompaniment"):
        if song[name] is not None:
            same = song[name] == edited[name]
            assert same[:, : 5 * HOP].all() and same[:, 10 * HOP :].all()
            assert not same[:, 5 * HOP + FADE : 10 * HOP - FADE].all()


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["accompaniment", "vocal"])
@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_a_track_is_kept_and_the_other_one_is_generated_to_it(sing, pattern, kept):
    pipe = sing(pattern)
    song = a_song(pipe)

    edited = pipe("folk", lyrics="oh no", seed=5, song=song, keep_track=kept, **SETTINGS)

    row = ["accompaniment", "vocal"].index(kept)
    assert np.array_equal(edited["codes"][row], song["codes"][row])
    assert (edited["codes"][1 - row] != song["codes"][1 - row]).mean() > 0.5
    assert np.array_equal(edited[kept], song[kept])


def test_coarse_codebooks_are_kept(sing):
    pipe = sing("mixed")
    song = a_song(pipe)

    edited = pipe("folk", seed=5, song=song, keep_codebooks=2, **SETTINGS)

    assert np.array_equal(edited["codes"][:, :2], song["codes"][:, :2])
    assert (edited["codes"][:, 2:] != song["codes"][:, 2:]).mean() > 0.5


def test_a_recorded_band_is_sung_over_and_stays_the_recording(sing):
    pipe, rng = sing("parallel_std"), np.random.default_rng(0)
    band, silence = (rng.normal(0, 0.1, 4000).astype(np.float32), np.zeros(4000, np.float32))
    song = {"accompaniment": (band, RATE), "vocal": (silence, RATE)}

    covered = pipe("folk", lyrics="la", song=song, keep_track="accompaniment", seed=1, **SETTINGS)

    assert np.array_equal(covered["accompaniment"][0], band)
    assert np.array_equal(covered["codes"][0], pipe.encode(song)[0].numpy())
    shorter = covered["audio"].shape[-1]
    assert np.array_equal(
        covered["audio"][0, : shorter - 480],
        (covered["vocal"][0, : shorter - 480] + band[: shorter - 480]),
    )


@pytest.mark.slow
def test_the_takes_are_single_draws_ranked_by_what_follows(sing):
    pipe = sing("interleaving_A_V")
    song = a_song(pipe)
    edit = {"song": song, "regions": (0.1, 0.2), **SETTINGS}

    best = pipe("folk", seed=5, **edit)

    assert [take["seed"] for take in best["takes"]] != [] and len(best["takes"]) == 4
    scores = [take["score"] for take in best["takes"]]
    assert scores == sorted(scores, reverse=True) and best["score"] == scores[0] < 0
    assert sorted(take["seed"] for take in best["takes"]) == [5, 6, 7, 8]
    alone = pipe("folk", seed=best["seed"], takes=1, **edit)
    assert np.array_equal(alone["codes"], best["codes"]) and "takes" not in alone
    # The score is that of the codes after the region, computed without a cache.
    values = pipe.model.code_log_probs(
        torch.from_numpy(best["codes"])[None], **pipe.processor(text="folk", return_tensors="pt")
    )
    assert best["score"] == pytest.approx(float(values[..., 10:].mean()), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_log_probability_of_a_code_is_that_after_the_codes_before_it(sing, pattern):
    model = sing(pattern).model
    decoder = model.config.decoder
    inputs = {"input_ids": torch.tensor([[3, 4, 1]]), "lyrics_ids": torch.tensor([[5, 6, 7]])}
    shape = (1, decoder.num_tracks, decoder.num_codebooks, 4)
    codes = torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(0))

    found = model.code_log_probs(codes, **inputs)

    ids = model.pattern.apply(
        codes, bos_token_id=decoder.bos_token_id, pad_token_id=decoder.pad_token_id
    )
    rows, steps = model.pattern.index(4)
    for step in range(1, ids.shape[-1]):
        with torch.no_grad():
            logits = model(**inputs, decoder_input_ids=ids[..., :step]).logits[:, -1]
        for track, codebook, frame in (steps == step).nonzero().tolist():
            own = logits[rows[track, codebook, frame]].log_softmax(-1)
            expected = own[codes[0, track, codebook, frame]]
            torch.testing.assert_close(found[0, track, codebook, frame], expected)


@pytest.mark.slow
def test_edits_of_a_batch_equal_single_edits(sing):
    pipe = sing("parallel_std")
    songs = [a_song(pipe), a_song(pipe, frames=12)]
    edits = {"regions": ((0.04, 0.1),), "takes": 2, **SETTINGS}

    together = pipe(["folk", "rock"], song=songs, seed=[3, 9], batch_size=2, **edits)

    for text, song, seed, edited in zip(("folk", "rock"), songs, (3, 9), together, strict=True):
        alone = pipe(text, song=song, seed=seed, **edits)
        assert np.array_equal(alone["codes"], edited["codes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regions": (0.2, 0.9)}, "inside the song of 0.30 s"),
        ({}, "not what is to be generated again"),
        ({"regions": (0, 0.1), "seconds": 1}, "give it as audio_prompt"),
        ({"regions": (0, 0.1), "max_seconds": 1}, "the length of an edited song stays"),
        ({"regions": (-1, 0.1)}, r"a region is \(-1, 0.1\): expected .* from 0 up"),
        ({"regions": (0, math.inf)}, r"a region is \(0, inf\): expected"),
        ({"regions": (0, 0.1), "takes": 0}, "takes must be an integer of at least 1: got 0"),
        ({"regions": (0, 0.1), "takes": 2, "num_return_sequences": 2}, "give one"),
        ({"keep_track": "vocal"}, "needs a model that writes two tracks"),
    ],
)
def test_wrong_edits_are_refused(sing, arguments, message):
    pipe = sing("mixed")
    song = a_song(pipe)

    with pytest.raises(ValueError, match=message) as caught:
        pipe("folk", song=song, seed=1, **SETTINGS, **arguments)

    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_regions_are_any_numbers(sing):
    pipe = sing("mixed")
    song = a_song(pipe)

    edits = [
        pipe("folk", song=song, seed=1, regions=regions, takes=np.int64(1), **SETTINGS)
        for regions in [
            (0.1, 0.2),
            np.array([0.1, 0.2]),
            (np.float32(0.1), np.float32(0.2)),
            torch.tensor([[0.1, 0.2]]),
        ]
    ]

    assert all(np.array_equal(edit["codes"], edits[0]["codes"]) for edit in edits)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [-1, 5000])
def test_codes_of_no_model_are_refused_and_not_cut_out(sing, wrong):
    pipe = sing("mixed")
    song = a_song(pipe)
    song["codes"][:, :, 4] = wrong

    with pytest.raises(ValueError, match=r"the song's codes lie in .*: expected 0 to \d+, or"):
        pipe("folk", song=song, seed=1, regions=(0.1, 0.2), takes=1, **SETTINGS)


def test_takes_need_a_song(sing):
    with pytest.raises(ValueError, match="takes are ranked by what an edit keeps: give song"):
        sing()("folk", takes=2, seed=1, **SETTINGS)


def test_edits_need_a_song(sing):
    with pytest.raises(ValueError, match="regions needs a song to edit"):
        sing()("folk", regions=(0, 1))


def brute_splice(recorded, generated, renewed, fade):
    """For each sample: the recording, the new part, or between the two within a fade."""
    kept = np.repeat(~renewed, HOP)
    return np.where(kept, recorded[: len(kept)], generated[: len(kept)])


@pytest.mark.parametrize("seed", range(8))
def test_spliced_samples_outside_of_fades_are_of_one_or_the_other(seed):
    draw = np.random.default_rng(seed)
    renewed = draw.random(9) < 0.5
    renewed[draw.integers(9)] = True
    length = 9 * HOP + (0 if renewed[-1] else 100)
    recorded = draw.normal(size=(1, length)).astype(np.float32)
    generated = draw.normal(size=(1, 9 * HOP)).astype(np.float32)

    result = spliced(recorded, generated, torch.from_numpy(renewed), HOP, 50)

    assert result.shape == recorded.shape
    expected = brute_splice(recorded[0], generated[0], renewed, 50)
    edges = np.flatnonzero(np.diff(renewed.astype(int), prepend=0, append=0)) * HOP
    near = np.zeros(9 * HOP, dtype=bool)
    for edge in edges:
        near[max(0, edge - 50) : edge + 50] = True
    assert np.array_equal(result[0, : 9 * HOP][~near], expected[~near])
    kept = np.repeat(~renewed, HOP)
    assert np.array_equal(result[0, : 9 * HOP][kept], recorded[0, : 9 * HOP][kept])
    assert np.array_equal(result[0, 9 * HOP :], recorded[0, 9 * HOP :])


def test_a_recording_that_stops_is_faded_into_the_new_part_before_its_end():
    recorded, generated = np.ones((1, HOP), np.float32), np.zeros((1, 3 * HOP), np.float32)

    result = spliced(recorded, generated, torch.tensor([False, True, True]), HOP, 50)

    assert result.shape == (1, 3 * HOP)
    assert (result[0, : HOP - 50] == 1).all() and (result[0, HOP:] == 0).all()
    assert (np.diff(result[0, HOP - 50 : HOP]) < 0).all()


@pytest.mark.parametrize("num_known", [1, 2, 10])
def test_the_fade_at_the_end_of_a_song_is_not_heard_where_it_is_continued(num_known):
    known = song_waveforms([np.ones((1, num_known * HOP), np.float32)], RATE, ended=[False])
    new = song_waveforms([np.ones((1, 15 * HOP), np.float32)], RATE, ended=[False])
    visible = torch.tensor([[8] * num_known + [0] * (15 - num_known)])
    song = KnownSong(torch.zeros(1, 8, 15, dtype=torch.long), visible, [known["audio"]])

    continued = song.keep_recorded({**new, "sampling_rate": RATE}, HOP, decode=dict)["audio"]

    assert continued[:, round(0.005 * RATE) : -round(0.03 * RATE)].min() > 0.999
