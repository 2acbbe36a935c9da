"""Tests of the pipeline text-to-song: batching, seeds, prompts, progress and errors."""

import logging
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from songgen_hf.checkpoints.separators import separate_voice
from songgen_hf.pipelines.editing import CROSSFADE_SECONDS
from songgen_hf.pipelines.song_edges import FADE_SECONDS
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

SHORT = {"max_seconds": 0.2}
TEXTS = ["a calm piano ballad", "loud rock", "a waltz for strings"]
LYRICS = ["Soft the rain", "Run", None]


@pytest.fixture(scope="module")
def sing(tiny_singer, tiny_processor):
    """Factory ``sing(pattern)`` of pipelines with a tiny model that samples."""

    def build(pattern="mixed"):
        model = tiny_singer(pattern)
        return TextToSongPipeline(
            model=model, processor=tiny_processor, device="cpu", do_sample=True, top_k=50
        )

    return build


@pytest.fixture
def tone():
    """Half a second of a tone at 16 kHz."""
    return (0.3 * np.sin(np.arange(8000) / 9).astype(np.float32), 16000)


def same_song(one, other, atol=0.0):
    """Whether two songs have the same seed and, but for rounding, the same samples."""
    return one["seed"] == other["seed"] and all(
        (one[name] is None and other[name] is None)
        or (
            one[name].shape == other[name].shape
            and np.allclose(one[name], other[name], rtol=10 * atol, atol=10 * atol)
        )
        for name in ("audio", "vocal", "accompaniment")
    )


@pytest.mark.slow
def test_importing_the_package_registers_the_task(tiny_checkpoint):
    song = pipeline("text-to-song", model=tiny_checkpoint(), device="cpu")("folk", seed=1, **SHORT)

    assert song["sampling_rate"] == 16000
    assert song["audio"].dtype == np.float32
    assert song["audio"].ndim == 2 and song["audio"].shape[0] == 1
    assert song["vocal"] is None and song["accompaniment"] is None
    assert song["seed"] == 1


def test_damaged_weights_are_one_line_without_a_traceback(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint(), tmp_path / "song")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])

    with pytest.raises(ValueError, match="damaged or cut short") as caught:
        pipeline("text-to-song", model=str(folder), device="cpu")

    message = str(caught.value)
    assert "\n" not in message and len(message) < 250 + len(str(folder))
    assert str(folder) in message and "copy or download the file again" in message


@pytest.mark.slow
def test_the_class_of_the_pipeline_may_be_given_with_the_name_of_a_model(tiny_checkpoint):
    options = {"model": tiny_checkpoint(), "device": "cpu"}
    pipe = pipeline("text-to-song", pipeline_class=TextToSongPipeline, **options)

    assert type(pipe.model).__name__ == "SongGenForConditionalGeneration"


@pytest.mark.slow
def test_auto_classes_load_the_checkpoint(tiny_checkpoint):
    model = AutoModel.from_pretrained(tiny_checkpoint("parallel_std"))
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("parallel_std"))

    assert type(model).__name__ == "SongGenForConditionalGeneration"
    assert type(processor).__name__ == "SongGenProcessor"


def test_two_track_models_return_their_tracks_and_the_mixture_is_their_sum(sing):
    song = sing("parallel_std")("folk", lyrics="la la", seed=3, raw=True, **SHORT)

    shorter = song["audio"].shape[1]
    assert shorter == min(song["vocal"].shape[1], song["accompaniment"].shape[1])
    total = song["vocal"][:, :shorter] + song["accompaniment"][:, :shorter]
    assert np.allclose(song["audio"], total, atol=1e-6)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_song_and_another_seed_another(sing):
    pipe = sing()

    first, again, other = (pipe("folk", seed=seed, **SHORT) for seed in (5, 5, 6))

    assert same_song(first, again)
    assert not np.array_equal(first["audio"], other["audio"])


@pytest.mark.slow
@pytest.mark.parametrize("length", [{"seconds": 0.1}, {"max_seconds": 0.1}])
def test_the_request_of_a_song_repeats_it(sing, length):
    song = sing()("folk", lyrics="la la", top_k=20, **length)

    again = sing()(**song.request, seed=song["seed"])

    assert np.array_equal(again["codes"], song["codes"]) and again.request == song.request


def test_lyrics_are_sung_without_a_text_as_with_an_empty_one(sing):
    generate, words = sing(), {"lyrics": "la la", "seed": 5, "max_seconds": 0.1}
    alone, empty = generate(**words), generate("", **words)

    assert np.array_equal(alone["codes"], empty["codes"])


def test_a_drawn_seed_is_reported_and_gives_the_song_again(sing):
    pipe = sing()

    drawn = pipe("folk", **SHORT)

    assert same_song(drawn, pipe("folk", seed=drawn["seed"], **SHORT))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "interleaving_A_V"])
