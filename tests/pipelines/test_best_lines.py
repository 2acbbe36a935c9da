"""Best of N line by line: kept lines are the beginning of the next ones, and all takes are told."""

import numpy as np
import pytest

from songgen_hf.modeling.lyrics_words import TokenizedWord
from songgen_hf.pipelines import tracks_in_place
from songgen_hf.pipelines.best_lines import LineByLine, sung_lines
from songgen_hf.pipelines.song_plan import by_line, plan
from songgen_hf.pipelines.song_requests import MAX_SEED
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

LYRICS = "[verse]\nla lo\nsing on"
LENGTH = 0.6


@pytest.fixture(scope="module", params=["autoregressive", "masked"])
def pipe(request, tiny_singer, tiny_masked, tiny_processor):
    """A tiny pipeline with two tracks whose listener likes later seeds and hears which lines."""
    heard = []

    def take_listener(request, rank_by=None, *, device="cpu"):
        heard.append(request["lyrics"])
        return lambda take: {"phoneme_error_rate": -float(take["seed"] % 10)}

    if request.param == "masked":
        pytest.importorskip("diffusers", reason="needs the extra diffusers")
        pipe = tiny_masked("parallel_std")
        pipe.take_listener = take_listener
    else:
        model = tiny_singer("interleaving_A_V")
        decoder = model.config.decoder
        pipe = TextToSongPipeline(
            model=model,
            processor=tiny_processor,
            take_listener=take_listener,
            do_sample=True,
            suppress_tokens=list(range(decoder.codebook_size, decoder.vocab_size)),
        )
    pipe.heard = heard
    return pipe


def sing(pipe, text="folk", **arguments):
    few = {"num_inference_steps": 2, "progress": False} if pipe.mode == "masked" else {}
    own = {"lyrics": LYRICS, "seconds": LENGTH, "seed": 3, "best_of": 2, "best_of_by": "line"}
    return pipe(text, **few, **own | arguments)


def test_each_line_continues_the_kept_one_and_all_takes_have_scores(pipe):
    pipe.heard.clear()
    song = sing(pipe)

    assert pipe.heard == ["la lo", "sing on"]
    lines = song["line_takes"]
    assert [line["line"] for line in lines] == ["la lo", "sing on"][: len(lines)]
    assert [line["start"] for line in lines] == [0.0, lines[0]["end"]][: len(lines)]
    assert lines[-1]["end"] == LENGTH == song["codes"].shape[-1] / 50
    for place, line in enumerate(lines):
        assert [take["seed"] for take in line["takes"]] == [4 + 1000 * place, 3 + 1000 * place]
        assert line["takes"][0]["score"] > line["takes"][1]["score"]
        assert set(line["takes"][0]["score_parts"]) >= {"phoneme_error_rate", "silent_share"}
    assert song["score"] == pytest.approx(np.mean([line["takes"][0]["score"] for line in lines]))
    assert "swap_margin" not in song
    # The first line is the beginning of the take that its seed gives alone.
    alone = sing(pipe, best_of=None, best_of_by="song", seed=4)
    end = round(lines[0]["end"] * 50)
    np.testing.assert_array_equal(song["codes"][..., :end], alone["codes"][..., :end])


@pytest.mark.slow
def test_tracks_of_a_line_are_exchanged(pipe, monkeypatch):
    plain = sing(pipe, lyrics="la lo")
    monkeypatch.setattr(tracks_in_place, "swapped_stretches", lambda *_, **__: [(0, None)])
    codec = pipe.codec if pipe.mode == "masked" else pipe.model.audio_encoder
    weight = next(codec.acoustic_decoder.parameters())
    monkeypatch.setattr(weight, "requires_grad", True)  # as in a codec that was loaded alone

    song = sing(pipe, lyrics="la lo")

    np.testing.assert_array_equal(song["codes"], plain["codes"][::-1])


@pytest.mark.slow
def test_the_seeds_of_all_takes_can_be_given_again(pipe):
    lines = sing(pipe, seed=MAX_SEED)["line_takes"]

    assert {take["seed"] for take in lines[0]["takes"]} == {0, MAX_SEED}
    assert {take["seed"] for line in lines[1:] for take in line["takes"]} <= {999, 1000}


