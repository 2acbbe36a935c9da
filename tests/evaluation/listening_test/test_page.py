"""The page of a listening test: equal loudness, balanced sides, nothing that names a system."""

import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import main
from songgen_hf.data.loudness import integrated_loudness
from songgen_hf.evaluation.listening_test.options import ListeningOptions
from songgen_hf.evaluation.listening_test.page import write_page
from songgen_hf.evaluation.listening_test.trials import draw_trials


@pytest.fixture
def options(tmp_path, folders):
    return ListeningOptions(songs=folders, out=tmp_path / "page")


def contents(folder):
    """The bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))
    }


def test_data(page) -> dict:
    """The data that the page gives its script."""
    found = re.search(r'id="test">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


test_data.__test__ = False


@pytest.mark.parametrize("format", ["flac", "wav"])
def test_all_songs_have_one_loudness_rate_and_number_of_channels(options, format):
    written = write_page(replace(options, format=format))

    sounds = [soundfile.read(path) for path in written.page.parent.glob(f"*.{format}")]
    assert len(sounds) == 2 * written.trials == 24
    assert {(rate, sound.shape[1]) for sound, rate in sounds} == {(24000, 2)}
    loudness = [integrated_loudness(sound, rate) for sound, rate in sounds]
    np.testing.assert_allclose(loudness, -23.0, atol=0.1)
    assert max(np.abs(sound).max() for sound, _ in sounds) < 1


def test_a_loudness_that_would_clip_is_lowered_for_all_songs(options):
    written = write_page(replace(options, loudness=-5.0))

    sounds = [soundfile.read(path) for path in written.page.parent.glob("*.flac")]
    loudness = [integrated_loudness(sound, rate) for sound, rate in sounds]
    assert written.loudness < -5
    np.testing.assert_allclose(loudness, written.loudness, atol=0.1)
    peak = max(np.abs(sound).max() for sound, _ in sounds)
    assert peak == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    key = json.loads(written.key.read_text(encoding="utf-8"))
    assert key["loudness"] == round(written.loudness, 2)


@pytest.mark.slow
@pytest.mark.parametrize("design", ["ab", "abx", "mos"])
def test_the_seed_and_the_songs_decide_every_byte(options, tmp_path, design):
    options = replace(options, design=design)
    write_page(options)
    for name, seed in (("again", 0), ("other", 1)):
        write_page(replace(options, out=tmp_path / name, seed=seed))

    first, again, other = (contents(tmp_path / name) for name in ("page", "again", "other"))
    assert first == again
    assert first.keys() & other.keys() == {"key.json", "listeners/index.html"}


def test_the_seed_alone_does_not_tell_the_sides(options, tmp_path, folders):
    write_page(options)
    write_page(replace(options, out=tmp_path / "other", songs=folders[:2]))

    first, other = (contents(tmp_path / name) for name in ("page", "other"))
    assert first.keys() & other.keys() == {"key.json", "listeners/index.html"}


def test_the_folder_of_listeners_names_no_system_and_no_song(options, folders):
    written = write_page(replace(options, design="abx", names=("alpha", "beta", "gamma")))

    for name, content in contents(written.page.parent).items():
        for word in ("alpha", "beta", "gamma", "ours", "theirs", "third", "song 1", "key.json"):
            assert word not in name and word.encode() not in content, (name, word)
    assert not list(written.page.parent.glob("*.json"))
    sounds = [path.read_bytes() for path in written.page.parent.glob("*.flac")]
    assert len(set(sounds)) == len(sounds) == 36, "X is no copy of the file of A or B"


def test_the_page_is_one_file_that_may_load_songs_only(options):
    written = write_page(replace(options, title="<b>Which?</b>", question="</script>&"))

    html = written.page.read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|src=|@import|<b>|fetch\(|XMLHttp", html)
    assert "default-src 'none'; media-src 'self' file:;" in html
    assert html.count("</script>") == 2
    files = {path.name for path in written.page.parent.iterdir()} - {"index.html"}
    listed = [name for trial in test_data(written.page)["trials"] for name in trial["songs"]]
    assert sorted(listed) == sorted(files)


def test_the_key_says_which_song_each_file_is(options, song_folders):
    written = write_page(options)

    key = json.loads(written.key.read_text(encoding="utf-8"))
    data = test_data(written.page)
    assert key["page"] == data["page"] == written.page_id
    assert [trial["id"] for trial in data["trials"]] == list(key["trials"])
    for trial in data["trials"]:
        answer = key["trials"][trial["id"]]
        for file, system, source in zip(
            trial["songs"], answer["systems"], answer["files"], strict=True
        ):
            original, rate = soundfile.read(song_folders / system / source, always_2d=True)
            sound, common = soundfile.read(written.page.parent / file)
            strongest = [
                int(np.abs(np.fft.rfft(wave[:, 0])).argmax() * its_rate / len(wave))
                for wave, its_rate in ((original, rate), (sound, common))
            ]
            assert abs(strongest[0] - strongest[1]) <= 4


def test_x_is_the_song_that_the_key_says(options):
    written = write_page(replace(options, design="abx"))

    key = json.loads(written.key.read_text(encoding="utf-8"))
    for trial in test_data(written.page)["trials"]:
        a, b, x = (soundfile.read(written.page.parent / name)[0] for name in trial["songs"])
        same = {"a": a, "b": b}[key["trials"][trial["id"]]["x"]]
        assert len(same) == len(x) and np.abs(same - x).max() <= 4 / 2**15


def test_a_question_of_mos_has_one_song(options):
    written = write_page(replace(options, design="mos", count=5))

    assert {len(trial["songs"]) for trial in test_data(written.page)["trials"]} == {1}
    assert written.trials == 5


def test_songs_are_cut_with_a_fade(options):
    written = write_page(replace(options, design="mos", max_seconds=0.42))

    for path in written.page.parent.glob("*.flac"):
        sound, rate = soundfile.read(path)
        assert len(sound) == round(0.42 * rate) and np.abs(sound[-1]).max() < 1e-3


@pytest.mark.parametrize("count", [1, 2, 7, 16, 30, None])
@pytest.mark.parametrize("design", ["ab", "abx", "mos"])
def test_pairs_sides_and_x_are_balanced(design, count):
    for seed in range(20):
        trials = draw_trials(design, 3, 10, count, np.random.default_rng(seed))

        assert len(trials) == len({(t.item, frozenset(t.systems)) for t in trials})
        assert len(trials) == (30 if count is None else count)
        pairs = Counter(frozenset(trial.systems) for trial in trials)
        assert max(pairs.values()) - min(pairs.values() if len(pairs) == 3 else [0]) <= 1
        if design == "mos":
            continue
        for pair in pairs:
            mine = [trial for trial in trials if frozenset(trial.systems) == pair]
            left = sum(trial.systems[0] == min(pair) for trial in mine)
            assert abs(2 * left - len(mine)) <= 1
            if design == "abx":
                first = sum(trial.systems[trial.x] == min(pair) for trial in mine)
                assert abs(2 * sum(trial.x for trial in mine) - len(mine)) <= 1
                assert len(mine) % 4 or 2 * first == len(mine)


def test_too_few_systems_or_songs_are_errors():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="got 1 system, the design ab compares at least 2"):
        draw_trials("ab", 1, 4, None, random)
    with pytest.raises(ValueError, match="got count 5, but 2 items of 2 systems give 2 trials"):
        draw_trials("abx", 2, 2, 5, random)
    assert len(draw_trials("mos", 1, 4, None, random)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative"),
        ({"loudness": 3.0}, "loudness must be from -60 to -5 LUFS, got 3"),
        ({"max_seconds": 0.1}, "max_seconds must be at least 0.4, got 0.1"),
    ],
)
def test_options_out_of_range_are_errors(options, change, message):
    with pytest.raises(ValueError, match=message):
        replace(options, **change)


def test_songs_without_loudness_are_errors_and_leave_nothing(options, tmp_path):
    for name, samples in (("silent", 8000), ("short", 800)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", np.zeros(samples), 16000)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.wav").write_text("no sound")

    for name, message in (
        ("silent", r"silent.a\.wav is silent"),
        ("short", r"short.a\.wav: got 0\.05 s, loudness needs"),
        ("text", r"text.a\.wav: cannot read 'a\.wav'"),
    ):
        with pytest.raises(ValueError, match=message):
            write_page(replace(options, songs=(str(tmp_path / name),), design="mos"))
    assert not options.out.exists()


def test_a_folder_with_files_is_not_overwritten(options):
    options.out.mkdir()
    (options.out / "mine").touch()

    with pytest.raises(FileExistsError, match="is not empty"):
        write_page(options)


def test_the_command_reports_the_page_its_key_and_songs_without_a_pair(
    tmp_path, song_folders, capsys
):
    (tmp_path / "few").mkdir()
    name = "song 2.wav"
    (tmp_path / "few" / name).write_bytes((song_folders / "ours" / name).read_bytes())
    out = tmp_path / "page"

    status = main(
        ["evaluate", "listen", str(tmp_path / "few"), str(song_folders / "theirs"), "--quiet"]
        + ["--loudness", "-5", "--out", str(out), "--json"]
    )

    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert status == 0 and (facts["trials"], facts["unpaired"]) == (1, 3)
    assert facts["page"] == str(out / "listeners" / "index.html")
    assert "LUFS, lower for the peaks of a song; 3 songs without a pair" in captured.err
    assert json.loads((out / "key.json").read_bytes())["page"] == facts["page_id"]
