"""The synthetic singers: timing of phonemes, pitch of notes, and voices."""

import random
from dataclasses import replace

import numpy as np
import pytest

from songgen_hf.data.corpus.singer import SungNote, place_phonemes, sing_line
from songgen_hf.data.corpus.speech import Phoneme, SpokenLine
from songgen_hf.data.corpus.voices import (
    HELD_OUT_SINGERS,
    SINGERS,
    Singer,
    choose_singer,
    drawn_singers,
    singers_named,
    unheard_singers,
)

SPOKEN = (
    Phoneme("h", 0.00, 0.06, 0),
    Phoneme("oʊ", 0.06, 0.30, 0),
    Phoneme("l", 0.30, 0.36, 0),
    Phoneme("d", 0.36, 0.40, 0),
    Phoneme("m", 0.40, 0.50, 1),
    Phoneme("iː", 0.50, 0.70, 1),
    Phoneme("t", 0.70, 0.76, 1),
)
NOTES = [SungNote(1.0, 1.6, 60), SungNote(1.6, 2.4, 64)]


def speech(phonemes: tuple[Phoneme, ...] = SPOKEN) -> SpokenLine:
    seconds = np.arange(int(0.8 * 22050)) / 22050
    buzz = sum(np.sin(2 * np.pi * 91.0 * k * seconds) / k for k in range(1, 40))
    return SpokenLine(0.1 * np.asarray(buzz), 22050, phonemes)


def test_vowels_start_with_their_notes_and_consonants_before_them():
    sung = place_phonemes(SPOKEN, NOTES)

    assert [p.symbol for p in sung] == [p.symbol for p in SPOKEN]
    assert sung[1].start == pytest.approx(1.0)
    assert sung[5].start == pytest.approx(1.6)
    assert sung[0].start == pytest.approx(0.94)
    assert sung[-1].end == pytest.approx(2.4)


def test_sung_phonemes_have_no_gaps_and_consonants_keep_their_duration():
    sung = place_phonemes(SPOKEN, NOTES)

    assert [p.end for p in sung[:-1]] == pytest.approx([p.start for p in sung[1:]])
    assert sung[4].end - sung[4].start == pytest.approx(0.10)
    assert sung[6].end - sung[6].start == pytest.approx(0.06)


def test_consonants_take_at_most_half_of_a_short_note():
    sung = place_phonemes(SPOKEN, [SungNote(1.0, 1.2, 60), SungNote(1.2, 1.4, 62)])

    assert sung[1].end - sung[1].start == pytest.approx(0.1)


def test_the_number_of_notes_must_be_the_number_of_vowels():
    with pytest.raises(ValueError, match="got 1 notes for 2 syllables"):
        sing_line(speech(), NOTES[:1], SINGERS["male_2"], 16000, np.random.default_rng(0))


@pytest.mark.slow
def test_a_sung_line_has_the_pitch_of_its_notes_and_is_reproducible():
    pytest.importorskip("pyworld")
    runs = [
        sing_line(speech(), NOTES, SINGERS["male_2"], 16000, np.random.default_rng(4))
        for _ in range(2)
    ]

    waveform, start, _ = runs[0]
    assert np.array_equal(waveform, runs[1][0])
    for note in NOTES:
        first = int((note.start + 0.1 - start) * 16000)
        piece = waveform[first : first + 4096] * np.hanning(4096)
        spectrum = np.abs(np.fft.rfft(piece, 65536))
        expected = 440 * 2 ** ((note.pitch - 69) / 12)
        bins = np.arange(len(spectrum)) * 16000 / 65536
        near = (bins > expected / 1.3) & (bins < expected * 1.3)
        found = bins[near][np.argmax(spectrum[near])]
        assert abs(12 * np.log2(found / expected)) < 0.6


def test_both_genders_have_several_singers_in_separate_registers():
    registers = {
        gender: [s for s in SINGERS.values() if s.gender == gender] for gender in ("male", "female")
    }

    assert all(len(singers) >= 4 for singers in registers.values())
    highest_male = max((s.low + s.high) / 2 for s in registers["male"])
    assert highest_male + 8 < min((s.low + s.high) / 2 for s in registers["female"])


