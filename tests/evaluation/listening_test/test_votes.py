"""The analysis of votes: planted preferences, opinions and guesses, and votes that do not fit."""

import json

import numpy as np
import pytest

from songgen_hf.cli import main
from songgen_hf.evaluation.listening_test.votes import analyze_votes

SIDES = (("p", "q"), ("q", "p"))


def key_of(design, systems=("p", "q"), items=8, **more):
    """The key of a page with one trial for each item, in which sides and X change."""
    trials = {
        f"t{item}": {"item": f"song {item}", "systems": list(SIDES[item % 2])}
        | ({"x": "ab"[item // 2 % 2]} if design == "abx" else {})
        for item in range(items)
    }
    if design == "mos":
        trials = {
            f"{name}{item}": {"item": f"song {item}", "systems": [name]}
            for item in range(items)
            for name in systems
        }
    key = {"page": "0123", "design": design, "systems": list(systems), "ties": design == "ab"}
    return key | {"trials": trials} | more


@pytest.fixture
def folder(tmp_path):
    """Writes a key and the votes of listeners, and returns the paths of the votes and the key."""

    def write(key, votes, page="0123"):
        paths = []
        for listener, answers in votes.items():
            paths.append(tmp_path / f"{listener}.json")
            ballot = {"page": page, "design": "ab", "listener": listener, "votes": answers}
            paths[-1].write_text(json.dumps(ballot), encoding="utf-8")
        (tmp_path / "key.json").write_text(json.dumps(key), encoding="utf-8")
        return paths, tmp_path / "key.json"

    return write


def drawn_preferences(key, share, ties, listeners=10, seed=0):
    """Votes of listeners who prefer p with a probability, and are undecided with another one."""
    random = np.random.default_rng(seed)

    def answer(systems):
        if random.random() < ties:
            return "tie"
        return "ab"[systems.index("p" if random.random() < share else "q")]

    return {
        f"l{number}": {name: answer(trial["systems"]) for name, trial in key["trials"].items()}
        for number in range(listeners)
    }


def test_a_planted_preference_is_found(folder):
    key = key_of("ab", items=40)

    found = analyze_votes(*folder(key, drawn_preferences(key, 0.8, 0.2)), draws=200)

    (pair,) = found["pairs"]
    assert (found["listeners"], found["votes"], found["missing"]) == (10, 400, 0)
    assert pair["votes"] == pair["first_wins"] + pair["second_wins"] + pair["ties"] == 400
    assert pair["preference"] == pytest.approx(0.8 * 0.8 + 0.2 / 2, abs=0.05)
    assert pair["interval"][0] < pair["preference"] < pair["interval"][1]
    first, second = found["strengths"]
    assert first["strength"] - second["strength"] == pytest.approx(np.log(0.8 / 0.2), abs=0.4)
    assert 0 < first["interval"][0] < first["strength"] < first["interval"][1]
    assert found["finite"] and found["tie_parameter"] > 0


@pytest.mark.slow
def test_swapped_sides_and_swapped_systems_mirror_the_result(folder):
    key = key_of("ab")
    votes = drawn_preferences(key, 0.7, 0.3)
    straight = analyze_votes(*folder(key, votes), draws=100)
    swapped_sides = {
        name: trial | {"systems": trial["systems"][::-1]} for name, trial in key["trials"].items()
    }
    mirrored = analyze_votes(*folder(key | {"trials": swapped_sides}, votes), draws=100)
    renamed = analyze_votes(*folder(key | {"systems": ["q", "p"]}, votes), draws=100)

    for other in (mirrored, renamed):
        one, two = straight["pairs"][0], other["pairs"][0]
        assert two["preference"] == pytest.approx(1 - one["preference"])
        assert two["interval"] == pytest.approx([1 - end for end in one["interval"][::-1]])
        assert (two["first_wins"], two["second_wins"], two["ties"]) == (
            one["second_wins"], one["first_wins"], one["ties"],
        )  # fmt: skip
    by_name = {one["system"]: one["strength"] for one in straight["strengths"]}
    assert {one["system"]: one["strength"] for one in renamed["strengths"]} == pytest.approx(
        by_name
    )
    assert mirrored["strengths"][0]["strength"] == pytest.approx(
        -straight["strengths"][0]["strength"]
    )


def test_ties_alone_are_no_preference(folder):
    key = key_of("ab")
    votes = {"l": dict.fromkeys(key["trials"], "tie")}

    found = analyze_votes(*folder(key, votes), draws=20)

    assert found["pairs"][0]["preference"] == 0.5
    assert found["pairs"][0]["interval"] == [0.5, 0.5]
    assert [one["strength"] for one in found["strengths"]] == pytest.approx([0, 0], abs=1e-9)


def test_a_system_that_always_won_is_said_to_have_no_finite_strength(folder, capsys):
    key = key_of("ab")
    votes = {"l": {name: "ab"[t["systems"].index("p")] for name, t in key["trials"].items()}}
    files, key_file = folder(key, votes)

    assert (
        main(["evaluate", "votes", *map(str, files), "--key", str(key_file), "--draws", "50"]) == 0
    )

    printed = capsys.readouterr().out
    assert "p against q: 8 to 0, 0 ties; preference for p 100 % [100, 100]" in printed
    assert "won or lost every comparison: their strengths are bounds" in printed


def test_a_pair_without_votes_is_unknown(folder, capsys):
    key = key_of("ab", systems=("p", "q", "r"))
    files, key_file = folder(key, drawn_preferences(key, 0.5, 0.0, listeners=2))

    command = ["evaluate", "votes", *map(str, files), "--key", str(key_file), "--draws", "20"]
    assert main([*command, "--json"]) == 0

    captured = capsys.readouterr()
    pairs = {(one["first"], one["second"]): one for one in json.loads(captured.out)["pairs"]}
    assert pairs["p", "r"]["votes"] == 0 and pairs["p", "r"]["preference"] is None
    assert pairs["p", "q"]["votes"] == 16 and "preference for p unknown" in captured.err


def test_opinions_are_averaged_and_compared(folder):
    key = key_of("mos", items=20)
    random = np.random.default_rng(0)
    votes = {
        f"l{number}": {
            name: int(np.clip(round(random.normal(4 if name[0] == "p" else 2.5, 0.7)), 1, 5))
            for name in key["trials"]
        }
        for number in range(6)
    }

    found = analyze_votes(*folder(key, votes), draws=200)

    for one, expected in zip(found["systems"], (4, 2.5), strict=True):
        assert one["votes"] == 120 and one["opinion"] == pytest.approx(expected, abs=0.2)
        assert one["interval"][0] < one["opinion"] < one["interval"][1]
    (pair,) = found["pairs"]
    assert pair["difference"] == pytest.approx(
        found["systems"][0]["opinion"] - found["systems"][1]["opinion"], abs=1e-3
    )
    assert pair["interval"][0] > 1


def test_correct_answers_are_counted_whatever_the_side_of_x(folder):
    key = key_of("abx")
    votes = {
        "keen": {name: trial["x"] for name, trial in key["trials"].items()},
        "deaf": dict.fromkeys(key["trials"], "a"),
    }

    found = analyze_votes(*folder(key, votes))

    (pair,) = found["pairs"]
    assert (pair["correct"], pair["votes"], pair["share"]) == (12, 16, 0.75)
    assert pair["p_value"] == pytest.approx(sum((1820, 560, 120, 16, 1)) / 2**16)
    keen, deaf = (found["of_listeners"][name] for name in ("keen", "deaf"))
    assert keen["correct"] == 8 and keen["p_value"] == pytest.approx(2**-8)
    assert deaf["correct"] == 4


def test_unanswered_questions_are_counted(folder):
    key = key_of("mos")
    found = analyze_votes(*folder(key, {"one": {"p0": 5, "q3": 1}, "two": {}}), draws=20)

    assert (found["listeners"], found["votes"], found["missing"]) == (2, 2, 30)
    assert [one["opinion"] for one in found["systems"]] == [5, 1]


def test_votes_of_another_page_are_refused_in_one_line(folder, capsys):
    files, key = folder(key_of("ab"), {"l": {"t0": "a"}}, page="4567")

    assert main(["evaluate", "votes", str(files[0]), "--key", str(key)]) == 2

    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(
        "l.json has votes of page 4567, the key is that of page 0123: give the key of that page"
    )


def test_a_listener_who_voted_twice_is_an_error(folder, tmp_path):
    files, key = folder(key_of("ab"), {"anna": {"t0": "a"}})
    copy = tmp_path / "copy.json"
    copy.write_bytes(files[0].read_bytes())

    with pytest.raises(ValueError, match=r"anna.json and .*copy.json are both of listener 'anna'"):
        analyze_votes([*files, copy], key)
    with pytest.raises(ValueError, match="both of listener"):
        analyze_votes([*files, *files], key)


@pytest.mark.parametrize(
    ("design", "answers", "message"),
    [
        ("ab", {"t9": "a"}, "answers 'a' to question 't9', expected one of a, b, tie"),
        ("ab", {"t1": "x"}, "answers 'x' to question 't1'"),
        ("abx", {"t1": "tie"}, "answers 'tie' to question 't1', expected one of a, b to"),
        ("mos", {"p1": 6}, "answers 6 to question 'p1', expected one of 5, 4, 3, 2, 1 to"),
        ("mos", {"p1": True}, "answers True to question 'p1'"),
        ("mos", {"p1": [1]}, r"answers \[1\] to question 'p1'"),
        ("ab", {}, "1 files hold no answers"),
    ],
)
def test_answers_that_the_page_has_not_are_errors(folder, design, answers, message):
    with pytest.raises(ValueError, match=message):
        analyze_votes(*folder(key_of(design), {"l": answers}))


def test_files_that_are_no_votes_and_no_key_are_errors(folder, tmp_path):
    files, key = folder(key_of("ab"), {"l": {"t0": "a"}})
    (tmp_path / "text.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")

    with pytest.raises(ValueError, match=r"key.json holds no votes"):
        analyze_votes([key], key)
    with pytest.raises(ValueError, match=r"l.json is no key of a listening test"):
        analyze_votes(files, files[0])
    with pytest.raises(ValueError, match=r"text.json is no JSON file"):
        analyze_votes([tmp_path / "text.json"], key)
    with pytest.raises(ValueError, match=r"list.json holds no JSON object"):
        analyze_votes([tmp_path / "list.json"], key)
    with pytest.raises(FileNotFoundError, match=r"no.json does not exist"):
        analyze_votes([tmp_path / "no.json"], key)
