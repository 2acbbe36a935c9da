"""Comparing metric cards: pairs by prompt, several systems, and the refusal of other settings."""

import copy
import re

import pytest

from songgen_hf.evaluation.songs.comparison import compare_cards, comparison_markdown, read_rows

ROWS = [
    {"id": f"{seed}-{name}", "prompt": name, "seed": seed, "wer_edits": edits, "wer_length": 10}
    for seed in (0, 1)
    for name, edits in zip("abcdef", (1, 2, 3, 4, 5, 6), strict=True)
]


def changed(more):
    return [{**row, "wer_edits": row["wer_edits"] + more} for row in ROWS]


@pytest.fixture
def card():
    draws = [1.0, 2.0, 3.0, 2.0]
    interval = {"low": 0.2, "high": 0.5, "n": 12, "unit": "edits / words"}
    return {
        "name": "mine",
        "songs": {"n": 12, "prompts": list("abcdef"), "digest": "x"},
        "settings": {
            "loudness": -14.0, "clap": {"model": "clap", "revision": "abc"}, "num_songs": 12,
            "seed": 0, "draws": 100, "prompts": "requests",
        },
        "scores": {
            "wer": {"value": 0.35, **interval},
            "fad_clap": {"value": 2.0, **interval, "draws": draws},
            "fad_clap_infinity": {"value": 1.5, **interval},
        },
    }  # fmt: skip


def named(card, name, **scores):
    other = copy.deepcopy(card) | {"name": name}
    for score, value in scores.items():
        other["scores"][score]["value"] = value
    return other


def test_every_system_is_compared_with_the_first_by_prompts(card):
    systems = [card, named(card, "worse", wer=0.55), named(card, "equal")]

    found = compare_cards(systems, [ROWS, changed(2), ROWS])

    wer = found["metrics"][0]
    worse, equal = wer["differences"]
    assert found["systems"] == ["mine", "worse", "equal"]
    assert worse["value"] == pytest.approx(0.2) and worse["n"] == 6, "prompts, not songs"
    assert worse["interval"] == pytest.approx((0.2, 0.2))
    assert 2 * 2 / 2**6 / 2 < worse["p_value"] < 4 * 2 / 2**6, "twice that of one comparison"
    assert (equal["value"], equal["p_value"]) == (0, 1)


def test_frechet_distances_are_compared_by_their_draws(card):
    other = named(card, "other", fad_clap=3.0)
    other["scores"]["fad_clap"]["draws"] = [2.0, 3.0, 4.0, 3.0]

    _, clap, infinity = compare_cards([card, other], [ROWS, ROWS])["metrics"]

    assert clap["differences"][0]["interval"] == (1.0, 1.0)
    assert infinity["differences"][0]["interval"] is None
    assert infinity["differences"][0]["unpaired"] == "a card has no bootstrap draws of it"
    other["songs"]["prompts"] = list("abcdeg")
    _, clap, _ = compare_cards([card, other], [ROWS, ROWS])["metrics"]
    assert clap["differences"][0]["unpaired"].startswith("the systems have different prompts")


def test_without_pairs_there_is_a_difference_and_the_reason(card):
    other = named(card, "other", wer=0.75)
    elsewhere = [{**row, "prompt": row["prompt"] + "2"} for row in ROWS]

    for rows, reason in (
        (None, "the rows of the songs are not beside the card"),
        ([ROWS, elsewhere], "0 shared prompts, expected at least 2"),
    ):
        found = compare_cards([card, other], rows)
        (difference,) = found["metrics"][0]["differences"]
        assert difference["value"] == pytest.approx(0.4) and difference["p_value"] is None
        assert difference["unpaired"] == reason
        assert f"- wer: {reason}" in comparison_markdown(found)


def test_the_table_marks_what_is_significant(card):
    other = named(card, "worse", wer=0.55)
    del other["scores"]["fad_clap"], other["scores"]["fad_clap_infinity"]

    page = comparison_markdown(compare_cards([card, other], [ROWS, changed(2)]))

    assert "| metric | mine | worse | difference |" in page
    assert "| wer | 0.35 (0.2 to 0.5) | 0.55 (0.2 to 0.5) | +0.2\\* (+0.2 to +0.2, p 0.0" in page
    assert "adjusted for 1 compared system," in page and "fad_clap" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loudness": None}, "differ: loudness -14.0 and none; measure all in the same way"),
        ({"clap": {"model": "clap", "revision": "abd"}}, "differ: clap.revision abc and abd;"),
        ({"seeds": [1]}, "differ: seeds none and [1];"),
        (
            {"num_songs": 2, "loudness": -20.0, "a": 1, "b": 2},
            "differ: a none and 1; b none and 2; loudness -14.0 and -20.0 and 1 more;",
        ),
    ],
)
def test_cards_of_different_settings_are_refused_in_one_line(card, change, message):
    other = named(card, "other")
    other["settings"] |= change

    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        compare_cards([card, card, other])
    assert "\n" not in str(refused.value)


def test_cards_compared_despite_their_settings_say_so(card):
    other = named(card, "other")
    other["settings"] |= {"loudness": -20.0, "prompts": "others"}

    found = compare_cards([card, other], [ROWS, ROWS], despite_settings=True)

    assert found["settings_differ"] == ["loudness -14.0 and -20.0", "prompts requests and others"]
    page = comparison_markdown(found)
    assert page.startswith("**These systems were measured differently:**\n\n- loudness -14.0")
    reason = "prompts of one name have other requests, or their digests are unknown"
    assert {one["differences"][0]["unpaired"] for one in found["metrics"]} == {reason}


def test_one_card_is_an_error(card):
    with pytest.raises(ValueError, match="got 1 metric cards, expected at least two"):
        compare_cards([card])


def test_a_card_without_rows_has_none(tmp_path):
    assert read_rows(tmp_path / "card.json") == []
    (tmp_path / "card.rows.jsonl").write_text('{"id": "a"}\n\n{"id": "b"}\n')
    assert read_rows(tmp_path / "card.json") == [{"id": "a"}, {"id": "b"}]
    (tmp_path / "card.rows.jsonl").write_text("no JSON")
    with pytest.raises(ValueError, match=r"card\.rows\.jsonl"):
        read_rows(tmp_path / "card.json")