def test_a_batch_equals_its_songs_one_by_one(sing, pattern):
    pipe = sing(pattern)

    together = pipe(TEXTS, lyrics=LYRICS, seed=[7, 8, 9], batch_size=3, **SHORT)

    for song, text, lyrics, seed in zip(together, TEXTS, LYRICS, (7, 8, 9), strict=True):
        assert same_song(song, pipe(text, lyrics=lyrics, seed=seed, **SHORT), atol=1e-4)


def test_one_seed_for_a_list_gives_consecutive_seeds(sing):
    songs = sing()(TEXTS, seed=40, batch_size=2, **SHORT)

    assert [song["seed"] for song in songs] == [40, 41, 42]


@pytest.mark.slow
def test_a_request_dict_has_precedence_over_the_call(sing):
    pipe = sing()
    request = {"text": "folk", "lyrics": "la la", "seed": 11}

    song = pipe([request, "folk"], lyrics="no no", seed=3, **SHORT)[0]

    assert same_song(song, pipe("folk", lyrics="la la", seed=11, **SHORT))


@pytest.mark.slow
def test_generators_and_datasets_are_processed_lazily(sing):
    pipe = sing()
    taken = []

    def requests():
        for text in TEXTS:
            taken.append(text)
            yield text

    songs = pipe(requests(), seed=1, **SHORT)
    assert len(taken) <= 1
    first = next(iter(songs))
    dataset = KeyDataset([{"style": text} for text in TEXTS], "style")
    from_dataset = list(pipe(dataset, seed=1, **SHORT))

    assert same_song(first, pipe(TEXTS[0], seed=1, **SHORT))
    assert [song["seed"] for song in from_dataset] == [1, 2, 3]
    assert same_song(first, from_dataset[0])


@pytest.mark.slow
def test_several_songs_for_each_input_have_consecutive_seeds(sing):
    pipe = sing()

    single = pipe("folk", seed=20, num_return_sequences=2, **SHORT)
    batch = pipe(["folk", "rock"], seed=20, num_return_sequences=2, batch_size=2, **SHORT)

    assert [song["seed"] for song in single] == [20, 21]
    assert [[song["seed"] for song in songs] for songs in batch] == [[20, 21], [22, 23]]
    for song, seed in ((batch[0][1], 21), (single[1], 21)):
        assert same_song(song, pipe("folk", seed=seed, **SHORT), atol=1e-4)


def test_min_seconds_is_the_shortest_song(sing):
    pipe = sing("mixed")
    ends_at_once = {(pipe.model.config.decoder.eos_token_id,): 50.0}
    special = list(range(1025, pipe.model.config.decoder.vocab_size))

    song = pipe(
        "folk",
        seed=2,
        min_seconds=0.1,
        max_seconds=0.3,
        sequence_bias=ends_at_once,
        suppress_tokens=special,
    )

    assert song["audio"].shape == (1, 5 * 320)


def test_max_seconds_bounds_the_song_and_rounds_to_frames(sing):
    pipe = sing()

    lengths = [pipe("folk", seed=2, max_seconds=s)["audio"].shape[1] for s in (0.001, 0.1)]

    assert lengths[0] <= 320 and lengths[1] <= 5 * 320


@pytest.mark.slow
def test_seconds_is_the_exact_length_of_every_song_without_its_prompt(sing, tone):
    pipe = sing("mixed")
    ends_at_once = {(pipe.model.config.decoder.eos_token_id,): 50.0}
    special = list(range(1025, pipe.model.config.decoder.vocab_size))
    settings = {"sequence_bias": ends_at_once, "suppress_tokens": special, "batch_size": 3}
    seconds, prompts = [0.1, 0.2, 0.1], [None, None, (tone[0][:3200], 16000)]

    songs = pipe(TEXTS, seconds=seconds, audio_prompt=prompts, seed=1, **settings)

    prompt_frames = 10
    lengths = [song["codes"].shape[-1] for song in songs]
    assert lengths == [5, 10, prompt_frames + 5]
    alone = pipe({"text": TEXTS[1], "seconds": 0.2}, seed=2, **settings)
    assert np.array_equal(alone["codes"], songs[1]["codes"])


