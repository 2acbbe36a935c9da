"""Plans of whole songs: tags, lengths, repeated choruses, long sections and wrong lyrics."""

import pytest

from songgen_hf.pipelines.song_plan import DEFAULT_SECONDS, SongPlan, letter_count, plan

LYRICS = """
[Intro]
[verse]
The river runs
and I run too
[chorus]
Sing with me

[VERSE 4: 6]
Another day
[inst 3.5s]
[chorus]
[outro]
"""


def test_tags_become_sections_with_names_words_and_lengths():
    made = plan(LYRICS)

    assert [section.name for section in made.sections] == [
        "intro", "verse", "chorus 1", "verse 4", "inst", "chorus 2", "outro",
    ]  # fmt: skip
    assert [section.kind for section in made.sections][:2] == ["intro", "verse"]
    assert made.sections[1].lyrics == "The river runs\nand I run too"
    lengths = [section.seconds for section in made.sections]
    assert (lengths[0], lengths[3], lengths[4]) == (DEFAULT_SECONDS["intro"], 6.0, 3.5)
    assert made.seconds == sum(lengths) and made.starts[2] == lengths[0] + lengths[1]


def test_a_chorus_without_lines_has_those_of_the_first_and_quotes_it():
    again, other = plan(LYRICS), plan(LYRICS, repeat_chorus=False)

    assert [section.quotes for section in again.sections] == [None] * 5 + [2, None]
    assert again.sections[5].lyrics == other.sections[5].lyrics == "Sing with me"
    assert all(section.quotes is None for section in other.sections)
    changed = plan("[chorus]\nla la\n[chorus]\nla lo")
    assert [section.quotes for section in changed.sections] == [None, None]


def test_more_letters_take_longer_and_an_ideograph_is_a_syllable():
    short, long = plan("[verse]\n" + "la " * 12 + "\n[bridge]\n" + "la " * 20).sections

    assert 2 < short.seconds < long.seconds
    assert letter_count("la, la! 2") == 5 and letter_count("月亮") == 6


def test_the_plan_is_printed_as_a_table():
    assert str(plan("[inst 3s]\n[verse 2: 61]\nla la\n[chorus]\n" + "la " * 20, window=90)) == (
        "section   start  length  words\n"
        "inst     0:00.0   3.0 s\n"
        "verse 2  0:03.0  61.0 s  la la\n"
        "chorus   1:04.0   5.6 s  la la la la la la la la la la la la l...\n"
        "3 sections, 1:09.6"
    )


def test_lyrics_without_tags_are_split_at_stanzas_and_then_at_lines():
    line = "one two three four five"
    made = plan(f"{line}\n{line}\n\n" + "\n".join([line] * 9), window=12, context=4)

    assert [section.lyrics.count("\n") + 1 for section in made.sections] == [2, 2, 2, 2, 2, 1]
    assert [section.name for section in made.sections] == list("123456")
    assert "\n".join(section.lyrics for section in made.sections).split("\n") == [line] * 11
    assert all(section.seconds <= 8 for section in made.sections)


def test_a_stride_slides_the_window_through_long_sections():
    made = plan("[inst 50s]", window=20, extend_stride=12)

    assert made.context == 8
    assert [section.name for section in made.sections] == [f"inst ({i}/4)" for i in range(1, 5)]
    assert [section.seconds for section in made.sections] == [20, 10, 10, 10]
    sung = plan("[verse 30s]\n" + "la la\n" * 6, window=12, extend_stride=10)
    assert [section.lyrics.count("la") // 2 for section in sung.sections] == [2, 2, 2]
    assert sung.seconds == pytest.approx(30)


@pytest.mark.parametrize("seed", range(20))
def test_no_section_with_its_context_exceeds_the_window(seed):
    import random

    draw = random.Random(seed)
    lines = [
        "[inst 70s]" if draw.random() < 0.05 else "la " * draw.randint(1, 12)
        for _ in range(draw.randint(1, 40))
    ]
    window = draw.uniform(10, 30)
    made = plan("\n".join(lines), window=window, extend_stride=draw.uniform(0.6, 1) * window)

    assert made.sections[0].seconds <= window
    assert all(one.seconds + made.context <= window + 1e-6 for one in made.sections[1:])
    assert all(section.seconds >= 2 for section in made.sections)
    names = [section.name for section in made.sections]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("lyrics", "options", "message"),
    [
        ("[solo]\nla", {}, r"unknown tag \[solo\]: expected \[intro\], \[verse\]"),
        ("[verse]\nla [x2] la", {}, r"unknown tag \[x2\]"),
        ("[verse]\nla\n[bridge]\n[outro]", {}, r"\[bridge\] has no words: write lines below it"),
        ("[inst 0s]", {}, r"\[inst 0s\] has no length"),
        (" \n!", {}, "the song is empty: got no words and no sections; give lyrics"),
        (None, {}, "the song is empty"),
        ("[inst 21s]", {}, "'inst' takes 21.0 s: expected at most 20 s in a window of 20 s; split"),
        ("[inst]\n[verse 17s]\nla", {}, "at most 16 s in a window of 20 s after 4 s of context"),
        ("la " * 200, {}, "section '1' takes 53.6 s: expected at most 20 s"),
        ("la", {"window": 0}, "window must be above 0 seconds and finite: got 0"),
        ("la", {"context": 20}, "context is 20 s: expected less than the window of 20 s"),
        ("la", {"extend_stride": 21}, "extend_stride is 21 s: expected at most the window"),
        ("la", {"extend_stride": 9, "context": 2}, "context and extend_stride were both given"),
        ("la", {"window": "long"}, "window must be a number of seconds: got 'long'"),
        (7, {}, "lyrics must be a string or None: got int"),
    ],
)
def test_wrong_plans_are_refused_in_one_line(lyrics, options, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        plan(lyrics, **options)

    assert "\n" not in str(caught.value)


def test_a_plan_made_by_hand_is_checked():
    section = plan("[inst 3s]").sections[0]

    with pytest.raises(ValueError, match="quotes section 1: expected an earlier one"):
        SongPlan((section, type(section)("chorus", "chorus", "la", 3.0, quotes=1)))
