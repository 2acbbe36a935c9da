"""Whole songs of both kinds of models: context, quotes, resumption, redone sections and errors."""

import json

import numpy as np
import pytest
import torch

from songgen_hf.modeling import modeling_xcodec
from songgen_hf.pipelines.song_plan import plan
from songgen_hf.pipelines.song_requests import MAX_SEED
from songgen_hf.provenance import read_provenance

from .whole_song_cases import (
    CONTEXT,
    ENDS,
    FEW,
    HOP,
    KINDS,
    LENGTHS,
    LYRICS,
    OPTIONS,
    RATE,
    WINDOW,
    same_songs,
    sounds_of,
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_song_has_the_sections_of_its_plan(songs, kind):
    song = songs(kind)

    assert song["codes"].shape[-1] == ENDS[-1] and song["seed"] == 3
    assert song["audio"].shape == (1, ENDS[-1] * HOP)
    names = [section["name"] for section in song["sections"]]
    assert names == ["intro", "verse 1", "chorus 1", "inst", "chorus 2", "verse 2"]
    assert [round(section["end"] * 50) for section in song["sections"]] == ENDS
    assert [section["seed"] for section in song["sections"]] == [3, 1003, 2003, 3003, 2003, 5003]
    assert song["sections"][4]["quotes"] == "chorus 1" and "quotes" not in song["sections"][2]


class Follower:
    """Keeps the codes that are told of each section."""

    def __init__(self):
        self.sections, self.begun, self.calls = {}, [], 0

    def __call__(self, section, before, codes):
        self.calls += 1
        if not codes.shape[-1]:
            assert before == 0
            self.begun.append(section)
            self.sections[section] = codes
            return
        assert before == self.sections[section].shape[-1]
        self.sections[section] = torch.cat([self.sections[section], codes], dim=-1)

    @property
    def codes(self):
        return torch.cat([self.sections[place] for place in sorted(self.sections)], dim=-1).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_the_codes_of_a_song_are_told_while_they_are_generated(singer, songs, tmp_path, kind):
    pipe, settings = singer(kind)
    told, again = Follower(), Follower()
    request = {**OPTIONS, **settings, "folder": tmp_path}

    song = pipe.whole_song("folk", LYRICS, follow=told, **request)
    pipe.whole_song("folk", LYRICS, follow=again, **request)

    same_songs(song, songs(kind))
    assert np.array_equal(told.codes, song["codes"])
    assert told.calls == 12 if kind == "masked" else told.calls > 40
    assert again.begun == list(range(6)) and np.array_equal(again.codes, song["codes"])


def test_a_section_with_swapped_tracks_is_told_again(singer, monkeypatch):
    pipe, settings = singer("interleaving_A_V")
    swapped = iter((5.0, 2.0, 4.0, 3.0))
    monkeypatch.setattr(pipe, "_misplaced_seconds", lambda *_: next(swapped))
    told = Follower()

    song = pipe.whole_song("folk", "[verse 0.2s]\nla", seed=3, follow=told, **settings)

    assert told.begun == [0] * 5  # four tries, and the best of them
    assert song["sections"][0]["seed"] == 253 and np.array_equal(told.codes, song["codes"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_quoted_chorus_has_the_codes_of_the_first(songs, kind):
    codes = songs(kind)["codes"]

    assert np.array_equal(codes[..., ENDS[3] : ENDS[4]], codes[..., ENDS[1] : ENDS[2]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_a_chorus_that_is_not_to_be_repeated_is_generated(singer, kind):
    pipe, settings = singer(kind)
    lyrics = "[chorus 0.1s]\nla\n[chorus 0.1s]"

    song = pipe.whole_song("folk", lyrics, seed=1, repeat_chorus=False, **settings)

    codes = song["codes"]
    assert (codes[..., :5] != codes[..., 5:]).mean() > 0.5
    assert "quotes" not in song["sections"][1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_section_is_the_continuation_of_the_codes_and_words_before_it(
    singer, songs, heard, kind
):
    pipe, settings = singer(kind)
    song = songs(kind)
    calls = heard(pipe)

    again = pipe.whole_song("folk", LYRICS, **OPTIONS, **settings)

    same_songs(song, again)
    windows = list(calls)
    assert len(windows) == 5  # of six sections, one is quoted
    for call, place in zip(windows, (0, 1, 2, 3, 5), strict=True):
        start = ENDS[place] - LENGTHS[place]
        known = min(start, CONTEXT)
        if "song" in call:  # without words: a silent vocal is given
            assert call["regions"] == (known / 50, None) and call["keep_track"] == "vocal"
            prompt = call["song"].numpy()[..., :known]
        else:
            prompt = np.zeros((*song["codes"].shape[:2], 0), dtype=np.int64)
            if call["audio_prompt"] is not None:
                prompt = call["audio_prompt"].numpy()
        assert np.array_equal(prompt, song["codes"][..., start - known : start])
        # The pipeline's own continuation of these codes is what stands in the song.
        alone = pipe("folk", call["lyrics"], **{key: call[key] for key in call if key != "lyrics"})
        expected = np.concatenate([prompt, song["codes"][..., start : ENDS[place]]], axis=-1)
        assert np.array_equal(alone["codes"][..., : expected.shape[-1]], expected)
        assert alone["codes"].shape[-1] <= WINDOW
    # Words of the context, of the section, and of what is generated beyond its end.
    assert [call["lyrics"] for call in windows] == [
        "la lo", "la lo\nsing", "lo\nsing on", "on\nsing" if kind == "mixed_pro" else "on\nsing on",
        "on\noh no",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", FEW)
def test_sections_without_words_have_a_silent_vocal(singer, songs, kind):
    pipe, _ = singer(kind)
    codes = torch.from_numpy(songs(kind)["codes"])
    silence = np.zeros((1, (20 - 4 + 10) * HOP), np.float32)  # longer than what is generated

    silent = pipe.encode({"vocal": (silence, RATE), "accompaniment": (silence, RATE)})

    assert torch.equal(codes[1, :, :5], silent[1, :, :5])
    assert not torch.equal(codes[0, :, :5], silent[0, :, :5])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_never_gets_more_frames_than_the_window(singer, monkeypatch, kind):
    pipe, settings = singer(kind)
    lengths = []
    if kind == "masked":
        forward = pipe.transformer.forward

        def counted(codes, *arguments, **options):
            lengths.append(codes.shape[-1])
            return forward(codes, *arguments, **options)

        monkeypatch.setattr(pipe.transformer, "forward", counted)
    else:
        generate = pipe.model.generate

        def counted(**arguments):
            codes = generate(**arguments)
            lengths.append(codes.shape[-1])
            return codes

        monkeypatch.setattr(pipe.model, "generate", counted)

    made = pipe.whole_song("folk", "[inst 1.5s]", window=0.4, extend_stride=0.3, seed=1, **settings)

    assert made["codes"].shape[-1] == 75 and max(lengths) <= WINDOW
    assert [section["name"] for section in made["sections"]][-1] == "inst (5/5)"


@pytest.mark.parametrize("kind", KINDS)
def test_the_joined_codes_are_decoded_in_pieces_to_the_same_samples(
    singer, songs, kind, monkeypatch
):
    pipe, _ = singer(kind)
    song = songs(kind)
    codes = torch.from_numpy(song["codes"])

    monkeypatch.setattr(modeling_xcodec, "DECODED_FRAMES", 7)
    pieces = pipe._decode(codes)

    for name, samples in sounds_of(song).items():
        # Rounding of float32: convolutions of other lengths add in another order.
        np.testing.assert_allclose(pieces[name], samples, atol=3e-5 * np.abs(samples).max())


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_an_interrupted_song_goes_on_and_equals_one_in_a_single_run(
    singer, songs, heard, tmp_path, kind
):
    pipe, settings = singer(kind)
    done = []

    def stop(frames, total):
        done.append((frames, total))
        if frames > ENDS[2]:
            raise KeyboardInterrupt

    request = {"folder": tmp_path / "song", **OPTIONS, **settings}
    with pytest.raises(KeyboardInterrupt):
        pipe.whole_song("folk", LYRICS, progress=stop, **request)
    kept = sorted(path.name for path in (tmp_path / "song").glob("*.npz"))
    assert kept == ["section-01.npz", "section-02.npz", "section-03.npz"]
    calls = heard(pipe)
    del request["seed"]  # that of the folder

    song = pipe.whole_song("folk", LYRICS, **request)

    same_songs(song, songs(kind))
    assert len(calls) == 2
    assert done[-1][1] == ENDS[-1] and done == sorted(done)
    same_songs(song, pipe.whole_song("folk", LYRICS, **request))
    assert len(calls) == 2


def test_another_request_in_the_same_folder_is_refused(singer, tmp_path):
    pipe, settings = singer("mixed_pro")
    voice = (np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), RATE)
    request = {"lyrics": "[inst 0.1s]", "seed": 1, "folder": tmp_path, **settings}
    pipe.whole_song("folk", **request)

    for changes, name in (
        ({"seed": 2}, "seed"),
        ({"lyrics": "[inst 0.2s]"}, "plan"),
        ({"top_k": 3}, "settings"),
        ({"reference_voice": voice}, "voice"),
    ):
        with pytest.raises(ValueError, match=rf"holds another song \({name} differ\)"):
            pipe.whole_song("folk", **{**request, **changes})
    with pytest.raises(ValueError, match="model differ"):
        singer("mixed")[0].whole_song("folk", **request)


def test_damaged_and_foreign_files_of_a_folder_are_named(singer, tmp_path):
    pipe, settings = singer("mixed_pro")
    request = {"lyrics": "[inst 0.1s]", "seed": 1, **settings}
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="has other files: give an empty or a new folder"):
        pipe.whole_song("folk", folder=tmp_path, **request)
    folder = tmp_path / "new"
    pipe.whole_song("folk", folder=folder, **request)

    (folder / "section-01.npz").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"section-01.npz is damaged: delete it to generate"):
        pipe.whole_song("folk", folder=folder, **request)
    (folder / "whole_song.json").write_text("{}")
    with pytest.raises(ValueError, match=r"whole_song.json is damaged: delete the folder"):
        pipe.whole_song("folk", folder=folder, **request)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_sung_section_is_the_voice_of_the_following_ones(singer, songs, heard, kind):
    pipe, settings = singer(kind)
    song = songs(kind)
    calls = heard(pipe)
    pipe.whole_song("folk", LYRICS, **OPTIONS, **settings)
    pipe.whole_song("folk", LYRICS, same_voice=False, **OPTIONS, **settings)

    voices = [call.get("reference_voice") for call in calls]

    assert voices[:2] == [None, None] and voices[5:] == [None] * 5
    if kind == "mixed_pro":
        assert voices == [None] * 10
        return
    verse = pipe._decode(torch.from_numpy(song["codes"][..., ENDS[0] : ENDS[1]]))["vocal"]
    for samples, rate in voices[2:5]:
        assert rate == RATE
        # Rounding of float32, as of the pieces above: the random weights give peaks of hundreds.
        np.testing.assert_allclose(samples, verse, atol=3e-5 * np.abs(verse).max())


@pytest.mark.slow
def test_sections_with_swapped_tracks_are_generated_again(singer, heard, monkeypatch):
    pipe, settings = singer("masked")
    calls = heard(pipe)
    monkeypatch.setattr("songgen_hf.pipelines.whole_song.MAY_BE_SWAPPED", -1)  # all are tried

    song = pipe.whole_song("folk", LYRICS, **OPTIONS, **settings)

    tried = [[first + 250 * i for i in range(4)] for first in (3, 1003, 2003, 3003, 5003)]
    assert [call["seed"] for call in calls] == sum(tried, [])
    for section, place in zip(song["sections"][:2], (0, 4), strict=True):
        assert section["seed"] == calls[place]["seed"]  # of equal ones the first


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_times_of_words_place_the_context(singer, heard, kind):
    pipe, settings = singer(kind)
    calls = heard(pipe)

    song = pipe.whole_song("folk", LYRICS, timestamps=True, **OPTIONS, **settings)

    assert [word["word"] for word in song.words] == "la lo sing on sing on oh no".split()
    assert [line["line"] for line in song.lines] == ["la lo", "sing on", "sing on", "oh no"]
    places = [section for section in song["sections"] if section["lyrics"]]
    for line, section in zip(song.lines, places, strict=True):
        for word in line["words"]:
            assert section["start"] <= word["start"] <= word["end"] <= section["end"]
    assert 0 <= song.coverage["share"] <= 1
    middles = [(word["start"] + word["end"]) / 2 for word in song.words]
    inside = [w for w, middle in zip(("la", "lo"), middles[:2], strict=True) if middle >= 0.26]
    before = "la lo"["la lo".index(inside[0]) :] if inside else ""
    assert calls[2]["lyrics"] == "\n".join(part for part in (before, "sing on") if part)


@pytest.mark.slow
def test_the_file_of_a_whole_song_says_its_sections(songs, tmp_path):
    song = songs("interleaving_A_V")

    (path,) = song.save(tmp_path / "song.flac")

    assert read_provenance(path)["options"]["sections"] == song["sections"]
    assert json.loads(json.dumps(song.request)) == song.request
    labels = [text.get_text() for text in song.plot().axes[0].texts]
    assert labels == [section["name"] for section in song["sections"]]


@pytest.mark.slow
def test_a_plan_can_be_changed_before_it_is_sung(singer):
    pipe, settings = singer("mixed_pro")
    made = plan("[inst 0.1s]\n[outro 0.1s]", window=0.4, context=0.06)
    made = type(made)(made.sections[::-1], made.window, made.context)

    song = pipe.whole_song("folk", plan=made, seed=1, **settings)

    assert [section["name"] for section in song["sections"]] == ["outro", "inst"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lyrics": ""}, "the song is empty"),
        ({"lyrics": "la", "max_seconds": 3}, "whole_song does not take max_seconds"),
        ({"lyrics": "la", "takes": 3}, "whole_song does not take takes"),
        ({"lyrics": "la", "plan": plan("la")}, "plan and lyrics were both given"),
        ({"plan": plan("la"), "window": 9}, "plan and window were both given"),
        ({"plan": "la"}, "plan must be a SongPlan, as plan.. returns: got str"),
        ({"lyrics": "la", "text": ["a", "b"]}, "text must be one description: got list"),
        ({"lyrics": "la", "best_of": 0}, "best_of must be an integer of at least 1"),
        ({"lyrics": "la", "seed": -1}, "seed must be between 0"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(singer, arguments, message):
    pipe, settings = singer("mixed_pro")

    with pytest.raises((ValueError, TypeError), match=message) as caught:
        pipe.whole_song(**{"text": "folk", **settings, **arguments})

    assert "\n" not in str(caught.value)


def test_special_ids_among_the_codes_are_an_error(singer):
    pipe, _ = singer("mixed_pro")
    only = [token for token in range(pipe.model.config.decoder.vocab_size) if token != 1030]

    with pytest.raises(ValueError, match="section 'inst' has .* special ids among its codes: supp"):
        pipe.whole_song("folk", "[inst 0.1s]", seed=1, do_sample=True, suppress_tokens=only)


def test_seeds_of_sections_wrap_as_those_of_other_songs(singer):
    pipe, settings = singer("mixed_pro")

    song = pipe.whole_song("folk", "[inst 0.1s]\n[outro 0.1s]", seed=MAX_SEED, **settings)

    assert [section["seed"] for section in song["sections"]] == [MAX_SEED, 999]
    assert pipe(["folk", "folk"], seconds=0.1, seed=MAX_SEED, **settings)[1]["seed"] == 0