def test_a_song_begins_with_its_audio_prompt(sing, tone):
    pipe = sing()
    prompt = pipe.processor(audio=tone)
    codes = pipe.model.encode_audio(prompt["input_values"])
    opening = pipe.model.decode_codes(codes).waveform[0].numpy()

    song = pipe("folk", audio_prompt=tone, seed=4, **SHORT)
    raw = pipe("folk", audio_prompt=tone, seed=4, raw=True, **SHORT)

    assert np.array_equal(raw["codes"], song["codes"])
    assert np.array_equal(song["codes"][..., : codes.shape[-1]], codes[0].numpy())
    assert song["audio"].shape[1] > opening.shape[1]
    # The codec's decoder has 12 frames of context; before that the prompt alone decides.
    certain = opening.shape[1] - 12 * 320
    assert np.allclose(raw["audio"][:, :certain], opening[:, :certain], rtol=1e-4, atol=1e-3)
    # Until the crossfade, which is over where a song would fade out, the recording itself is heard.
    recorded = opening.shape[1] - round((CROSSFADE_SECONDS + FADE_SECONDS) * 16000)
    assert np.array_equal(song["audio"][0, :recorded], tone[0][:recorded])


@pytest.mark.slow
def test_description_only_and_unconditional_songs_share_a_batch_with_songs_with_lyrics(sing):
    pipe = sing()
    inputs = [{"text": "loud rock", "lyrics": "Run"}, {"text": "loud rock"}, {"text": ""}]
    batch = pipe(inputs, seed=[5, 5, 5], batch_size=3, **SHORT)
    for item, song in zip(inputs, batch, strict=True):
        assert same_song(song, pipe(item, seed=5, **SHORT), atol=1e-4)
    first, text_only, unconditional = (song["codes"] for song in batch)
    assert not np.array_equal(first, text_only)
    assert not np.array_equal(text_only, unconditional)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a calm piano ballad", "loud rock", ""])
def test_a_prompt_is_continued_with_any_text_and_its_codes_are_unchanged(sing, tone, text):
    pipe = sing("interleaving_A_V")
    prompt = pipe.encode((tone, tone))
    song = pipe(text, audio_prompt=(tone, tone), seed=3, seconds=0.2)
    num_frames = prompt.shape[-1]
    assert np.array_equal(song["codes"][..., :num_frames], prompt.numpy())
    assert song["codes"].shape[-1] > num_frames


@pytest.mark.slow
def test_prompts_of_different_lengths_share_a_batch(sing, tone):
    pipe = sing()
    prompts = [None, tone, (tone[0][:3200], 16000)]

    together = pipe(TEXTS, audio_prompt=prompts, seed=[1, 2, 3], batch_size=3, **SHORT)

    for song, text, prompt, seed in zip(together, TEXTS, prompts, (1, 2, 3), strict=True):
        alone = pipe(text, audio_prompt=prompt, seed=seed, **SHORT)
        assert same_song(song, alone, atol=1e-4)


@pytest.mark.slow
def test_a_two_track_prompt_can_be_a_dict_of_its_tracks(sing, tone):
    pipe = sing("parallel_std")
    other = (tone[0] * 0.5, tone[1])

    named = pipe("a", audio_prompt={"vocal": tone, "accompaniment": other}, seed=1, **SHORT)
    paired = pipe("a", audio_prompt=(other, tone), seed=1, **SHORT)

    assert same_song(named, paired)


