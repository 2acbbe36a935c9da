"""Tests of the masked pipeline: edits as masks, seeds, batches, callbacks, saving and errors."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from songgen_hf.modeling.masked.scheduler import MaskedRVQScheduler
from songgen_hf.pipelines.editing import visible_codebooks
from songgen_hf.pipelines.masked_song import MaskedSongPipeline
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

FEW = {"num_inference_steps": 3}
SHORT = {"seconds": 0.3, **FEW}
TEXTS = ["a calm piano ballad", "loud rock", "a waltz for strings"]
LYRICS = ["Soft the rain", "Run", None]


@pytest.fixture
def sing(tiny_masked):
    return tiny_masked()


@pytest.fixture(scope="module")
def song(tiny_masked):
    """A song of 15 frames, which tests do not change."""
    return tiny_masked()("folk", lyrics="la la la", seed=1, seconds=0.3, num_inference_steps=2)


def same_sound(one, other):
    """Whether two waveforms are equal but for rounding; those of tiny models reach hundreds."""
    return one.shape == other.shape and abs(one - other).max() <= 1e-5 * max(1, abs(one).max())


def other_codes(one, other):
    """Return where the codes of two songs differ, bool [N, K, T]."""
    return one["codes"] != other["codes"]


@pytest.mark.parametrize("head", ["softmax", "mixture"])
@pytest.mark.parametrize("pattern", ["mixed", "parallel_std"])
def test_a_song_is_a_dict_as_of_the_other_pipeline_with_the_requested_length(
    tiny_masked, tiny_singer, tiny_processor, pattern, head
):
    pipe = tiny_masked(pattern, head)
    other = TextToSongPipeline(model=tiny_singer(pattern), processor=tiny_processor, device="cpu")

    song = pipe("folk", lyrics="la la", seed=3, seconds=0.5, **FEW)

    assert song.keys() == other("folk", seed=3, max_seconds=0.1, do_sample=True).keys()
    tracks = 1 if pattern == "mixed" else 2
    assert song["codes"].shape == (tracks, 4, 25) and song["codes"].dtype == np.int64
    assert song["audio"].shape == (1, 8000) and song["audio"].dtype == np.float32
    assert (song["sampling_rate"], song["seed"]) == (16000, 3)
    if tracks == 2:
        assert np.array_equal(song["audio"], song["vocal"] + song["accompaniment"])
    else:
        assert song["vocal"] is None and song["accompaniment"] is None


def test_the_raw_waveforms_are_those_of_the_codes(sing, tiny_singer):
    song = sing("folk", lyrics="la la la", seed=1, raw=True, **SHORT)

    sound = tiny_singer("parallel_std").decode_codes(torch.from_numpy(song["codes"])[None])

    assert same_sound(song["audio"], sound.waveform[0].numpy())
    assert same_sound(song["vocal"], sound.vocal[0].numpy())


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
def test_the_same_seed_or_generator_gives_the_same_song_and_another_seed_another(tiny_masked, head):
    pipe = tiny_masked("parallel_std", head)

    first, again, other = (pipe("folk", seed=seed, **SHORT) for seed in (5, 5, 6))
    generator = torch.Generator().manual_seed(5)
    drawn = pipe("folk", generator=generator, **SHORT)

    assert np.array_equal(first["audio"], again["audio"])
    assert np.array_equal(first["codes"], drawn["codes"]) and drawn["seed"] == 5
    assert other_codes(first, other).mean() > 0.3


def test_every_song_of_a_generator_is_repeated_by_its_seed(sing):
    generator = torch.Generator().manual_seed(5)

    songs = [sing("folk", generator=generator, **SHORT)]
    songs += sing(["folk", "folk"], generator=generator, **SHORT)

    assert songs[0]["seed"] == 5 and len({song["seed"] for song in songs}) == 3
    for song in songs:
        again = sing("folk", seed=song["seed"], **SHORT)
        assert np.array_equal(again["codes"], song["codes"])


def test_a_drawn_seed_is_reported_and_gives_the_song_again(sing):
    drawn = sing("folk", **SHORT)

    assert not other_codes(drawn, sing("folk", seed=drawn["seed"], **SHORT)).any()


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
@pytest.mark.parametrize("guidance", [1.0, (1.5, 3.0)])
def test_a_batch_of_unequal_lengths_equals_its_songs_one_by_one(tiny_masked, head, guidance):
    pipe = tiny_masked("parallel_std", head)
    settings = {"guidance_scale": guidance, **FEW}
    seconds = [0.3, 0.5, 0.2]

    together = pipe(TEXTS, lyrics=LYRICS, seed=[7, 8, 9], seconds=seconds, **settings)
    in_twos = pipe(TEXTS, lyrics=LYRICS, seed=7, seconds=seconds, batch_size=2, **settings)

    for i, text in enumerate(TEXTS):
        alone = pipe(text, lyrics=LYRICS[i], seed=7 + i, seconds=seconds[i], **settings)
        assert together[i]["codes"].shape[-1] == round(seconds[i] * 50)
        assert not other_codes(together[i], alone).any()
        assert not other_codes(in_twos[i], alone).any()
        assert same_sound(together[i]["audio"], alone["audio"])


@pytest.mark.slow
def test_several_songs_of_one_text_have_consecutive_seeds(sing):
    songs = sing("folk", seed=20, num_return_sequences=2, **SHORT)
    nested = sing(["folk", "rock"], seed=20, num_return_sequences=2, **SHORT)

    assert [song["seed"] for song in songs] == [20, 21]
    assert not other_codes(songs[1], sing("folk", seed=21, **SHORT)).any()
    assert [[song["seed"] for song in pair] for pair in nested] == [[20, 21], [22, 23]]


@pytest.mark.slow
def test_request_dicts_have_precedence_and_generators_are_processed_lazily(sing):
    request = {"text": "folk", "lyrics": "la la", "seed": 11, "seconds": 0.2}
    taken = []

    def texts():
        for text in ("folk", "rock"):
            taken.append(text)
            yield text

    songs = sing([request, "folk"], lyrics="no no", seed=3, **SHORT)
    lazily = sing(texts(), seed=3, **SHORT)

    own = sing("folk", lyrics="la la", seed=11, seconds=0.2, **FEW)
    assert not other_codes(songs[0], own).any()
    first = next(lazily)
    assert taken == ["folk"]
    assert not other_codes(first, sing("folk", seed=3, **SHORT)).any()


def test_the_length_is_predicted_within_the_bounds(sing):
    expected = sing("folk", lyrics="la la la", seed=1, output_type="codes", **FEW)
    frames = expected["codes"].shape[-1]

    def bounded(**bounds):
        song = sing("folk", lyrics="la la la", seed=1, output_type="codes", **bounds, **FEW)
        return song["codes"].shape[-1]

    assert frames > 15 and expected["audio"] is None
    assert bounded(max_seconds=0.2) == 10
    assert bounded(min_seconds=frames / 50 + 1) == frames + 50
    assert bounded(max_seconds=frames / 50 + 9) == frames


@pytest.mark.parametrize("form", ["codes", "song"])
def test_an_audio_prompt_is_continued_and_kept_bit_for_bit(sing, song, form):
    prompt = song if form == "song" else torch.from_numpy(song["codes"])

    longer = sing("folk", lyrics="la la la", seed=2, audio_prompt=prompt, **SHORT)

    assert longer["codes"].shape[-1] == 30
    assert np.array_equal(longer["codes"][..., :15], song["codes"])


def test_a_recording_is_continued_as_its_codes(sing, song):
    recordings = {name: (song[name], 16000) for name in ("vocal", "accompaniment")}
    codes = sing.encode(recordings)

    longer = sing("folk", seed=2, audio_prompt=recordings, **SHORT)

    assert np.array_equal(longer["codes"][..., : codes.shape[-1]], codes.numpy())
    assert longer["codes"].shape[-1] == codes.shape[-1] + 15


def test_one_recording_becomes_two_tracks(sing, song, monkeypatch):
    monkeypatch.setattr(sing, "vocal_extractor", lambda samples, rate: samples / 4)
    tracks = [song["audio"] * share for share in (0.75, 0.25)]

    codes = sing.encode((song["audio"], 16000))

    assert torch.equal(codes, sing.encode(tuple((track, 16000) for track in tracks)))


def test_only_the_codes_of_a_region_are_generated_again(sing, song):
    edited = sing("folk", seed=2, song=song, regions=(0.1, 0.2), **FEW)
    tail = sing("folk", seed=2, song=song, regions=[(0.0, 0.04), (0.2, None)], **FEW)

    assert np.flatnonzero(other_codes(song, edited).any(axis=(0, 1))).tolist() == [5, 6, 7, 8, 9]
    changed = np.flatnonzero(other_codes(song, tail).any(axis=(0, 1))).tolist()
    assert changed == [0, 1, 10, 11, 12, 13, 14]


@pytest.mark.parametrize("kept", ["accompaniment", "vocal"])
def test_one_track_is_kept_and_the_other_is_generated_again(sing, song, kept):
    edited = sing("folk", lyrics="no no", seed=2, song=song, keep_track=kept, **FEW)

    new = "vocal" if kept == "accompaniment" else "accompaniment"
    assert np.array_equal(edited[kept], song[kept])
    changed = other_codes(song, edited).mean(axis=(1, 2))
    assert changed[["accompaniment", "vocal"].index(new)] > 0.3


def test_the_fine_codebooks_of_an_autoregressive_song_are_refined(tiny_masked, tiny_singer):
    pipe = tiny_masked()
    codes = tiny_singer("parallel_std").generate(
        **pipe.processor(text="folk", return_tensors="pt"),
        max_new_frames=12,
        do_sample=True,
        seed=4,
    )[0]

    refined = pipe("folk", seed=2, song={"codes": codes.numpy()}, keep_codebooks=1, **FEW)

    whole = pipe.encode(codes).numpy()  # without frames that hold special ids
    assert np.array_equal(refined["codes"][:, 0], whole[:, 0])
    assert (refined["codes"][:, 1:] != whole[:, 1:]).any(axis=(0, 2)).all()


def test_regions_tracks_and_codebooks_to_keep_can_be_combined():
    visible = visible_codebooks(
        (2, 4, 10), frame_rate=50.0, regions=(0.05, 0.12), keep_track="vocal", keep_codebooks=1
    )

    assert visible.tolist() == [[4, 4, 1, 1, 1, 1, 4, 4, 4, 4], [4] * 10]


def test_the_transformer_runs_once_per_step_whatever_the_length(sing):
    seen = []
    hook = sing.transformer.register_forward_hook(lambda *_: seen.append(1))
    try:
        for seconds in (0.02, 0.2, 1.0):
            seen.clear()
            sing("folk", seed=1, seconds=seconds, num_inference_steps=4, output_type="codes")
            assert len(seen) == 4
    finally:
        hook.remove()


def test_guidance_changes_the_song_and_a_scale_of_one_does_not(sing):
    plain, one, strong = (
        sing("folk", lyrics="la", seed=1, guidance_scale=scale, **SHORT)
        for scale in (None, (1.0, 1.0), 8.0)
    )

    assert not other_codes(plain, one).any()
    assert other_codes(plain, strong).any()


def test_the_settings_of_a_call_do_not_change_the_scheduler(sing):
    before = dict(sing.scheduler.config)

    greedy = [
        sing("folk", seed=seed, temperature=0, top_p=0.5, reveal="random", schedule="exp", **SHORT)
        for seed in (1, 2)
    ]

    assert dict(sing.scheduler.config) == before
    assert sing.scheduler.timesteps is None
    assert greedy[0]["codes"].shape == greedy[1]["codes"].shape


def test_a_song_knows_the_settings_of_its_call(sing):
    song = sing("folk", seed=1, seconds=0.1, guidance_scale=(1, 3), num_inference_steps=2)

    assert song.request["guidance_scale"] == [1, 3] and song.request["num_inference_steps"] == 2
    assert song.provenance()["options"].items() >= song.request.items()


def test_a_callback_is_called_after_each_step_and_can_change_the_song(sing):
    steps = []

    def fix(pipe, step, timestep, tensors):
        steps.append((step, int(timestep), (tensors["visible"] == 4).float().mean().item()))
        return {"codes": tensors["codes"].clamp(max=7), "visible": tensors["visible"]}

    song = sing("folk", seed=1, callback_on_step_end=fix, **SHORT)

    assert [step[:2] for step in steps] == [(0, 2), (1, 1), (2, 0)]
    assert steps[-1][2] == 1.0
    assert song["codes"].max() <= 7


def test_progress_counts_steps_over_all_batches(sing):
    reported = []

    sing(TEXTS, seed=1, batch_size=2, progress=lambda *step: reported.append(step), **SHORT)

    assert reported == [(i, 6) for i in range(1, 7)]


@pytest.mark.slow
def test_offloaded_parts_generate_the_same_song(sing, song):
    pytest.importorskip("accelerate")
    recording = tuple((song[name], 16000) for name in ("accompaniment", "vocal"))
    ask = {"seed": 2, "guidance_scale": 2.0, "audio_prompt": recording, **FEW}
    expected = sing("folk", lyrics="la", **ask)
    moved = []
    pipe = MaskedSongPipeline(**sing.components)
    try:
        pipe.enable_model_cpu_offload(device="cpu")
        for hook in pipe._all_hooks:
            hook.hook.pre_forward = recorded(hook.hook.pre_forward, moved)

        offloaded = pipe("folk", lyrics="la", progress=False, **ask)
    finally:
        pipe.remove_all_hooks()

    assert not other_codes(expected, offloaded).any()
    assert set(moved) == {"SongGenConditioner", "MaskedSongModel", "XCodecModel"}


def recorded(pre_forward, moved):
    """Return the hook, which also records the class of each module that it moves to the device."""

    def move(module, *args, **kwargs):
        moved.append(type(module).__name__)
        return pre_forward(module, *args, **kwargs)

    return move


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
def test_a_saved_pipeline_generates_the_same_song(tiny_masked, tmp_path, head):
    pipe = tiny_masked("parallel_std", head)

    pipe.save_pretrained(tmp_path)
    loaded = MaskedSongPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)

    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "songgen_masked"
    voice = (np.sin(np.arange(16000) / 9).astype(np.float32), 16000)
    ask = {"lyrics": "la la", "seed": 1, "reference_voice": voice, "guidance_scale": 2.0, **SHORT}
    song, again = pipe("folk", **ask), loaded("folk", **ask)
    assert not other_codes(song, again).any()
    assert same_sound(song["audio"], again["audio"])
    assert loaded.scheduler.config.choice_temperature == 4.0


@pytest.mark.slow
def test_a_pipeline_can_be_loaded_with_another_scheduler(tiny_masked, tmp_path):
    pipe = tiny_masked("mixed")
    pipe.save_pretrained(tmp_path)

    loaded = MaskedSongPipeline.from_pretrained(
        tmp_path, scheduler=MaskedRVQScheduler(reveal="random"), dtype=torch.float64
    )
    loaded.set_progress_bar_config(disable=True)

    assert loaded.scheduler.config.reveal == "random"
    assert loaded.transformer.dtype == loaded.codec.dtype == torch.float64
    assert loaded("folk", seed=1, **SHORT)["audio"].dtype == np.float32


def test_parts_that_do_not_belong_together_are_refused(tiny_masked, tiny_singer, tiny_processor):
    pipe = tiny_masked()
    with torch.random.fork_rng():
        other = tiny_singer("parallel_std").audio_encoder.__class__(pipe.codec.config)

    with pytest.raises(ValueError, match="made for another codec"):
        MaskedSongPipeline(
            pipe.transformer, MaskedRVQScheduler(), pipe.conditioner, other, tiny_processor
        )


def test_a_folder_without_a_model_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match="not a masked song model; train one with `songgen-hf"):
        MaskedSongPipeline.from_pretrained(tmp_path)


def test_wrong_requests_are_refused_with_what_was_expected(sing, song):
    wrong = [
        ({"song": song}, ValueError, "not what is to be generated again: add regions"),
        ({"song": song, "regions": (0.2, 0.1)}, ValueError, "the end after the start"),
        ({"song": song, "regions": (0.2, 0.9)}, ValueError, "inside the song of 0.30 s"),
        ({"song": song, "regions": ()}, ValueError, "regions is empty"),
        ({"song": song, "regions": "all"}, ValueError, "regions is 'all'"),
        ({"song": song, "keep_track": "drums"}, ValueError, "expected 'accompaniment' or 'vocal'"),
        ({"song": song, "keep_codebooks": 4}, ValueError, "expected 0 to 3"),
        ({"song": song, "regions": (0, 0.1), "seconds": 1}, ValueError, "give it as audio_prompt"),
        ({"song": song, "keep_track": ["vocal"]}, ValueError, "expected 'accompaniment' or"),
        ({"song": song, "keep_track": "vocal", "max_seconds": 9}, ValueError, "edited song stays"),
        ({"song": song, "keep_track": "vocal", "min_seconds": 9}, ValueError, "edited song stays"),
        ({"keep_track": "vocal"}, ValueError, "keep_track needs a song"),
        ({"regions": np.array([0, 0.1])}, ValueError, "regions needs a song"),
        ({"regions": ()}, ValueError, "regions needs a song"),
        ({"song": song["codes"][None], "keep_codebooks": 1}, ValueError, r"\[1, 2, 4, 15\], exp"),
        ({"song": song["codes"][:1], "keep_codebooks": 1}, ValueError, "expected \\[2 tracks"),
        ({"song": song["codes"] * 1.0, "keep_codebooks": 1}, TypeError, "expected integers"),
        ({"song": song["codes"] + 9999, "keep_codebooks": 1}, ValueError, "s codes lie in"),
        ({"audio_prompt": (song["vocal"], 16000)}, ValueError, "give \\(accompaniment, vocal\\)"),
        ({"seconds": 0}, ValueError, "seconds must be above 0"),
        ({"seconds": "1"}, TypeError, "seconds must be a number"),
        ({"seconds": 1, "max_seconds": 2}, ValueError, "leave min_seconds and max_seconds out"),
        ({"min_seconds": 3, "max_seconds": 2}, ValueError, "min_seconds must not exceed"),
        ({"num_inference_steps": 0}, ValueError, "num_inference_steps must be an integer"),
        ({"guidance_scale": -1}, ValueError, "1.0 is off"),
        ({"guidance_scale": 1, "guidance_interval": (0.2, 0.8)}, ValueError, "without guidance"),
        ({"reveal": "all"}, ValueError, "reveal is 'all'"),
        ({"output_type": "wav"}, ValueError, "expected audio, codes"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer"),
        ({"seed": 1, "generator": torch.Generator()}, ValueError, "both given"),
        ({"generator": [torch.Generator()] * 2}, ValueError, "2 entries for 1 songs"),
        ({"generator": 5}, TypeError, "generator must be a torch.Generator, .*: got 5"),
        ({"generator": [5]}, TypeError, "generator must be a torch.Generator, .*: got \\[5\\]"),
        ({"callback_on_step_end": 5}, TypeError, "callback_on_step_end must be a function: got 5"),
        ({"check_tracks": True, "output_type": "codes"}, ValueError, "leave output_type out"),
        ({"temperature": "1"}, TypeError, "temperature must be a number: got '1'"),
        ({"callback_on_step_end_tensor_inputs": ["logits"]}, ValueError, "logits: expected some"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
    ]
    for arguments, error, message in wrong:
        with pytest.raises(error, match=message):
            sing("folk", **{"num_inference_steps": 1, **arguments})
    with pytest.raises(ValueError, match="unknown key in a request: got tempo"):
        sing({"text": "folk", "tempo": 1})
    with pytest.raises(ValueError, match="one entry for each of the 2 texts"):
        sing(["folk", "rock"], lyrics=["la"])
    with pytest.raises(TypeError, match="text must be a string"):
        sing(3)
    with pytest.raises(ValueError, match="a list for lyrics needs a list of inputs"):
        sing(iter(["folk"]), lyrics=["la"])
