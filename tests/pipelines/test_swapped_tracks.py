"""Tests of the detection of swapped tracks."""

import logging

import numpy as np
import pytest
import torch

from songgen_hf.pipelines import tracks_in_place
from songgen_hf.pipelines.swapped_tracks import (
    SURE_MARGIN,
    exchange_tracks,
    misplaced_seconds,
    swap_margin,
    swapped_stretches,
)
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

RATE = 16000
FRAME = 320


def tone_of(track, rate):
    """A separator for which the partials of 440 Hz are the vocal."""
    spectrum = np.fft.rfft(track)
    bins = np.fft.rfftfreq(len(track), 1 / rate)
    return np.fft.irfft(np.where(np.abs(bins - 440) < 20, spectrum, 0), len(track))


@pytest.fixture(scope="module")
def tracks():
    """Twelve seconds of vocal and accompaniment; the voice begins after 4 s and rests from 7 to 8.

    The accompaniment has a soft low noise first, and from 4 s on a loud one of all frequencies.
    """
    draw = np.random.default_rng(0)
    band = 0.1 * draw.standard_normal(12 * RATE)
    low = np.convolve(band, np.ones(40) / 40, "same")
    band[: 4 * RATE] = 0.3 * low[: 4 * RATE]
    voice = 0.2 * np.sin(2 * np.pi * 440 * np.arange(12 * RATE) / RATE)
    voice[: 4 * RATE] = voice[7 * RATE : 8 * RATE] = 0
    return voice[None].astype(np.float32), band[None].astype(np.float32)


def exchanged(tracks, *stretches):
    """The tracks with some stretches of seconds exchanged."""
    voice, band = (track.copy() for track in tracks)
    for first, end in stretches:
        part = slice(round(first * RATE), round(end * RATE))
        voice[:, part], band[:, part] = tracks[1][:, part], tracks[0][:, part]
    return voice, band


def test_the_margin_is_that_of_the_whole_song(tracks):
    right, in_part, wrong = (
        swap_margin(*exchanged(tracks, *stretches), RATE, tone_of)
        for stretches in ((), [(5, 7)], [(0, 12)])
    )

    assert right < in_part < SURE_MARGIN < wrong == -right


@pytest.mark.parametrize("samples", [0, 5, 2 * RATE])
def test_silence_tells_nothing(samples):
    silent = np.zeros((1, samples), np.float32)

    assert swap_margin(silent, silent, RATE, tone_of) == 0


def test_a_swapped_song_is_warned_about(tiny_singer, tiny_processor, monkeypatch, caplog):
    song = TextToSongPipeline(
        model=tiny_singer("interleaving_A_V"), processor=tiny_processor, device="cpu"
    )
    few = {"max_seconds": 0.1, "batch_size": 3, "seed": [7, 8, 9]}
    margins = iter([SURE_MARGIN + 0.01, SURE_MARGIN - 0.01, 0.0])  # not asked for more
    monkeypatch.setattr(tracks_in_place, "swap_margin", lambda *_: next(margins))

    with caplog.at_level(logging.WARNING):
        song(["folk", "rock", "waltz"], **few)  # nothing to separate the voice with
        song.vocal_extractor = tone_of
        song(["folk", "rock", "waltz"], **few)
        song(["folk", "rock", "waltz"], check_tracks=True, **few)

    warnings = [record.getMessage() for record in caplog.records if "voice in" in record.message]
    assert warnings == [
        "The song of seed 7 has its voice in the accompaniment instead of the vocal track: give "
        "check_tracks=True (--check-tracks), or another seed."
    ]


@pytest.mark.parametrize(
    "stretches", [(), [(5.02, 12)], [(4, 12)], [(6, 9.5)], [(5, 6.5), (9, 12)], [(0, 12)]]
)
def test_the_exchanged_stretches_are_found_to_the_frame(tracks, stretches):
    found = swapped_stretches(
        *exchanged(tracks, *stretches), RATE, frame=FRAME, extract_vocal=tone_of
    )

    assert len(found) == len(stretches)
    for (first, end), (start, stop) in zip(found, stretches, strict=True):
        assert abs(first - 50 * start) <= 2
        assert (end is None) == (stop == 12)
        assert end is None or abs(end - 50 * stop) <= 2


def test_what_precedes_a_continuation_is_in_its_place(tracks):
    swapped = exchanged(tracks, (5, 12))

    found = swapped_stretches(*swapped, RATE, frame=FRAME, start=8 * 50, extract_vocal=tone_of)

    assert found == [(8 * 50, None)]
    assert not swapped_stretches(*swapped, RATE, frame=FRAME, start=600, extract_vocal=tone_of)


def test_a_loud_voice_after_an_intro_without_one_is_not_swapped(tracks):
    found = swapped_stretches(*tracks, RATE, frame=FRAME, start=4 * 50, extract_vocal=tone_of)

    assert found == []


def test_without_a_separator_the_accompaniment_before_decides(tracks):
    sung = [track[:, 4 * RATE :] for track in tracks]

    (found,) = swapped_stretches(*exchanged(sung, (4.5, 8)), RATE, frame=FRAME, start=2 * 50)

    assert abs(found[0] - 225) <= 2 and found[1] is None
    assert not swapped_stretches(*sung, RATE, frame=FRAME, start=2 * 50)


