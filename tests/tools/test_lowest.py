"""Tests of the comparison of installed packages with lower bounds."""

from importlib.metadata import PackageNotFoundError

from .lowest import above_lower_bounds

INSTALLED = {"numpy": "2.0.0", "torch": "2.13.0+cpu", "peft": "0.21.0", "tokenizers": "0.23.3"}


def installed(name):
    if name not in INSTALLED:
        raise PackageNotFoundError(name)
    return INSTALLED[name]


def test_packages_at_their_bounds_and_missing_ones_are_not_named():
    given = ["numpy>=2.0", 'peft>=0.21; extra == "train"', 'gradio>=6; extra == "space"', "mypy"]

    assert above_lower_bounds([*given, "numpy<3"], installed) == []


def test_packages_above_their_bounds_are_named_once():
    given = ["tokenizers>=0.22", "torch>=2.9", 'tokenizers>=0.22; extra == "dev"']

    assert above_lower_bounds(given, installed) == [
        "tokenizers>=0.22: installed is 0.23.3",
        "torch>=2.9: installed is 2.13.0+cpu",
    ]
