"""Adapters are chosen by name or Hub id and never by path."""

import pytest

from songgen_hf.space.adapters import FILES, Adapters
from songgen_hf.space.limits import Limits


@pytest.fixture
def folder(tmp_path):
    """A folder with two adapters."""
    for name in ("blues", "choir"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
        for file in FILES:
            (tmp_path / "adapters" / name / file).write_text("{}")
    return tmp_path / "adapters"


def test_every_adapter_of_a_folder_is_offered(folder):
    adapters = Adapters([folder])

    assert adapters.names == ["blues", "choir"]
    assert adapters.resolve("choir", 0.5) == {str(folder / "choir"): 0.5}


def test_one_adapter_is_offered_by_its_folder_name(folder):
    assert Adapters([folder / "blues"]).names == ["blues"]


def test_the_base_of_an_adapter_is_the_model_that_it_was_trained_on(folder):
    path = folder / "blues" / "adapter_config.json"
    path.write_text('{"base_model_name_or_path": "/models/songgen-mini/mixed_pro"}')
    (folder / "broken").mkdir()
    (folder / "broken" / "adapter_config.json").write_text("[")
    adapters = Adapters([folder, "me/on-the-hub"])

    assert adapters.base("blues") == "mixed_pro"
    assert [adapters.base(name) for name in ("choir", "broken", "me/on-the-hub", "")] == [""] * 4


def test_an_empty_name_or_a_weight_of_zero_gives_no_adapter(folder):
    adapters = Adapters([folder])

    assert adapters.resolve("", 1.0) == {} == adapters.resolve("blues", 0)


@pytest.mark.parametrize(
    "name",
    ["../blues", "/etc/passwd", "adapters/../../x", "a/b/c", "C:\\x", "..", "me/..", "./blues"],
)
def test_a_visitor_cannot_name_a_path(folder, monkeypatch, name):
    monkeypatch.chdir(folder.parent)

    with pytest.raises(ValueError, match="no adapter .* choose one of this Space"):
        Adapters([folder]).resolve(name, 1.0)


def test_a_name_is_not_looked_up_in_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)

    with pytest.raises(ValueError, match="cannot fetch the adapter adapters/blues from the Hub"):
        Adapters().resolve("adapters/blues", 1.0)


def test_adapters_are_combined_by_their_weights(folder):
    place = {name: str((folder / name).resolve()) for name in ("blues", "choir")}
    adapters = Adapters([folder])

    assert adapters.resolve("blues:0.5, choir", 0.5) == {place["blues"]: 0.25, place["choir"]: 0.5}
    assert adapters.resolve("blues:0,choir:2", 1.0) == {place["choir"]: 2.0}


@pytest.mark.parametrize("name", ["blues:2.5", "blues:-1", "blues:nan", "choir,blues:3"])
def test_a_weight_outside_of_its_range_is_refused(folder, name):
    adapters = Adapters([folder])

    for use in (adapters.check, lambda name: adapters.resolve(name, 1.0)):
        with pytest.raises(ValueError, match="there is no adapter 'blues:.*' here: choose one of"):
            use(name)


def test_a_weight_that_is_no_number_is_refused(folder):
    with pytest.raises(ValueError, match="weight of the adapter blues is 'much': expected a num"):
        Adapters([folder]).check("blues:much")


@pytest.mark.parametrize("name", ["take:final", "blues, choir", "take:2"])
def test_an_offered_name_with_marks_is_one_adapter(folder, name):
    (folder / "blues").rename(folder / name)
    adapters = Adapters([folder])

    adapters.check(name)
    assert adapters.resolve(name, 0.5) == {str((folder / name).resolve()): 0.5}


def test_a_space_can_refuse_adapters_of_the_hub(folder):
    with pytest.raises(ValueError, match="its own adapters only"):
        Adapters([folder], Limits(hub_adapters=False)).resolve("me/voice", 1.0)


def test_two_adapters_with_the_same_name_are_refused(folder, tmp_path):
    other = tmp_path / "other" / "blues"
    other.mkdir(parents=True)
    (other / FILES[0]).write_text("{}")

    with pytest.raises(ValueError, match="two adapters are called 'blues'"):
        Adapters([folder, other])


@pytest.mark.parametrize("source", ["nowhere", "a/b/c"])
def test_a_source_that_is_neither_a_folder_nor_a_hub_id_is_refused(source):
    with pytest.raises(ValueError, match="neither a folder here nor a Hub id"):
        Adapters([source])


def test_a_folder_without_adapters_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no adapter"):
        Adapters([tmp_path])