def test_codes_are_exchanged_in_stretches():
    codes = torch.arange(2 * 3 * 10).reshape(2, 3, 10)

    found = exchange_tracks(codes, [(2, 4), (8, None)])

    kept = [0, 1, 4, 5, 6, 7]
    assert torch.equal(found[..., kept], codes[..., kept])
    assert torch.equal(found[..., [2, 3, 8, 9]], codes.flip(0)[..., [2, 3, 8, 9]])


@pytest.mark.parametrize("extract_vocal", [tone_of, None])
def test_what_belongs_in_the_other_track_is_measured(tracks, extract_vocal):
    sung = [track[:, 4 * RATE :] for track in tracks]
    given = {"frame": FRAME, "extract_vocal": extract_vocal, "start": 100}

    assert misplaced_seconds(*sung, RATE, **given) == 0
    assert misplaced_seconds(*exchanged(sung, (6, 8)), RATE, **given) == pytest.approx(2, abs=0.1)
    if extract_vocal is not None:  # what is in both tracks cannot be exchanged
        assert misplaced_seconds(sung[1], sung[1], RATE, **given) == 6
        # All but the second in which the voice rests, to the quarter of a second.
        assert misplaced_seconds(sung[0], sung[0], RATE, **given) == pytest.approx(5, abs=0.25)


@pytest.mark.slow
def test_a_pipeline_puts_the_tracks_of_a_song_in_their_places(tiny_singer, tiny_processor, tracks):
    singer = TextToSongPipeline(
        model=tiny_singer("interleaving_A_V"), processor=tiny_processor, device="cpu"
    )
    singer.vocal_extractor = tone_of
    song = singer("folk", seconds=2, seed=3)
    same = singer.put_tracks_in_place(song)
    assert same["exchanged"] == [] and np.array_equal(same["codes"], song["codes"])

    # The waveforms decide; the codes are those of the model.
    heard = exchanged([track[:, 4 * RATE : 6 * RATE] for track in tracks], (1, 2))
    song |= dict(zip(("vocal", "accompaniment"), heard, strict=True))
    found = singer.put_tracks_in_place(song)

    ((start, end),) = found["exchanged"]
    assert abs(start - 1) < 0.05 and end == 2
    at = round(50 * start)
    assert np.array_equal(found["codes"][..., :at], song["codes"][..., :at])
    assert np.array_equal(found["codes"][..., at:], song["codes"][::-1, :, at:])
    again = singer._decode(torch.as_tensor(found["codes"]))
    assert np.array_equal(found["audio"], again["audio"]) and "exchanged" not in song
    # What is dropped after a section does not count.
    assert singer._misplaced_seconds(song, 0) == 1 and singer._misplaced_seconds(song, 0, 50) == 0
    with pytest.raises(
        ValueError, match="needs a song with codes of two tracks, .*: got one track"
    ):
        singer.put_tracks_in_place({**song, "vocal": None})
    with pytest.raises(ValueError, match="got codes alone"):
        singer.put_tracks_in_place({**song, "vocal": None, "audio": None})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["interleaving_A_V", "masked"])
def test_checked_songs_have_their_tracks_exchanged_alone_and_in_a_batch(
    tiny_singer, tiny_masked, tiny_processor, monkeypatch, kind
):
    if kind == "masked":
        singer, few = tiny_masked("parallel_std"), {"num_inference_steps": 2, "progress": False}
    else:
        singer = TextToSongPipeline(model=tiny_singer(kind), processor=tiny_processor)
        decoder = singer.model.config.decoder
        few = {"suppress_tokens": list(range(decoder.codebook_size, decoder.vocab_size))}
    starts = []

    def stretches(*_, start, **__):
        starts.append(start)
        return [(start + 4, None)]

    monkeypatch.setattr("songgen_hf.pipelines.tracks_in_place.swapped_stretches", stretches)
    plain = singer("folk", seconds=0.2, seed=3, **few)
    assert starts == []

    (_, song) = singer(["rock", "folk"], seconds=0.2, seed=[1, 3], check_tracks=True, **few)
    assert np.array_equal(song["codes"][..., :4], plain["codes"][..., :4])
    assert np.array_equal(song["codes"][..., 4:], plain["codes"][::-1, :, 4:])
    assert song["exchanged"] == [(0.08, 0.2)] and song["misplaced_seconds"] == 0
    alone = singer("folk", seconds=0.2, seed=3, check_tracks=True, **few)
    for name in ("codes", "vocal", "accompaniment", "audio"):
        assert np.array_equal(song[name], alone[name])

    continued = {"audio_prompt": plain, "seconds": 0.2, "seed": 4, **few}
    longer = singer("folk", check_tracks=True, **continued)
    assert starts[-1] == 10 and np.array_equal(longer["codes"][..., :10], plain["codes"])
    calls = len(starts)
    singer("folk", song=plain, regions=(0.1, 0.2), seed=5, check_tracks=True, **few)
    assert len(starts) == calls  # what an edit keeps stays
