"""The evaluation of tiny autoregressive models: rows, report, tables and pictures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from transformers import GenerationConfig

from songgen_hf.cli import main
from songgen_hf.evaluation.metrics.frechet_distance import Moments, semantic_moments
from songgen_hf.evaluation.protocol.options import AutoregressiveSetting
from songgen_hf.evaluation.protocol.reference_songs import ReferenceSongs
from songgen_hf.evaluation.protocol.report import (
    END_MARK,
    START_MARK,
    insert_results,
    write_report,
)
from songgen_hf.evaluation.protocol.scores import CachingJudges, score_songs
from songgen_hf.evaluation.protocol.tables import results_markdown

from ...tools.evaluation_cases import some_prompts, write_corpus
from ...tools.judge_cases import tiny_judges

METRICS = (
    "per", "per_mixture", "gender", "instrument", "tempo", "tempo_any_octave", "fad", "seconds",
    "voice_match", "voice_match_same_gender", "voice_similarity",
)  # fmt: skip


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Folders of a corpus, judges and prompts."""
    folder = tmp_path_factory.mktemp("material")
    write_corpus(folder / "songs", train=3, validation=2, test=8)
    tiny_judges().save(folder / "judges")
    (folder / "judges" / "judges.json").write_text('{"scores": {"per": 0.5}}')
    out = str(folder / "prompts.json")
    assert main(["evaluate", "prompts", str(folder / "songs"), "--out", out, "--count", "4"]) == 0
    return folder


def flags(material):
    """The arguments that name the material."""
    return ["--songs", str(material / "songs"), "--judges", str(material / "judges")]


@pytest.fixture
def evaluate(material, tmp_path, tiny_checkpoint):
    """Runs ``evaluate mini`` on tiny models; the exit status."""

    def run(*arguments, patterns=("mixed_pro", "interleaving_A_V")):
        return main(
            ["evaluate", "mini", "--checkpoints", *map(tiny_checkpoint, patterns)]
            + [*flags(material), "--prompts-file", str(material / "prompts.json")]
            + ["--out", str(tmp_path / "mini.json"), "--cache", str(tmp_path / "cache")]
            + ["--max-seconds", "0.2", *arguments]
        )

    return run


@pytest.mark.slow
def test_the_report_has_every_metric_with_its_interval(evaluate, tmp_path):
    assert evaluate("--prompts", "3", "--row-prompts", "2", "--no-pictures") == 0

    report = json.loads((tmp_path / "mini.json").read_text())
    assert list(report["checkpoints"]) == ["mixed_pro", "interleaving_A_V"]
    for entry in report["checkpoints"].values():
        assert entry["songs"] == 6
        for metric in METRICS:
            for name in (metric, *(f"{metric}_{kind}" for kind in ("untrained", "true", "codec"))):
                lower, upper = entry["intervals"][name]
                assert lower <= upper
                assert np.isfinite(entry[name])
    mixed = report["checkpoints"]["mixed_pro"]
    assert mixed["per"] == mixed["per_mixture"] and not mixed["has_vocal_track"]
    assert "| sung in the mixture only |" in results_markdown(report)
    kinds = [row["kind"] for row in report["rows"] if row["checkpoint"] == "mixed_pro"]
    assert kinds == ["true", "codec", "untrained", *["sung"] * 6]
    unvoiced = [row for row in report["rows"] if row["voice"] is False]
    assert len(unvoiced) == 6 and not any("voice_match" in row["scores"] for row in unvoiced)
    assert report["judges"] == {"scores": {"per": 0.5}}
    assert report["protocol"]["versions"]["torch"]
    assert report["protocol"]["command"].startswith("songgen-hf evaluate mini ")


@pytest.mark.slow
def test_a_second_run_scores_the_songs_of_the_first(evaluate, tmp_path):
    few = ("--prompts", "2", "--seeds", "3", "--guidances", "--no-pictures")
    written = []
    for _ in range(2):
        assert evaluate(*few, patterns=["mixed"]) == 0
        times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.flac")}
        written.append((times, (tmp_path / "mini.json").read_text()))

    assert written[0] == written[1] and len(written[0][0]) == 4


@pytest.mark.slow
def test_a_headline_without_a_voice_takes_voice_scores_from_its_row_with_one(evaluate, tmp_path):
    headline = ("--headline", "guidance=1,voice=no", "--guidances", "1", "--no-pictures")
    assert evaluate("--prompts", "2", *headline, patterns=["mixed"]) == 0

    report = json.loads((tmp_path / "mini.json").read_text())
    voiced = next(row for row in report["rows"] if row["voice"])
    assert report["checkpoints"]["mixed"]["voice_match"] == voiced["scores"]["voice_match"]


