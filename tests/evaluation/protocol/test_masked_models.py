"""The evaluation of tiny masked models with a tiny autoregressive one, and its statistics."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from songgen_hf.cli import main
from songgen_hf.evaluation.metrics.frechet_distance import Moments, frechet_distance
from songgen_hf.evaluation.protocol.claims import (
    claimed_pairs,
    describe_comparisons,
    describe_goal,
)
from songgen_hf.evaluation.protocol.evaluation import EvaluatedModel, EvaluatedRow
from songgen_hf.evaluation.protocol.options import (
    AutoregressiveSetting,
    MaskedOptions,
    MaskedSetting,
)
from songgen_hf.evaluation.protocol.report import END_MARK, START_MARK, write_report
from songgen_hf.evaluation.protocol.sampling import MaskedSampler
from songgen_hf.evaluation.protocol.scores import RowScores, paired_difference
from songgen_hf.evaluation.protocol.tables import results_markdown
from songgen_hf.evaluation.protocol.timing import time_songs

from ...tools.evaluation_cases import some_prompts, write_corpus
from ...tools.judge_cases import tiny_judges

OWN = {
    "guidance_scale": [1.0, 3.0],
    "reveal": "confidence",
    "schedule": "circle",
    "top_p": 1.0,
    "temperature": 1.0,
    "choice_temperature": 4.0,
}
COLUMNS = {
    "mode", "head", "passes", "guidance", "reveal", "per", "gender", "instrument", "tempo", "fad",
    "seconds",
}  # fmt: skip


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


@pytest.fixture(scope="module")
def masked_folder(tiny_masked, tmp_path_factory):
    """Factory: folder of a tiny masked model of two tracks."""
    made = {}

    def save(head: str) -> str:
        if head not in made:
            made[head] = str(tmp_path_factory.mktemp("masked") / head)
            tiny_masked("interleaving_A_V", head).save_pretrained(made[head])
        return made[head]

    return save


@pytest.fixture
def evaluate(material, tmp_path, tiny_checkpoint, masked_folder):
    """Runs ``evaluate masked``; the exit status."""

    def run(*arguments, heads=("softmax", "mixture"), masked=None):
        return main(
            ["evaluate", "masked", "--masked", *(masked or map(masked_folder, heads))]
            + ["--checkpoint", tiny_checkpoint("interleaving_A_V")]
            + ["--songs", str(material / "songs"), "--judges", str(material / "judges")]
            + ["--prompts-file", str(material / "prompts.json"), "--quiet"]
            + ["--out", str(tmp_path / "masked.json"), "--cache", str(tmp_path / "cache")]
            + ["--max-seconds", "0.2", "--headline", "guidance=1", *arguments]
        )

    return run


def masked_options(**changes) -> MaskedOptions:
    """Options of an evaluation that is not run."""
    return MaskedOptions(**{"masked": ("b",), "songs": ".", "judges": "."} | changes)


def scores(seed: int, prompts=("a", "b", "c", "d"), songs: int = 2) -> RowScores:
    """Invented scores with some songs per prompt."""
    random = np.random.default_rng(seed)
    names = tuple(name for _ in range(songs) for name in prompts)
    number = len(names)
    parts = {
        "per": (random.integers(0, 9, number) * 1.0, random.integers(9, 20, number) * 1.0),
        "gender": (random.integers(0, 2, number) * 1.0, np.ones(number)),
    }
    moments = tuple(Moments.of(random.normal(size=(9, 3))) for _ in names)
    references = Moments.of(np.random.default_rng(99).normal(size=(50, 3)))
    return RowScores(names, parts, moments, references, tuple(() for _ in names))


@pytest.mark.slow
def test_the_masked_report_has_a_row_for_every_setting_with_every_number(evaluate, tmp_path):
    page = tmp_path / "masked.md"
    page.write_text(f"# Before\n{START_MARK}\nstale\n{END_MARK}\nafter\n")

    few = ["--prompts", "2", "--passes", "2", "3", "--headline-passes", "2", "--timed-songs", "1"]
    assert evaluate(*few) == 0

    report = json.loads((tmp_path / "masked.json").read_text())
    rows = report["rows"]
    assert [row["mode"] for row in rows] == ["ar"] + ["masked"] * 10
    assert all(row.keys() >= COLUMNS and row["songs"] == 2 for row in rows)
    assert all(np.isfinite(row[name]) for row in rows for name in ("per", "fad", "seconds"))
    assert [(row["head"], row["passes"], row["guidance"], row["reveal"]) for row in rows[1:6]] == [
        ("softmax", 2, 1, "confidence"),
        ("softmax", 3, 1, "confidence"),
        ("softmax", 2, 3, "confidence"),
        ("softmax", 2, 1, "random"),
        ("softmax", 2, 3, "random"),
    ]
    assert rows[0]["passes"] > 10  # one for each step of 10 frames of two tracks
    assert report["goal"]["limit"] == 1.15 and report["goal"]["reached"] in (True, False)
    text = page.read_text()
    assert text.startswith("# Before\n") and text.endswith("after\n") and "stale" not in text
    assert text.count("| masked | softmax |") == 5 and "| ar |  |" in text


@pytest.mark.slow
def test_a_second_run_scores_the_masked_songs_of_the_first(evaluate, tmp_path):
    few = ["--prompts", "2", "--settings", "passes=2", "--timed-songs", "0"]
    written = []
    for _ in range(2):
        assert evaluate(*few, heads=["mixture"]) == 0
        times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.flac")}
        written.append((times, (tmp_path / "masked.json").read_text()))

    assert written[0] == written[1] and len(written[0][0]) == 8  # vocal and mixture, twice two


@pytest.mark.slow
def test_a_masked_models_card_shows_its_own_rows(evaluate, masked_folder, tmp_path, capsys):
    few = ["--prompts", "2", "--settings", "passes=2,guidance=1:2", "--timed-songs", "0"]
    assert evaluate(*few, heads=["softmax"]) == 0
    own, other = (shutil.copytree(masked_folder(h), tmp_path / h) for h in ("softmax", "mixture"))

    def card(folder):
        return main(["card", str(folder), "--results", str(tmp_path / "masked.json")])

    assert card(own) == 0
    text = (own / "README.md").read_text()
    assert "| masked | softmax | 2 | 1 to 2 | confidence |" in text and "| ar |" in text
    facts = json.loads((own / "card.json").read_text())["results"]
    assert facts["setting"]["passes"] == 2 and facts["setting"]["guidance_scale"] == [1, 2]
    (row,) = json.loads((tmp_path / "masked.json").read_text())["rows"][1:]
    measured = {measure["metric"]: measure["value"] for measure in facts["measures"]}
    assert {"per", "gender", "fad"} <= measured.keys() and "seconds" not in measured
    assert all(row[name] == value for name, value in measured.items())
    assert "value:" in text.partition("# softmax")[0]  # of the Hub's own table
    assert card(other) == 2
    assert "the report is of other weights" in capsys.readouterr().err


@pytest.mark.slow
def test_the_best_settings_are_kept_in_the_scheduler(evaluate, masked_folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(masked_folder("softmax"), own)
    named = ["--settings", "passes=2,guidance=1:2,reveal=random", "passes=2,top_p=0.5"]

    few = ["--prompts", "2", "--timed-songs", "0", "--keep-best"]
    assert evaluate(*few, *named, masked=[str(own)]) == 0

    rows = json.loads((tmp_path / "masked.json").read_text())["rows"][1:]
    best = min(rows, key=lambda row: row["per"])["setting"]
    kept = json.loads((own / "scheduler" / "scheduler_config.json").read_text())
    assert (kept["guidance_scale"], kept["reveal"]) == (best["guidance"], best["reveal"])
    assert kept["top_p"] == best["top_p"]


@pytest.mark.slow
def test_a_masked_song_does_not_depend_on_its_batch_and_forward_passes_are_counted(
    masked_folder, tmp_path
):
    voice = (0.1 * np.sin(np.arange(16000) / 9)).astype(np.float32)
    prompts = some_prompts(3)
    setting = MaskedSetting(num_inference_steps=3, guidance=(1.0, 2.0))

    def sampler(batch_size):
        return MaskedSampler(
            masked_folder("softmax"),
            tmp_path / str(batch_size),
            lambda song_id: (voice, 16000),
            max_seconds=0.4,
            batch_size=batch_size,
        )

    together = [song.mixture for song in sampler(3).sample(prompts, [0], setting)]
    alone = [song.mixture for song in sampler(1).sample(prompts, [0], setting)]

    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    timing = time_songs(sampler(1), prompts[:1], 0, setting)
    assert timing.forward_passes == 3 and timing.seconds > 0 and timing.songs == 1


@pytest.mark.slow
def test_masked_songs_of_another_precision_have_a_folder_of_their_own(masked_folder, tmp_path):
    folders = {
        MaskedSampler(masked_folder("softmax"), tmp_path, lambda song_id: None, dtype=dtype).folder(
            MaskedSetting(num_inference_steps=2)
        )
        for dtype in ("float32", "bfloat16")
    }

    assert len(folders) == 2


def test_masked_rows_differ_from_the_headline_in_one_value():
    options = masked_options(num_inference_steps=(8, 28))

    rows = options.rows(OWN)

    headline = MaskedSetting(28).resolved(OWN)
    assert rows[0] == headline and headline.guidance == (1.0, 3.0)
    assert [(row.num_inference_steps, row.guidance, row.reveal) for row in rows[1:]] == [
        (8, (1.0, 3.0), "confidence"),
        (28, (1.0, 1.0), "confidence"),
        (28, (1.0, 3.0), "random"),
        (28, (1.0, 1.0), "random"),
    ]
    unguided = options.rows(OWN | {"guidance_scale": 1.0})
    ends = [row.guidance for row in unguided]
    assert ends == [(1.0, 1.0)] * 2 + [(1.0, 3.0), (1.0, 1.0), (1.0, 3.0)]
    every = masked_options(num_inference_steps=(8, 16), every_combination=True)
    assert len(every.rows(OWN)) == 3 * 2 * 2


def test_a_model_guided_per_condition_needs_a_number_for_its_rows():
    own = {**OWN, "guidance_scale": {"text": [1, 3]}}

    assert MaskedSetting(8, (1.0, 3.0)).resolved(own).guidance == (1.0, 3.0)
    with pytest.raises(ValueError, match="a scale for each condition, .*: give guidance=NUMBER"):
        MaskedSetting(8).resolved(own)


def test_a_masked_setting_is_read_from_text():
    setting = MaskedSetting.parse("passes=16,guidance=1:3,reveal=random,top_p=0.9,voice=no")

    assert setting == MaskedSetting(16, (1.0, 3.0), "random", top_p=0.9, voice=False)
    assert MaskedSetting.parse("guidance=2").guidance == (2.0, 2.0)
    assert setting.scheduler == {"guidance_scale": [1.0, 3.0], "reveal": "random", "top_p": 0.9}
    for wrong in ("reveal=first", "steps=3", "passes=many"):
        with pytest.raises(ValueError, match=f"got '{wrong}', expected passes=NUMBER"):
            MaskedSetting.parse(wrong)


@pytest.mark.parametrize("metric", ["per", "fad"])
def test_a_paired_difference_is_that_of_the_drawn_prompts(metric):
    first, second = scores(0), scores(1)

    value, (lower, upper) = paired_difference(first, second, metric, seed=0, draws=20)

    def slow(drawn):
        found = []
        for row in (first, second):
            songs = [i for name in drawn for i, own in enumerate(row.prompts) if own == name]
            if metric == "fad":
                pooled = Moments.pooled(row.moments[i] for i in songs)
                found.append(frechet_distance(pooled, row.references))
            else:
                found.append(
                    sum(row.parts["per"][0][i] for i in songs)
                    / sum(row.parts["per"][1][i] for i in songs)
                )
        return found[0] - found[1]

    assert value == pytest.approx(slow("abcd"))
    random = np.random.default_rng(0)
    draws = [slow(["abcd"[i] for i in random.integers(4, size=4)]) for _ in range(20)]
    assert (lower, upper) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))


def test_the_paired_difference_of_equal_rows_is_zero():
    assert paired_difference(scores(0), scores(0), "per", seed=0, draws=5) == (0.0, (0.0, 0.0))
    with pytest.raises(ValueError, match="different prompts"):
        paired_difference(scores(0), scores(0, prompts=("a", "b", "c", "e")), "per", seed=0)


def evaluated_row(mode: str, name: str, setting, scores: RowScores) -> EvaluatedRow:
    """A row with invented scores."""
    return EvaluatedRow(EvaluatedModel("", mode, name, ""), "sung", scores, setting)


def compared() -> list[EvaluatedRow]:
    """An autoregressive row and four rows of each head, with a pair for each claim."""
    settings = [
        MaskedSetting(28).resolved(OWN),
        MaskedSetting(8).resolved(OWN),
        MaskedSetting(28, (1.0, 1.0)).resolved(OWN),
        MaskedSetting(28, reveal="random").resolved(OWN),
    ]
    rows = [
        evaluated_row("masked", head, setting, scores(place + 10 * len(head)))
        for head in ("softmax", "mixture")
        for place, setting in enumerate(settings)
    ]
    first = evaluated_row("autoregressive", "mixed_pro", AutoregressiveSetting(), scores(50))
    return [first, *rows]


def test_claims_are_about_rows_that_differ_in_one_value():
    pairs = claimed_pairs(compared())

    assert sorted(pairs) == sorted(
        [("the mixture head is better than the softmax head", 4 + i, i) for i in (1, 2, 3, 4)]
        + [("confidence is better than random reveal", i, i + 3) for i in (1, 5)]
        + [("guidance helps", i, i + 2) for i in (1, 5)]
        + [("more passes help", i, i + 1) for i in (1, 5)]
    )


def test_a_claim_holds_only_if_the_whole_interval_says_so():
    found = describe_comparisons(compared(), draws=50)

    assert {one["metric"] for one in found} == {"per", "fad"}
    for one in found:
        lower, upper = one["interval"]
        expected = "holds" if upper < 0 else "fails" if lower > 0 else "open"
        assert one["verdict"] == expected
    assert len({one["verdict"] for one in found}) > 1


def test_the_goal_counts_rows_of_few_steps_alone():
    def row(mode, passes, per):
        return {"mode": mode, "passes": passes, "per": per}

    rows = [row("ar", 900, 0.5), row("masked", 64, 0.4), row("masked", 28, 0.57)]

    goal = describe_goal(rows)
    assert (goal["per_ratio"], goal["reached"], goal["row"]) == (1.14, True, 2)
    assert not describe_goal([rows[0], row("masked", 8, 0.6)])["reached"]
    assert describe_goal(rows[:2])["per_ratio"] is None


def test_a_page_that_was_named_needs_marks_and_a_report_is_not_written_over_anything(tmp_path):
    path, page = tmp_path / "masked.json", tmp_path / "page.md"
    report = {
        "protocol": {"prompts": 2, "seeds": [0], "dtype": "float32", "machine": {}},
        "goal": {"per_ratio": None},
        "comparisons": [],
        "rows": [],
    }

    page.write_text("no marks")
    with pytest.raises(ValueError, match="is no page with the marks"):
        write_report(path, report, pages=[page])
    path.write_text("precious")
    with pytest.raises(ValueError, match="is not JSON"):
        write_report(path, report)
    assert path.read_text() == "precious" and "| mode | head |" in results_markdown(report)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_inference_steps": (8, 8)},
            r"got num_inference_steps \(8, 8\), expected at least one, each once",
        ),
        ({"num_inference_steps": (0,)}, "expected numbers of at least 1"),
        ({"timed_songs": 101}, "got timed_songs 101, expected 0 to the 100"),
        ({"masked": ()}, r"got masked \(\)"),
    ],
)
def test_masked_options_out_of_range_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        masked_options(**changes)


@pytest.mark.slow
def test_two_masked_models_of_one_head_are_an_error(evaluate, masked_folder, capsys):
    twice = [masked_folder("softmax"), masked_folder("softmax") + "/"]

    assert evaluate("--prompts", "2", "--timed-songs", "0", masked=twice) == 2
    assert "second masked model with a softmax head" in capsys.readouterr().err