def test_neither_the_batch_size_nor_other_songs_change_a_song(pipe):
    song = sing(pipe)
    several = sing(pipe, ["rock", "folk"], lyrics=["oh no", LYRICS], seed=[1, 3], batch_size=1)[1]

    np.testing.assert_array_equal(several["codes"], song["codes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"best_of_by": "word"}, "best_of_by is 'word': expected 'song' or 'line'"),
        ({"best_of": None}, "best_of_by is 'line', but there is nothing to rank: give best_of"),
        ({"lyrics": None}, 'best_of_by="line" needs lyrics: got none'),
        ({"regions": (0.1, 0.2)}, "begins a new song: leave regions out"),
    ],
)
def test_wrong_arguments_are_one_line(pipe, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        sing(pipe, **arguments)

    assert "\n" not in str(caught.value)


def test_takes_that_end_before_they_begin_leave_their_line_empty(tiny_singer, tiny_processor):
    pipe = TextToSongPipeline(
        model=tiny_singer("mixed"),
        processor=tiny_processor,
        take_listener=lambda *_, **__: lambda take: {"phoneme_error_rate": 0.0},
        do_sample=True,
    )

    songs = [sing(pipe, seed=seed) for seed in range(3, 10)]

    assert {song["codes"].shape[-1] for song in songs} == {30}
    assert 0.0 in [song["line_takes"][1]["start"] for song in songs]


@pytest.fixture
def lines():
    """Factory of the parts that decide lengths and ends, at 50 frames a second."""

    def build(**own):
        options = dict.fromkeys(LineByLine.__dataclass_fields__) | {
            "frame_rate": 50.0,
            "hop_length": 320,
            "codebook_size": 1024,
            "predicts_length": False,
        }
        return LineByLine(**options | own)

    return build


def test_a_line_ends_in_the_middle_of_the_pause_before_the_next_one(lines):
    times = [{"start": 0.2, "end": 1.0}, {"start": 1.4, "end": 1.6}]
    take = {"codes": np.zeros((2, 8, 100), np.int64), "lines": times}

    assert lines()._end(take, 0, 2, known=0) == 60
    assert lines()._end(take, 1, 2, known=60) == 100  # the last line ends with the song
    assert lines()._end(take, 0, 2, known=70) == 71  # there is no empty line
    take["codes"][0, 0, 50:] = 1025
    assert lines()._end(take, 0, 2, known=0) == 50  # nor one of special ids
    assert lines()._end({**take, "lines": []}, 0, 2, known=0) == 50


@pytest.mark.parametrize(
    ("request_seconds", "longest", "expected"),
    [(None, None, (None, None)), (None, 9.0, (None, 8.0)), (9.0, None, (8.0, None))],
)
def test_the_last_line_has_the_length_that_remains(lines, request_seconds, longest, expected):
    own = lines(max_seconds=longest)
    song = {"codes": np.zeros((2, 8, 80))}

    seconds, bounds = own._length({"seconds": request_seconds}, ["sing on"], song, 50)

    assert (seconds, bounds["max_seconds"]) == expected
    earlier, _ = own._length({"seconds": 1.5}, ["a line", "sing on"], song, 50)
    assert earlier == 0.5


def test_lines_without_tokens_are_not_sung():
    words = [TokenizedWord("...", (), 0), TokenizedWord("la", (2,), 1)]

    assert sung_lines(words, ["...", "la"]) == ["la"]


def test_a_plan_by_line_has_a_section_for_each_line_and_quotes_them():
    made = by_line(plan("[verse 4s]\na b c\nd e f\n[chorus]\nla lo\nli\n[inst 2s]\n[chorus]"))

    names = [section.name for section in made.sections]
    assert names[:2] == ["verse (1/2)", "verse (2/2)"] and names[4] == "inst"
    assert [section.seconds for section in made.sections[:2]] == [2.0, 2.0]
    assert [section.lyrics for section in made.sections[5:]] == ["la lo", "li"]
    assert [section.quotes for section in made.sections] == [None] * 5 + [2, 3]
    assert by_line(made) == made
