"""songgen-hf doctor: what is installed, what is missing, which models fit."""

import json
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
import transformers

from songgen_hf.cli import doctor, main
from songgen_hf.cli.doctor import installation, machine, text
from songgen_hf.cli.footprint import cache_bytes, count_parameters, empty_model, weight_bytes

ROOT = Path(__file__).parents[2]


def examined(capsys, *arguments, status: int = 0) -> tuple[dict, str]:
    """The findings of the command as JSON and as text."""
    capsys.readouterr()
    assert main(["doctor", *map(str, arguments), "--json"]) == status
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


@pytest.mark.slow
def test_a_healthy_machine_is_described(tiny_checkpoint, capsys):
    facts, words = examined(capsys, tiny_checkpoint())

    assert facts["works"] and facts["problems"] == []
    assert facts["packages"]["torch"]["version"] == torch.__version__
    assert facts["packages"]["transformers"]["version"] == transformers.__version__
    assert facts["hub"]["offline"] is True and facts["hub"]["free_bytes"] > 0
    assert facts["devices"][0]["device"] == "cpu"
    assert 0 < facts["devices"][0]["free_bytes"] <= facts["devices"][0]["total_bytes"]
    names = [model["model"] for model in facts["models"]]
    assert names[-3:] == ["preset mini", "preset full", tiny_checkpoint()]
    assert "songgen-mini/mixed_pro" in names
    for part in ("torch", "espeak-ng", "cpu", "preset full", "nothing is broken"):
        assert part in words


@pytest.mark.slow
def test_a_model_is_described_by_its_real_sizes(tiny_checkpoint, tiny_singer, capsys):
    facts, words = examined(capsys, tiny_checkpoint("interleaving_A_V"))

    model, config = facts["models"][-1], tiny_singer("interleaving_A_V").config
    empty = empty_model(config)
    assert model["parameters"] == count_parameters(empty)["total"]
    assert model["weight_bytes"]["bfloat16"] == weight_bytes(empty, "bfloat16")
    assert model["cache_bytes_per_minute"]["float32"] == cache_bytes(config, 60)
    needed = weight_bytes(empty) + cache_bytes(config, 30, guidance=True) + doctor.RESERVE_BYTES
    assert model["fits"]["cpu"]["needed_bytes"] == needed
    assert model["fits"]["cpu"]["fits"] is (facts["devices"][0]["free_bytes"] >= needed)
    assert f"{model['parameters'] / 1e6:,.1f} M weights" in words


@pytest.mark.slow
def test_less_precision_is_advised_only_where_it_makes_a_model_fit(tiny_singer):
    config = tiny_singer("mixed").config
    whole, half = (
        doctor.RESERVE_BYTES
        + weight_bytes(empty_model(config), dtype)
        + cache_bytes(config, 30, guidance=True, dtype=dtype, on_cpu=True)
        for dtype in ("float32", "bfloat16")
    )

    def found(free: int | None) -> tuple[str, bool | None]:
        device = {"device": "cpu", "free_bytes": free, "advice": "float32", "bfloat16": True}
        fit = doctor.describe_model("tiny", config, [device])["fits"]["cpu"]
        return fit["dtype"], fit["fits"]

    def told(free: int) -> list[str]:
        device = {"device": "cpu", "free_bytes": free, "total_bytes": free}
        device |= {"advice": "float32", "bfloat16": True}
        model = doctor.describe_model("tiny", config, [device])
        return [*text._section("", [text._device(device)]), *text._models([model], [device])]

    advised = "use float32, and bfloat16 only for a model that does not fit otherwise"
    for free, verdict in (
        (whole, "cpu: fits in float32, needs"),
        (half, "cpu: does not fit in float32, fits with --dtype bfloat16, needs"),
        (half - 1, "cpu: does not fit, even in bfloat16, needs"),
    ):
        lines = told(free)
        assert lines[1].endswith(advised) and lines[-1].strip().startswith(verdict)
    assert found(whole) == ("float32", True)
    assert found(whole - 1) == found(half) == ("bfloat16", True)
    assert found(half - 1) == ("bfloat16", False)
    assert found(None) == ("float32", None)


