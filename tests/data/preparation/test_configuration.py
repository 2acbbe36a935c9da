"""Tests of the configuration of a preparation."""

import json

import pytest

from songgen_hf.data.preparation.configuration import read_preparation
from songgen_hf.data.preparation.filtering import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_sets_the_bounds(name):
    found = read_preparation(name)

    assert found.filter == PRESETS[name]
    assert len(found.transcribe.models) == (0 if name == "small" else 2)


def test_a_file_and_changes_replace_options(tmp_path):
    file = tmp_path / "album.yaml"
    file.write_text("preset: hq\nsegment:\n  mean_seconds: 10\nfilter: {languages: [en, de]}\n")

    found = read_preparation(str(file), ["segment.min_pause=0.3", "filter.min_clap_score=null"])

    assert found.segment.mean_seconds == 10 and found.segment.min_pause == 0.3
    assert found.filter.languages == ("en", "de") and found.filter.min_clap_score is None
    assert found.filter.min_lyrics_match == PRESETS["hq"].min_lyrics_match


@pytest.mark.parametrize("preset", ["paper", "small"])
def test_one_text_is_a_list_of_one(preset):
    found = read_preparation(preset, ["filter.languages=de", "filter.max_mono_loss=3"])

    assert found.filter.languages == ("de",) and found.filter.max_mono_loss == 3


def test_the_bounds_do_not_decide_the_stages():
    one, other = read_preparation("paper"), read_preparation("hq", ["filter.min_bandwidth=1"])

    assert (
        one.identity()
        == other.identity()
        != read_preparation("paper", ["score.music=false"]).identity()
    )
    json.dumps(one.identity())


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ("best", (), "unknown configuration: got 'best', expected paper, hq, small or a YAML file"),
        ("paper", ["filter"], "got the change 'filter', expected STAGE.OPTION=VALUE"),
        ("paper", ["mix.level=1"], "unknown stage: got 'mix', expected one of separate, segment"),
        ("paper", ["segment.level=1"], "unknown option of segment: got 'level', expected one of"),
        ("hq", ["filter.min_bandwith=1"], "unknown option of filter: got 'min_bandwith', expected"),
        ("paper", ["segment.min_pause=long"], "segment.min_pause must be float: got 'long'"),
        ("paper", ["score.music=1"], "score.music must be bool: got 1"),
        ("paper", ["segment.min_pause=-1"], "min_pause must be more than 0"),
        (
            "small",
            ["filter.max_clips_per_artist=many"],
            "clips_per_artist must be int . None",
        ),
        ("small", ["filter.languages=[1]"], "filter.languages must be a list of str . None: got"),
        ("paper", ["filter.languages=[no]"], "filter.languages must be a list of str . None: got"),
        ("paper", ["segment.min_pause=null"], "segment.min_pause must be float: got None"),
        ("paper", ["caption.prompt=[a"], "cannot read the change 'caption.prompt=\\[a'"),
    ],
)
def test_wrong_configurations_are_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        read_preparation(config, changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "holds no sections"),
        ("segment: 3", "the section segment must hold options: got 3"),
        ("preset: best", "unknown preset: got 'best'"),
        ("preset: [hq]", "unknown preset: got"),
        ("a: b: c", "album.yaml"),
    ],
)
def test_wrong_files_are_refused(tmp_path, content, message):
    (tmp_path / "album.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_preparation(str(tmp_path / "album.yaml"))
