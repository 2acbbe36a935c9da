"""The table of codecs: its numbers are those of plain calls, for ours and those of transformers."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from songgen_hf.checkpoints.loading import load_codec
from songgen_hf.cli import main
from songgen_hf.data.corpus.rows import read_sound
from songgen_hf.evaluation.codec_round_trip import codec_round_trip
from songgen_hf.evaluation.codecs.card import card_markdown
from songgen_hf.evaluation.codecs.measuring import measure_codecs
from songgen_hf.evaluation.codecs.options import CodecsOptions, read_protocol
from songgen_hf.evaluation.codecs.songs import read_codec_songs
from songgen_hf.evaluation.metrics.reconstruction import reconstruction_scores
from tests.tools.codecs import mini_codec
from tests.tools.evaluation_cases import corpus_row
from tests.tools.judge_cases import tiny_judges


def write_songs(folder, count):
    """A corpus whose phonemes are separated by pauses, so that all have one context."""
    rows = [corpus_row(index) for index in range(count)]
    for row in rows:
        row["phonemes"] = [one | {"end": one["end"] - 0.05} for one in row["phonemes"]]
    (folder / "data").mkdir(parents=True)
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, folder / "data" / "test-00000-of-00001.parquet")


@pytest.fixture(scope="module")
def material(tmp_path_factory, tiny_model):
    """Folders of a corpus, of a recognizer and of two codecs."""
    folder = tmp_path_factory.mktemp("codecs")
    write_songs(folder / "songs", 3)
    tiny_judges().recognizer.save_pretrained(folder / "recognizer")
    tiny_model("mixed").audio_encoder.save_pretrained(folder / "ours")
    mini_codec("encodec").save_pretrained(folder / "encodec")
    return folder


@pytest.fixture(scope="module")
def card(material):
    command = ["evaluate", "codec", str(material / "ours"), str(material / "encodec")]
    command += [str(material / "songs"), "--codebooks", "1", "--max-songs", "3"]
    command += ["--recognizer", str(material / "recognizer"), "--out", str(material / "card.json")]
    assert main([*command, "--draws", "20", "--no-visqol", "--protocol", "xcodec"]) == 0
    return json.loads((material / "card.json").read_text())


def row_of(card, model, codebooks):
    [row] = [
        row
        for row in card["rows"]
        if row["model"].endswith(model) and row["codebooks"] == codebooks
    ]
    return row


@pytest.mark.slow
def test_the_table_has_a_row_for_each_codec_and_number_of_codebooks(card):
    rows = [(row["model"].rsplit("/")[-1], row["codebooks"]) for row in card["rows"]]

    counts = (1, 2, 3, 4, "latents")
    assert rows == [(name, count) for name in ("ours", "encodec") for count in counts]
    assert row_of(card, "encodec", 2)["bits_per_second"] == 2 * 100 * 4
    assert row_of(card, "ours", 1)["bits_per_second"] == 50 * 10


@pytest.mark.slow
def test_distances_are_the_means_of_songs(card, material):
    codec = load_codec(str(material / "ours"), device="cpu", dtype="float32")
    originals = [read_sound(corpus_row(index)) for index in range(3)]

    decoded = codec_round_trip(codec, originals, num_codebooks=2)

    expected = reconstruction_scores(originals, decoded, 16000)
    found = row_of(card, "ours", 2)["scores"]
    for metric, values in expected.items():
        assert found[metric]["value"] == pytest.approx(values.mean(), rel=1e-5)
        assert found[metric]["low"] <= found[metric]["value"] <= found[metric]["high"]


@pytest.mark.slow
def test_every_metric_is_there_with_unit_and_interval(card):
    scores = row_of(card, "encodec", 1)["scores"]

    expected = {"mel_distance", "stft_distance", "si_sdr", "per", "used", "perplexity", "entropy"}
    expected |= {
        f"abx{kind}_{condition}" for kind in ("", "_codes") for condition in ("within", "across")
    }
    assert expected <= scores.keys()
    assert all({"value", "low", "high", "n", "unit"} == set(score) for score in scores.values())
    assert set(row_of(card, "ours", "latents")["scores"]) == {"abx_within", "abx_across"}
    for name, score in scores.items():
        if name.startswith(("abx", "used")):
            assert 0 <= score["value"] <= 1
    assert 1 <= scores["perplexity"]["value"] <= 16
    assert 0 <= scores["entropy"]["value"] <= 4


@pytest.mark.slow
def test_differences_to_the_first_codec_are_paired(card):
    [difference] = [one for one in card["differences"] if one["codebooks"] == 1]

    ours, theirs = (row_of(card, name, 1)["scores"] for name in ("ours", "encodec"))
    for metric in ("mel_distance", "per", "abx_within"):
        expected = ours[metric]["value"] - theirs[metric]["value"]
        assert difference["scores"][metric]["value"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_the_page_says_what_the_numbers_depend_on_and_shows_the_paper(card):
    page = card_markdown(card)

    for text in ("soxr", "Published figures", "26.4 %", "visqol: switched off"):
        assert text in page
    assert card["settings"]["max_songs"] == 3 and card["songs"]["n"] == 3
    assert len(card["codecs"][1]["use"]["used"]) == 4
    assert card["codecs"][1]["weights"] and card["versions"]["torch"]


@pytest.mark.slow
def test_sound_files_have_neither_phonemes_nor_abx(material, tmp_path):
    random = np.random.default_rng(0)
    for name, channels in (("a.wav", 1), ("b.wav", 2)):
        soundfile.write(tmp_path / name, 0.1 * random.standard_normal((11025, channels)), 22050)
    options = CodecsOptions(
        models=(str(material / "encodec"),), songs=tmp_path, codebooks=(2,), visqol=False
    )
    songs = read_codec_songs(options)

    found = measure_codecs(options, songs, progress=False)

    assert [song.id for song in songs] == ["a", "b"]
    assert found.skipped.keys() == {"per", "abx", "visqol"}
    assert set(found.codecs[0].ratios[2]) == {"mel_distance", "stft_distance", "si_sdr"}


@pytest.mark.slow
def test_wrong_requests_give_one_line(material, tmp_path, capsys):
    out = ["--out", str(tmp_path / "card.json")]
    wrong = {
        ("only-one",): "expected CODEC ... SONGS",
        (): "expected codecs and a folder of songs",
        (str(material / "ours"), str(tmp_path)): "no songs in",
        (str(material / "ours"), str(material / "songs"), "--codebooks", "2", "2"): "different",
    }
    for words, message in wrong.items():
        assert main(["evaluate", "codec", *words, *out]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown protocol 'other'"):
        read_protocol("other")
    options = CodecsOptions(
        models=(str(material / "encodec"),), songs=material / "songs", codebooks=(9,), abx=False
    )
    with pytest.raises(ValueError, match="has 4 codebooks"):
        measure_codecs(options, [], progress=False)