def test_held_out_singers_are_distinct_and_only_used_by_name():
    assert not HELD_OUT_SINGERS.keys() & SINGERS.keys()
    known = {(s.variant, s.formants) for s in SINGERS.values()}
    assert not known & {(s.variant, s.formants) for s in HELD_OUT_SINGERS.values()}
    assert singers_named([]) == list(SINGERS.values())
    assert singers_named(["female_7", "male_1"]) == [
        HELD_OUT_SINGERS["female_7"],
        SINGERS["male_1"],
    ]


def test_an_unknown_singer_is_refused():
    with pytest.raises(ValueError, match="there is no singer 'bob': expected male_1, male_2"):
        singers_named(["male_1", "bob"])


def test_the_large_edition_has_72_distinct_singers_half_of_them_female():
    singers = {**SINGERS, **drawn_singers()}

    assert len(singers) == 72
    assert sum(singer.gender == "female" for singer in singers.values()) == 36
    assert len({(s.variant, s.formants, s.tilt) for s in singers.values()}) == 72
    assert drawn_singers()["male_8"].vibrato_rate == 6.41


def test_unheard_singers_sing_in_validation_and_test_songs_of_the_large_edition_only():
    rng = random.Random(0)
    chosen = {
        split: {choose_singer(rng, gender, "large", split).voice_id for _ in range(1500)}
        for split, gender in (("train", "male"), ("test", "male"), ("validation", "female"))
    }

    unheard = unheard_singers()
    assert len(chosen["train"]) == 32 and not chosen["train"] & unheard
    assert {name for name in unheard if name.startswith("male")} < chosen["test"]
    assert {name for name in unheard if name.startswith("female")} < chosen["validation"]
    assert {choose_singer(rng, "male", "small", "test") for _ in range(99)} <= {*SINGERS.values()}


def test_fast_singing_has_nearly_the_same_level_in_every_band():
    pytest.importorskip("pyworld")
    slow, fast = (
        sing_line(speech(), NOTES, SINGERS["male_2"], 16000, np.random.default_rng(4), fast=fast)[0]
        for fast in (False, True)
    )

    assert len(slow) == len(fast)
    powers = [np.abs(np.fft.rfft(one)[:8000]) ** 2 for one in (slow, fast)]
    bands = [10 * np.log10(power.reshape(8, -1).sum(axis=1)) for power in powers]
    assert np.abs(bands[0] - bands[1])[:4].max() < 1.5


@pytest.mark.slow
def test_the_parameters_of_a_singer_change_the_sound():
    pytest.importorskip("pyworld")
    plain = SINGERS["male_2"]

    def level(singer: Singer, low: int, high: int) -> float:
        waveform = sing_line(speech(), NOTES, singer, 16000, np.random.default_rng(4), fast=True)[0]
        power = np.abs(np.fft.rfft(waveform)) ** 2
        hertz = np.fft.rfftfreq(len(waveform), 1 / 16000)
        return 10 * np.log10(power[(hertz >= low) & (hertz < high)].sum())

    bright = replace(plain, tilt=3.0)
    ringing = replace(plain, ring=8.0)
    assert 1.0 < level(bright, 1000, 2000) - level(plain, 1000, 2000) < 8.0
    assert level(ringing, 2600, 3000) - level(plain, 2600, 3000) > 5.0
    assert abs(level(ringing, 100, 1000) - level(plain, 100, 1000)) < 0.5


def test_a_line_without_its_pause_ends_shortly_after_its_last_phoneme():
    line = speech().without_pause()

    assert len(line.waveform) / line.sampling_rate == pytest.approx(0.8, abs=0.07)
    assert len(SpokenLine(np.zeros(44100), 22050, SPOKEN).without_pause().waveform) == round(
        0.86 * 22050
    )
