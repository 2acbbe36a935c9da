"""Rendering a corpus; most tests use the synthesizers of the Debian packages."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.data.corpus.card import card_text
from songgen_hf.data.corpus.isolation import IsolatedSynthesizers, check_system
from songgen_hf.data.corpus.lexicon import lexicon
from songgen_hf.data.corpus.options import CorpusOptions
from songgen_hf.data.corpus.render import MANIFEST, render_corpus
from songgen_hf.data.corpus.rows import AUDIO_COLUMNS, read_sound, render_row
from songgen_hf.data.corpus.song import plan_song
from songgen_hf.data.corpus.vocabulary import vocabulary
from songgen_hf.data.corpus.voices import (
    HELD_OUT_SINGERS,
    SINGERS,
    drawn_singers,
    unheard_singers,
)
from songgen_hf.data.loudness import integrated_loudness

debian = pytest.mark.debian


@pytest.fixture(scope="module")
def synthesizers() -> IsolatedSynthesizers:
    try:
        return IsolatedSynthesizers()
    except ImportError as error:
        pytest.skip(str(error))


def options(output: Path, **changes: int | bool | tuple[str, ...]) -> CorpusOptions:
    sizes = {"train_songs": 3, "validation_songs": 0, "test_songs": 1, "songs_per_shard": 2}
    return CorpusOptions(output=output, progress=False, **{**sizes, **changes})


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@debian
def test_a_song_depends_on_its_seed_and_not_on_earlier_songs(synthesizers):
    first = synthesizers.call(render_row, 1, "train", 5)
    synthesizers.call(render_row, 1, "test", 2)

    assert synthesizers.call(render_row, 1, "train", 5) == first
    assert synthesizers.call(render_row, 2, "train", 5)["vocal"] != first["vocal"]


@debian
@pytest.mark.parametrize("index", range(3))
def test_the_stems_add_up_to_the_mixture_at_the_target_loudness(synthesizers, index):
    row = synthesizers.call(render_row, 3, "train", index)

    vocal, accompaniment, mixture = (
        soundfile.read(io.BytesIO(row[name]["bytes"]), dtype="int16")[0].astype(int)
        for name in ("vocal", "accompaniment", "mixture")
    )
    assert np.array_equal(vocal + accompaniment, mixture)
    assert integrated_loudness(mixture / 32768, 16000) == pytest.approx(-14, abs=0.5)
    assert max(np.abs(track).max() for track in (vocal, accompaniment, mixture)) < 32767
    assert len(mixture) / 16000 == row["duration"]
    assert 6 <= row["duration"] <= 12.2


@debian
def test_words_and_phonemes_are_timed_as_in_the_waveform(synthesizers):
    row = synthesizers.call(render_row, 4, "test", 0)
    vocal = read_sound(row, "vocal")

    assert [word["word"] for word in row["words"]] == row["lyrics"].split()
    for index, word in enumerate(row["words"]):
        inside = [p for p in row["phonemes"] if p["word"] == index]
        assert (inside[0]["start"], inside[-1]["end"]) == (word["start"], word["end"])
        piece = vocal[int(word["start"] * 16000) : int(word["end"] * 16000)]
        assert np.sqrt(np.mean(piece**2)) > 0.01
    sung = np.zeros(len(vocal), bool)
    for word in row["words"]:
        sung[int((word["start"] - 0.05) * 16000) : int((word["end"] + 0.05) * 16000)] = True
    assert np.abs(vocal[~sung]).max() < 1e-3


@debian
def test_words_of_the_lexicon_have_the_syllables_of_espeak(synthesizers):
    words = [word for kind in lexicon().values() for word in kind][::7]

    for word in words:
        assert synthesizers.speaker.speak(word.text, "en-us+m3").syllables == word.syllables, word


@debian
def test_espeak_has_the_voice_of_every_singer(synthesizers):
    for singer in (SINGERS | HELD_OUT_SINGERS | drawn_singers()).values():
        assert synthesizers.speaker.speak("a river of gold", singer.variant).syllables == 5


@debian
def test_songs_have_the_requested_singers_and_held_out_ones_only_on_request(synthesizers):
    asked = [plan_song(0, "train", i, synthesizers.speaker, ["female_7"]).singer for i in range(4)]
    two = {
        plan_song(0, "train", i, synthesizers.speaker, ["male_1", "male_7"]).singer
        for i in range(9)
    }
    usual = {plan_song(0, "train", i, synthesizers.speaker).singer.voice_id for i in range(9)}

    assert {singer.voice_id for singer in asked} == {"female_7"}
    assert {singer.voice_id for singer in two} == {"male_1", "male_7"}
    assert usual <= SINGERS.keys()


@debian
def test_a_song_of_the_large_edition_says_which_words_and_voices_are_unseen(synthesizers):
    rows = [synthesizers.call(render_row, 0, "test", i, (), "large") for i in range(2)]

    for row in rows:
        assert set(row["unseen_words"]) <= set(row["lyrics"].split())
        assert row["unseen_voice"] == (row["voice_id"] in unheard_singers())
        assert [word["word"] for word in row["words"]] == row["lyrics"].split()
    assert rows[0]["lyrics"] != synthesizers.call(render_row, 0, "test", 0)["lyrics"]


@debian
def test_words_of_the_large_edition_have_about_the_syllables_of_espeak(synthesizers):
    different = 0
    sample = [
        (text, syllables)
        for forms in vocabulary().values()
        for text, syllables in list(zip(forms.texts, forms.syllables, strict=True))[::97]
    ]

    for text, syllables in sample:
        spoken = synthesizers.speaker.speak(text, "en-us+m3", skip_unnamed=True)
        different += spoken.syllables != syllables

    assert len(sample) > 100
    assert different < 0.05 * len(sample)


@debian
def test_an_unnamed_sound_inside_a_word_does_not_end_the_line(synthesizers):
    cut = synthesizers.speaker.speak("a piano sings", "en-us+m3")
    whole = synthesizers.speaker.speak("a piano sings", "en-us+m3", skip_unnamed=True)

    assert cut.syllables == 2
    assert [phoneme.word for phoneme in whole.phonemes if phoneme.is_vowel] == [0, 1, 1, 1, 2]


@debian
def test_an_unknown_voice_or_split_is_refused(synthesizers):
    with pytest.raises(ValueError, match="espeak-ng has no voice 'xx-nobody'"):
        synthesizers.speaker.speak("hello", "xx-nobody")
    with pytest.raises(ValueError, match="got split 'dev' and index 0"):
        plan_song(0, "dev", 0, synthesizers.speaker)


@debian
def test_an_error_in_a_fork_is_raised_with_its_traceback(synthesizers):
    with pytest.raises(RuntimeError, match="got split 'dev'"):
        synthesizers.call(render_row, 0, "dev", 0)


@debian
@pytest.mark.slow
def test_a_resumed_run_writes_the_same_files_with_any_number_of_workers(synthesizers, tmp_path):
    datasets = pytest.importorskip("datasets")
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    sizes = {"train_songs": 2, "songs_per_shard": 1}
    report = render_corpus(options(whole, workers=2, **sizes))
    shutil.copytree(whole, resumed)
    (resumed / "data" / "train-00001-of-00002.parquet").unlink()
    (resumed / "README.md").unlink()
    (resumed / "data" / ".test-00000-of-00001.parquet.partial").write_bytes(b"cut off")

    again = render_corpus(options(resumed, workers=1, **sizes))

    assert (report.rendered, report.found) == (3, 0)
    assert (again.rendered, again.found) == (1, 2)
    assert digests(resumed) == digests(whole)
    files = {"train": str(whole / "data" / "train-*.parquet")}
    dataset = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    for column in AUDIO_COLUMNS:
        dataset = dataset.cast_column(column, datasets.Audio(decode=False))
    assert len(dataset) == 2
    assert len(read_sound(dataset[1])) == round(dataset[1]["duration"] * 16000)


def test_invalid_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got workers 0, expected 1 or more"):
        options(tmp_path, workers=0)
    with pytest.raises(ValueError, match="got no songs"):
        options(tmp_path, train_songs=0, test_songs=0)


def test_the_manifest_contains_voices_only_if_they_were_chosen(tmp_path):
    assert "voices" not in options(tmp_path).manifest
    assert options(tmp_path, voices=("male_7",)).manifest["voices"] == ["male_7"]
    with pytest.raises(ValueError, match=r"no singer 'bob': expected male_1, .* held out, male_7"):
        options(tmp_path, voices=("bob",))


@debian
def test_a_folder_with_another_corpus_or_other_files_is_not_changed(synthesizers, tmp_path):
    pytest.importorskip("datasets")
    other, foreign = tmp_path / "other", tmp_path / "foreign"
    other.mkdir()
    (other / MANIFEST).write_text(json.dumps(options(other, seed=9).manifest))
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")

    with pytest.raises(ValueError, match="holds a corpus of other options"):
        render_corpus(options(other))
    with pytest.raises(ValueError, match="is not empty and no corpus"):
        render_corpus(options(foreign))
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_a_missing_soundfont_names_the_debian_packages(tmp_path):
    with pytest.raises(ImportError, match="apt-get install -y espeak-ng fluidsynth"):
        check_system(str(tmp_path / "none.sf2"))


def test_the_card_lists_only_splits_with_songs():
    card = card_text(3, {"train": 5, "validation": 0, "test": 2})

    assert "path: data/train-*.parquet" in card and "path: data/test-*.parquet" in card
    assert "validation-*" not in card
    assert "with seed 3; the same command" in card and "(12 singers)" in card
    assert "with seed 3 and voices male_7; the" in card_text(3, {"train": 5}, ("male_7",))
