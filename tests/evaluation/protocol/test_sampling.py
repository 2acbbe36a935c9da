"""Generating the songs of prompts into a folder."""

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from songgen_hf.checkpoints.digests import weights_digest
from songgen_hf.evaluation.protocol.evaluation import keep_setting
from songgen_hf.evaluation.protocol.options import (
    HEADLINE,
    AutoregressiveSetting,
    SongModelOptions,
)
from songgen_hf.evaluation.protocol.sampling import (
    AutoregressiveSampler,
    song_seed,
    untrained_copy,
    vocal_path,
)
from songgen_hf.provenance import read_provenance

from ...tools.evaluation_cases import some_prompts

PLAIN = AutoregressiveSetting(guidance=1.0, voice=False)


@pytest.fixture
def make_sampler(tmp_path, tiny_checkpoint):
    """Factory of samplers of songs of two tenths of a second."""

    def make(pattern="mixed", **options):
        voice = (0.1 * np.sin(np.arange(16000) / 9)).astype(np.float32)
        options = {"max_seconds": 0.2, "batch_size": 2} | options
        checkpoint = tiny_checkpoint(pattern)
        return AutoregressiveSampler(
            checkpoint, tmp_path, lambda song_id: (voice, 16000), **options
        )

    return make


def files(folder):
    """What is in a folder and when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.slow
def test_every_prompt_is_sampled_with_every_seed_in_order(make_sampler):
    prompts = some_prompts(3)

    songs = list(make_sampler().sample(prompts, [0, 1], PLAIN))

    assert [(song.seed, song.prompt) for song in songs] == [
        (seed, prompt) for seed in (0, 1) for prompt in prompts
    ]
    assert all(song.vocal is None and song.mixture.ndim == 1 for song in songs)
    assert not np.array_equal(songs[0].mixture, songs[3].mixture)


@pytest.mark.slow
def test_the_sampler_of_a_model_with_two_tracks_writes_vocals(make_sampler):
    sampler = make_sampler("interleaving_A_V")

    (song,) = sampler.sample(some_prompts(1), [0], PLAIN)

    assert sampler.has_vocal_track
    assert song.vocal is not None and vocal_path(song.path).is_file()
    for path in (song.path, vocal_path(song.path)):
        record = read_provenance(path)
        assert record["ai_generated"] and record["seed"] == song_seed(song.prompt, 0)


@pytest.mark.slow
def test_another_version_of_transformers_changes_no_digest(make_sampler):
    model = make_sampler().model
    before = weights_digest(model)

    model.generation_config.transformers_version = "0.0.1"
    assert weights_digest(model) == before
    model.generation_config.guidance_scale = 7.0
    assert weights_digest(model) != before


@pytest.mark.slow
def test_an_autoregressive_song_does_not_depend_on_its_batch(make_sampler, tmp_path):
    prompts = some_prompts(3)

    together = [song.mixture for song in make_sampler(batch_size=3).sample(prompts, [0], PLAIN)]
    for path in tmp_path.rglob("*.flac"):
        path.unlink()
    alone = [song.mixture for song in make_sampler(batch_size=1).sample(prompts, [0], PLAIN)]

    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_songs_in_the_folder_are_not_generated_again(make_sampler):
    prompts = some_prompts(2)
    sampler = make_sampler()
    first = [song.mixture for song in sampler.sample(prompts[:1], [0], PLAIN)]
    before = files(sampler.folder(PLAIN))

    again = [song.mixture for song in make_sampler().sample(prompts, [0], PLAIN)]

    after = files(sampler.folder(PLAIN))
    assert before.items() <= after.items() and len(after) == 2
    np.testing.assert_array_equal(first[0], again[0])


@pytest.mark.slow
def test_each_setting_and_model_has_a_folder_of_its_own(make_sampler):
    sampler = make_sampler()
    settings = [
        PLAIN,
        AutoregressiveSetting(guidance=2.0, voice=False),
        AutoregressiveSetting(guidance=1.0, voice=True),
        AutoregressiveSetting(guidance=1.0, voice=False, trained=False),
        AutoregressiveSetting(guidance=1.0, voice=False, temperature=0.5),
    ]

    folders = {sampler.folder(setting) for setting in settings}
    folders |= {
        make_sampler(max_seconds=0.3).folder(PLAIN),
        make_sampler("mixed_pro").folder(PLAIN),
    }
    folders.add(make_sampler(dtype="bfloat16").folder(PLAIN))

    assert len(folders) == len(settings) + 3


@pytest.mark.slow
def test_guidance_and_a_reference_voice_change_the_song(make_sampler):
    prompts = some_prompts(1)
    sampler = make_sampler()

    songs = [
        next(sampler.sample(prompts, [0], setting)).mixture
        for setting in (
            PLAIN,
            AutoregressiveSetting(guidance=3.0, voice=False),
            AutoregressiveSetting(guidance=1.0),
        )
    ]

    assert not np.array_equal(songs[0], songs[1]) and not np.array_equal(songs[0], songs[2])


def test_every_song_has_a_seed_of_its_own():
    seeds = {song_seed(prompt, seed) for prompt in some_prompts(8) for seed in range(5)}

    assert len(seeds) == 40


@pytest.mark.slow
def test_the_untrained_copy_shares_nothing_but_the_codec(tiny_singer):
    model = tiny_singer()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    one, same, other = (untrained_copy(model, seed=seed) for seed in (0, 0, 1))

    assert one.audio_encoder is model.audio_encoder
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    for name, weight in one.decoder.state_dict().items():
        assert torch.equal(weight, same.decoder.state_dict()[name])
        if weight.ndim > 1 and "embed_positions" not in name:
            assert not torch.equal(weight, model.decoder.state_dict()[name])
            assert not torch.equal(weight, other.decoder.state_dict()[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", HEADLINE),
        ("guidance=1.5,voice=no", AutoregressiveSetting(guidance=1.5, voice=False)),
        (
            "guidance=text:1.5+lyrics:3",
            AutoregressiveSetting(guidance=(("lyrics", 3.0), ("text", 1.5))),
        ),
        (
            "temperature=0.9,top_k=20",
            AutoregressiveSetting(HEADLINE.guidance, HEADLINE.voice, True, 0.9, 20),
        ),
    ],
)
def test_autoregressive_settings_are_read_from_text(text, expected):
    assert AutoregressiveSetting.parse(text) == expected


def test_guidance_per_condition_is_an_argument_of_generate():
    setting = AutoregressiveSetting.parse("guidance=text:1.5+lyrics:3")

    assert setting.generation["guidance_scale"] == {"text": 1.5, "lyrics": 3.0}
    assert str(setting) == "guidance lyrics 3 text 1.5, a voice"


def test_guidance_per_condition_is_kept_in_a_checkpoint_and_read_from_it(tmp_path):
    GenerationConfig(guidance_scale=2.0).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    setting = AutoregressiveSetting.parse("guidance=text:1.5+lyrics:3")

    keep_setting(str(tmp_path), setting)

    kept = GenerationConfig.from_pretrained(tmp_path)
    assert AutoregressiveSetting().resolved(kept) == setting
    assert setting.facts()["guidance"] == {"text": 1.5, "lyrics": 3.0}


@pytest.mark.parametrize(
    "text", ["guidance", "guidance=two", "guidance=text:2+3", "voice=maybe", "speed=2"]
)
def test_other_texts_are_no_autoregressive_setting(text):
    with pytest.raises(ValueError, match="expected guidance=NUMBER"):
        AutoregressiveSetting.parse(text)


def test_song_model_options_out_of_range_are_errors(tmp_path):
    given = {"songs": tmp_path, "judges": tmp_path, "cache": tmp_path}

    with pytest.raises(ValueError, match="got prompts 0, expected a positive number"):
        SongModelOptions(prompts=0, **given)
    with pytest.raises(ValueError, match=r"got seeds \(1, 1\), expected at least one, each once"):
        SongModelOptions(seeds=(1, 1), **given)
    with pytest.raises(ValueError, match="got checkpoints"):
        SongModelOptions(checkpoints=(), **given)


def test_other_settings_are_every_guidance_with_and_without_a_voice(tmp_path):
    headline = AutoregressiveSetting(2.0, True)
    options = SongModelOptions(songs=tmp_path, judges=tmp_path, headline=headline)

    assert [(one.guidance, one.voice) for one in options.other_settings] == [
        (1.0, True), (1.0, False), (2.0, False), (3.0, True), (3.0, False),
    ]  # fmt: skip