@pytest.mark.slow
def test_doctor_generates_a_second_of_song(tiny_checkpoint, capsys):
    facts, words = examined(capsys, tiny_checkpoint(), "--sing")

    sung = facts["sung"]
    assert 0 < sung["duration"] <= 1.0 and sung["device"] == "cpu"
    assert sung["rtf"] == sung["seconds"] / sung["duration"] > 0
    assert f"generated {sung['duration']:.2f} s" in words and "ready to sing" in words


@pytest.mark.slow
def test_a_model_that_cannot_generate_is_a_failed_check(tmp_path, tiny_checkpoint, capsys):
    broken = tmp_path / "no-weights"
    broken.mkdir()
    for name in ("config.json", "processor_config.json"):
        if (path := Path(tiny_checkpoint(), name)).is_file():
            (broken / name).write_bytes(path.read_bytes())

    facts, words = examined(capsys, broken, "--sing", status=1)

    assert not facts["works"] and facts["problems"][0].startswith("cannot sing: ")
    assert "PROBLEM: cannot sing" in words and "sung" not in facts


@pytest.mark.slow
def test_a_needed_package_that_is_broken_is_a_failed_check(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "soxr", None)  # what an import of it then says is Python's

    facts, words = examined(capsys, status=1)

    assert [name for name, found in facts["packages"].items() if found["problem"]] == ["soxr"]
    assert "PROBLEM: soxr cannot be imported" in words
    assert "pip install 'soxr>=0.5'" in words
    assert "models" not in facts


@pytest.mark.slow
def test_an_old_or_missing_package_is_reported_with_its_pip_line(monkeypatch, capsys):
    real = metadata.version

    def version(name: str) -> str:
        if name == "peft":
            return "0.1"
        if name == "gradio":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = installation.describe_extras()

    assert "0.1 is installed, >=" in found["train"]["missing"]["peft"]
    assert found["space"]["missing"]["gradio"] == "not installed"
    assert not found["train"]["complete"]
    assert found["train"]["install"] == "pip install 'songgen-hf[train]'"


@pytest.mark.slow
def test_an_incomplete_extra_is_no_failure(monkeypatch, capsys):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "peft" else real(name))

    facts, words = examined(capsys)

    assert facts["works"] and not facts["extras"]["train"]["complete"]
    assert "lacks peft (0.1 is installed" in words


@pytest.mark.slow
def test_without_metadata_the_rest_is_still_reported(monkeypatch, capsys):
    monkeypatch.setattr(installation, "DISTRIBUTION", "songgen-hf-not-installed")

    facts, words = examined(capsys)

    assert facts["works"] and facts["packages"] == {}
    assert "requirements cannot be checked (No package metadata was found" in words


@pytest.mark.slow
def test_a_checkpoint_that_is_no_song_model_is_refused(tmp_path, tiny_singer, capsys):
    tiny_singer("mixed").audio_encoder.save_pretrained(tmp_path / "codec")

    assert main(["doctor", str(tmp_path / "codec")]) == 2
    assert "expected 'songgen'" in capsys.readouterr().err
    assert main(["doctor", "nowhere"]) == 2
    assert "no checkpoint 'nowhere'" in capsys.readouterr().err


def test_every_extra_has_a_description():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    declared = set(re.findall(r'^    "(\w+)": \[', text, re.M))
    declared |= set(re.findall(r'^EXTRAS\["(\w+)"\]', text, re.M))

    assert declared <= installation.GIVES.keys()


def test_the_supported_pythons_are_those_of_the_metadata():
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    named = [
        tuple(map(int, version.split(".")))
        for version in re.findall(r"Programming Language :: Python :: (\d+\.\d+)", text)
    ]

    assert (min(named), max(named)) == installation.PYTHONS
    assert f'python_requires=">={".".join(map(str, min(named)))}"' in text


def test_memory_is_that_of_the_container(tmp_path, monkeypatch):
    free, total = machine.memory()
    assert 0 < free <= total
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")

    assert machine.memory() == (2000, 3000)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory()[1] == total


def test_unknown_memory_is_reported_as_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setitem(sys.modules, "psutil", None)

    assert machine.memory() == (None, None)


@pytest.mark.debian
def test_the_debian_packages_are_found():
    found = installation.describe_system()

    assert [name for name, part in found.items() if part["found"] is None] == []


def test_a_missing_program_is_reported_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setenv("PATH", "")

    ffmpeg = installation.describe_system()["ffmpeg"]

    assert ffmpeg["found"] is None and ffmpeg["install"] == "apt-get install ffmpeg"