@pytest.mark.slow
def test_one_recording_becomes_the_two_tracks_of_a_model_that_has_two(sing, tone):
    pipe = sing("interleaving_A_V")
    with pytest.raises(ValueError, match=r"the recording has 1: give \(accompaniment, vocal\)"):
        pipe("a", audio_prompt=tone, seed=1, **SHORT)
    pipe.vocal_extractor = lambda samples, rate: samples * np.float32(rate == 16000) / 4
    vocal, band = ((tone[0] * share, tone[1]) for share in (0.25, 0.75))

    song = pipe("a", audio_prompt=tone, seed=1, **SHORT)

    assert same_song(song, pipe("a", audio_prompt=(band, vocal), seed=1, **SHORT), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("separate", ["auto", "never"])
def test_a_song_gives_its_vocal_as_the_voice(sing, tone, separate):
    pipe = sing("interleaving_A_V")
    pipe.voice_separator = separate_voice
    first = pipe("folk", reference_voice=tone, seed=1, **SHORT)
    mixed = {"audio": first["vocal"], "sampling_rate": first["sampling_rate"]}
    voices = [(first["vocal"], first["sampling_rate"]), first, mixed]

    songs = [
        pipe("rock", reference_voice=voice, seed=2, separate_voice=separate, **SHORT)
        for voice in voices
    ]

    assert same_song(songs[0], songs[1]) and same_song(songs[0], songs[2])


@pytest.mark.slow
def test_voiced_and_unvoiced_songs_share_a_batch(sing, tone):
    pipe = sing()
    texts, voices = ["folk", "folk"], [None, tone]

    together = pipe(texts, reference_voice=voices, seed=[1, 1], batch_size=2, **SHORT)

    for song, voice in zip(together, voices, strict=True):
        alone = pipe("folk", reference_voice=voice, seed=1, **SHORT)
        assert same_song(song, alone, atol=1e-4)
    assert not np.array_equal(together[0]["audio"], together[1]["audio"])


def test_settings_of_a_call_replace_those_of_the_constructor(tiny_singer, tiny_processor):
    pipe = TextToSongPipeline(
        model=tiny_singer(), processor=tiny_processor, device="cpu", do_sample=True, top_k=1
    )

    greedy = pipe("folk", seed=1, do_sample=False, **SHORT)

    assert same_song(greedy, pipe("folk", seed=1, **SHORT))


@pytest.mark.slow
def test_progress_counts_every_step_to_the_total(sing):
    for pattern in ("mixed", "interleaving_A_V"):
        pipe, seen = sing(pattern), []

        pipe(
            "folk",
            seed=1,
            progress=lambda done, total, seen=seen: seen.append((done, total)),
            min_new_tokens=1,
            **SHORT,
        )

        total = pipe.model.config.decoder.pattern.num_steps(10)
        assert {entry[1] for entry in seen} == {total}
        steps = [entry[0] for entry in seen]
        assert steps == sorted(steps) and steps[0] == 1 and steps[-1] <= total


def test_a_progress_bar_does_not_change_the_song(sing, capsys):
    pipe = sing()

    assert same_song(pipe("folk", seed=1, progress=True, **SHORT), pipe("folk", seed=1, **SHORT))
    assert "generating" in capsys.readouterr().err


@pytest.mark.slow
def test_saving_the_pipeline_keeps_model_and_processor(sing, tmp_path):
    pipe = sing("parallel_std")
    pipe.save_pretrained(tmp_path)

    loaded = pipeline("text-to-song", model=str(tmp_path), device="cpu", do_sample=True, top_k=50)

    assert same_song(loaded("folk", seed=1, **SHORT), pipe("folk", seed=1, **SHORT), atol=1e-6)


@pytest.mark.slow
def test_an_untrained_model_logs_a_warning(tiny_checkpoint, tiny_processor, caplog):
    model = AutoModel.from_pretrained(tiny_checkpoint())
    with caplog.at_level(logging.WARNING, logger="songgen_hf"):
        TextToSongPipeline(model=model, processor=tiny_processor, device="cpu")
        assert "untrained" not in caplog.text
        model.config.trained = False
        TextToSongPipeline(model=model, processor=tiny_processor, device="cpu")

    assert "untrained" in caplog.text


def test_the_global_random_state_is_unchanged(sing):
    state = torch.random.get_rng_state()

    sing()("folk", seed=1, **SHORT)

    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(text=3), TypeError, "text must be a string, a request dict"),
        (dict(text=[3]), TypeError, "an input must be a string or a request dict: got int"),
        (dict(text={"txt": "a"}), ValueError, "unknown key in a request: got txt, expected"),
        (dict(text={"lyrics": "a"}), TypeError, r"text must be a string \(\"\" for none\)"),
        (dict(text="a", lyrics=3), TypeError, "lyrics must be a string or None: got int"),
        (dict(text=["a", "b"], lyrics=["x"]), ValueError, "lyrics must have one entry .* 2 texts"),
        (dict(text=["a", "b"], seed=[1]), ValueError, "seed must be one integer or one for each"),
        (dict(text="a", seed="7"), TypeError, "seed must be an integer: got '7'"),
        (dict(text="a", seed=True), TypeError, "seed must be an integer: got True"),
        (dict(text="a", seed=-1), ValueError, r"seed must be between 0 and 2\*\*63 - 1: got -1"),
        (dict(text="a", max_seconds=0), ValueError, "max_seconds must be above 0"),
        (dict(text="a", max_seconds="4"), TypeError, "max_seconds must be a number of seconds"),
        (dict(text="a", min_seconds=-1), ValueError, "min_seconds must be above 0"),
        (dict(text="a", max_seconds=1, max_new_frames=9), ValueError, "they say the same"),
        (dict(text="a", seconds=1, max_seconds=2), ValueError, "leave min_seconds and max_seconds"),
        (dict(text="a", seconds=-1), ValueError, "seconds must be above 0"),
        (dict(text="a", seconds="1"), TypeError, "seconds must be a number of seconds"),
        (dict(text="a", num_return_sequences=0), ValueError, "num_return_sequences must be"),
        (dict(text=iter("ab"), seed=[1, 2]), ValueError, "a list of seeds needs a list of inputs"),
        (dict(text=iter("ab"), lyrics=["x"]), ValueError, "a list for lyrics needs a list"),
        (dict(text="a", guidanse_scale=2), ValueError, "guidanse_scale"),
    ],
)
def test_wrong_arguments_are_refused_with_what_was_expected(sing, arguments, error, message):
    with pytest.raises(error, match=message):
        sing()(**arguments)


def test_an_empty_list_of_inputs_is_an_empty_list_of_songs(sing):
    assert sing()([]) == []