@pytest.mark.slow
def test_tables_and_pictures_are_written_beside_the_report(evaluate, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "mini.md"
    page.write_text(f"# Before\n{START_MARK}\nold\n{END_MARK}\nafter\n")

    few = ("--prompts", "2", "--headline", "guidance=text:2+lyrics:3", "--guidances")
    assert evaluate(*few, patterns=["interleaving_A_V"]) == 0

    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("after\n") and "old" not in text
    assert "### interleaving_A_V" in text
    assert "guidance lyrics 3 text 2, with a reference voice" in text
    report = json.loads((tmp_path / "mini.json").read_text())
    assert report["checkpoints"]["interleaving_A_V"]["guidance"] == {"text": 2, "lyrics": 3}
    assert "| phoneme error rate of the vocal track | <= 45 % | **" in text
    assert (tmp_path / "img" / "mini-interleaving_A_V.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_settings_are_compared_and_the_best_is_kept(material, tmp_path, tiny_checkpoint, capsys):
    checkpoint = tmp_path / "mixed"
    shutil.copytree(tiny_checkpoint("mixed"), checkpoint)
    named = ["guidance=2,temperature=0.5", "guidance=1,voice=no"]

    status = main(
        ["evaluate", "settings", str(checkpoint), *flags(material), "--settings", *named]
        + ["--prompts-file", str(material / "prompts.json"), "--prompts", "2", "--max-seconds"]
        + ["0.2", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "settings.json")]
        + ["--keep-best", "--quiet", "--json"]
    )

    assert status == 0
    found = json.loads((tmp_path / "settings.json").read_text())
    assert found == json.loads(capsys.readouterr().out)
    errors = [row["scores"]["per"] for row in found["rows"]]
    assert found["best"] == found["rows"][int(np.argmin(errors))]["setting"]
    assert "voice_match" in found["rows"][0]["scores"]
    assert "voice_match" not in found["rows"][1]["scores"]
    kept = json.loads((checkpoint / "generation_config.json").read_text())
    assert kept["guidance_scale"] == found["best"]["guidance"]
    assert kept.get("temperature") == found["best"]["temperature"]
    own = AutoregressiveSetting(guidance=None).resolved(
        GenerationConfig.from_pretrained(checkpoint)
    )
    assert own.guidance == found["best"]["guidance"]


@pytest.mark.slow
def test_the_part_of_the_codec_is_added_to_a_report(material, tmp_path, tiny_checkpoint):
    out = tmp_path / "mini.json"
    out.write_text('{"rows": []}')

    status = main(
        ["evaluate", "codec", "--model", tiny_checkpoint("mixed"), *flags(material)]
        + ["--baseline", tiny_checkpoint("mixed_pro"), "--out", str(out), "--max-songs", "3"]
    )

    report = json.loads(out.read_text())
    assert status == 0 and report["rows"] == []
    for name in ("codec", "baseline"):
        scores = report["codec"][name]["scores"]
        expected = {"mel_distance", "si_sdr", "mel_distance_vocal", "si_sdr_vocal", "per"}
        assert expected | {
            "per_true",
            "per_codebooks_1",
            "probe_codebooks_1",
            "probe_commonest",
        } <= set(scores)
        assert all(map(np.isfinite, scores.values()))
    assert (
        report["codec"]["codec"]["scores"]["per_true"]
        == (report["codec"]["baseline"]["scores"]["per_true"])
    )


@pytest.mark.slow
def test_songs_that_fit_their_prompts_score_best(material, tiny_model):
    judges, codec = tiny_judges(), tiny_model("mixed").audio_encoder
    references = ReferenceSongs(material / "songs", judges)
    prompts = some_prompts(2)
    mixtures = [references.waveform(prompt.id) for prompt in prompts]
    recognized = [tuple(song) for song in judges.phonemes(mixtures)]
    requested = [
        type(prompt)(
            **{
                **prompt.__dict__,
                "phonemes": song,
                "gender": judges.gender([mixture])[0],
                "lead_family": judges.lead_family([mixture])[0],
            }
        )
        for prompt, song, mixture in zip(prompts, recognized, mixtures, strict=True)
    ]

    scores = score_songs(
        judges,
        codec,
        requested,
        mixtures,
        None,
        voice_embedding=references.voice_embedding,
        references=Moments.pooled([references.moments_excluding(codec, requested)]),
        voice=False,
    ).scores()

    assert (scores["per"], scores["gender"], scores["instrument"]) == (0, 1, 1)
    assert scores["seconds"] == pytest.approx(3.2)


def test_caching_judges_give_the_predictions_of_the_judges():
    judges = tiny_judges()
    random = np.random.default_rng(0)
    songs = [random.normal(0, 0.1, 8000).astype(np.float32) for _ in range(3)]
    caching = CachingJudges(judges)

    for _ in range(2):
        assert caching.gender(songs) == judges.gender(songs)
        np.testing.assert_array_equal(caching.voice_embedding(songs), judges.voice_embedding(songs))


def test_reference_moments_exclude_the_songs_of_the_prompts(material, tiny_model):
    codec = tiny_model("mixed").audio_encoder
    references = ReferenceSongs(material / "songs", tiny_judges())

    every, fewer = (
        references.moments_excluding(codec, some_prompts(count)).count for count in (0, 2)
    )

    assert every == fewer * 10 / 8


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    assert insert_results(page, "table") is None

    page.write_text("no marks")
    assert insert_results(page, "table") is None


def test_a_report_keeps_its_other_parts(tmp_path):
    path = tmp_path / "report.json"

    write_report(path, {"codec": {}}, keep=True)
    write_report(path, {"rows": []}, keep=True)

    assert json.loads(path.read_text()) == {"codec": {}, "rows": []}


def test_other_pages_get_the_tables_or_nothing_is_written(tmp_path):
    path, page = tmp_path / "report.json", tmp_path / "card.md"
    scores = {"si_sdr": 1.25, "per": 0.5, "new": 3.0}
    ours = {"scores": scores, "intervals": {"per": [0.25, 0.75]}}
    parts = {"codec": {"codec": ours, "baseline": {"scores": scores}}}

    with pytest.raises(ValueError, match=r"card\.md is no page with the marks"):
        write_report(path, parts, pages=[page])
    assert not path.exists()

    page.write_text(f"before\n{START_MARK}\n{END_MARK}\nafter\n")
    assert write_report(path, parts, pages=[page]) == [path, page]
    table = page.read_text()
    assert "| SI-SDR of mixtures, dB | 1.25 | 1.25 |" in table
    assert "decoded vocals | 50.0 % (25.0 % to 75.0 %) | 50.0 % |" in table
    assert "| new | 3.00 | 3.00 |" in table


def test_a_file_that_is_no_report_is_not_overwritten(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("precious")

    with pytest.raises(ValueError, match="is not JSON"):
        write_report(path, {})
    assert path.read_text() == "precious"


def test_a_headline_that_cannot_be_read_is_misuse_with_its_remedy(evaluate, capsys):
    with pytest.raises(SystemExit, match="2"):
        evaluate("--headline", "guidance=two")

    error = capsys.readouterr().err
    assert "argument --headline: got 'guidance=two', expected guidance=NUMBER" in error
    assert "voice=yes, voice=no, temperature=NUMBER or top_k=NUMBER" in error


@pytest.mark.slow
def test_more_prompts_than_the_file_has_are_an_error(evaluate, capsys):
    assert evaluate("--prompts", "5", "--no-pictures") == 2

    assert "got 5 prompts to evaluate, expected at most the 4" in capsys.readouterr().err


def test_prompts_of_another_corpus_are_an_error(material, tmp_path):
    references = ReferenceSongs(material / "songs", tiny_judges())

    with pytest.raises(ValueError, match="no song 'test-000099' among 10"):
        references.waveform("test-000099")


def test_tracks_are_swapped_if_the_lyrics_are_in_the_accompaniment(material, tiny_model):
    judges, codec = tiny_judges(), tiny_model("mixed").audio_encoder
    references = ReferenceSongs(material / "songs", judges)
    prompt = some_prompts(1)[0]
    vocal = references.waveform(prompt.id, "vocal")
    band = references.waveform(prompt.other_song_id)[: len(vocal)]
    vocal = vocal[: len(band)]
    heard = {
        "vocal": judges.phonemes([vocal])[0],
        "band": judges.phonemes([vocal + band - vocal])[0],
    }
    assert heard["vocal"] != heard["band"]

    scores = score_songs(
        judges,
        codec,
        [replace(prompt, phonemes=tuple(heard[track])) for track in ("vocal", "band")],
        [vocal + band] * 2,
        [vocal] * 2,
        voice_embedding=references.voice_embedding,
        references=Moments.pooled(semantic_moments(codec, [vocal])),
        voice=False,
    )

    assert scores.parts["swapped"][0].tolist() == [0.0, 1.0]


def test_the_words_of_a_song_are_split_into_seen_and_unseen_ones(material, tiny_model):
    judges, codec = tiny_judges(), tiny_model("mixed").audio_encoder
    references = ReferenceSongs(material / "songs", judges)
    prompts = some_prompts(2)
    mixtures = [references.waveform(prompt.id) for prompt in prompts]

    parts = score_songs(
        judges,
        codec,
        prompts,
        mixtures,
        None,
        voice_embedding=references.voice_embedding,
        references=Moments.pooled(semantic_moments(codec, mixtures[:1])),
        voice=False,
        unseen_phonemes=references.unseen_phonemes,
    ).parts

    masks = [references.unseen_phonemes(prompt.id) for prompt in prompts]
    assert [mask.any() for mask in masks] == [False, True]
    for place in (0, 1):  # edits, then phonemes
        both = parts["per_seen"][place] + parts["per_unseen"][place]
        np.testing.assert_array_equal(both, parts["per"][place])
    assert parts["per_unseen"][1].tolist() == [0, masks[1].sum()]
