"""A song model on the codes of EnCodec, DAC or Mimi: prepared, trained, saved, generated."""

import json

import numpy as np
import pytest
import torch

from songgen_hf.cli import main
from songgen_hf.data.preparation.codes import prepare_codes
from songgen_hf.data.preparation.options import CodesOptions
from songgen_hf.modeling.configuration_songgen import SongGenConfig
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.pipelines.streaming import SongGenAudioStreamer
from songgen_hf.training.language_model.initialization import load_model
from songgen_hf.training.options import ModelOptions
from tests.data.preparation.test_codes import song
from tests.tools.codecs import CODEC_KINDS, mini_codec

SMALL_PRESET = {"num_hidden_layers": 1, "hidden_size": 32, "ffn_dim": 32, "num_attention_heads": 2}


@pytest.fixture
def small_preset(monkeypatch):
    """The preset mini with a decoder of one small layer."""
    from songgen_hf.presets import models

    decoder = {**models.PRESETS["mini"]["decoder"], **SMALL_PRESET}
    monkeypatch.setitem(models.PRESETS, "mini", {**models.PRESETS["mini"], "decoder": decoder})


def saved_codec(kind, folder):
    codec = mini_codec(kind)
    codec.save_pretrained(folder)
    return codec


@pytest.mark.slow
@pytest.mark.parametrize("kind", CODEC_KINDS)
def test_a_new_model_has_the_sizes_of_its_codec_also_after_loading(kind, small_preset, tmp_path):
    codec = saved_codec(kind, tmp_path / "codec")
    model, processor = load_model(ModelOptions(preset="mini", codec=str(tmp_path / "codec")))
    model.save_pretrained(tmp_path / "model")

    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "model")

    decoder, sizes = loaded.config.decoder, codec.config
    assert (decoder.num_codebooks, decoder.codebook_size, decoder.vocab_size) == (4, 16, 18)
    assert (decoder.pad_token_id, decoder.bos_token_id, loaded.config.pad_token_id) == (16, 17, 16)
    assert (loaded.config.sampling_rate, loaded.config.frame_rate) == (
        sizes.sample_rate,
        sizes.frame_rate,
    )
    assert processor.feature_extractor.sampling_rate == sizes.sample_rate
    assert type(loaded.audio_encoder) is type(codec.model)
    for name, weight in codec.state_dict().items():
        assert torch.equal(loaded.audio_encoder.state_dict()[name], weight), name


@pytest.mark.slow
@pytest.mark.parametrize("kind", CODEC_KINDS)
def test_sound_of_prompts_and_songs_is_that_of_the_codec(kind, small_preset, tmp_path):
    codec = saved_codec(kind, tmp_path / "codec")
    model, _ = load_model(
        ModelOptions(preset="mini", track_pattern="mixed", codec=str(tmp_path / "codec"))
    )
    values = torch.randn(1, 1, 6 * codec.config.hop_length)

    codes = model.encode_audio(values)
    waveform = model.decode_codes(codes).waveform

    expected = codec.encode(values, return_dict=False)
    assert torch.equal(codes[:, 0], expected)
    torch.testing.assert_close(waveform, codec.decode(expected, return_dict=False))
    with pytest.raises(ValueError, match="cannot be streamed"):
        SongGenAudioStreamer(model)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["encodec"])
def test_songs_become_codes_a_model_and_new_songs(kind, small_preset, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    codec = saved_codec(kind, tmp_path / "codec")
    rows = datasets.Dataset.from_list([song(number) for number in range(4)])
    rows.to_parquet(tmp_path / "songs" / "train.parquet")
    options = CodesOptions(
        source=str(tmp_path / "songs"), output=tmp_path / "codes", model=str(tmp_path / "codec")
    )
    prepare_codes(options, progress=False)
    run = (
        f"train --preset mini --track-pattern interleaving_A_V --codec {tmp_path / 'codec'} "
        f"--dataset {tmp_path / 'codes'} --output-dir {tmp_path / 'model'} --max-steps 2 "
        "--warmup-steps 0 --per-device-train-batch-size 2 --gradient-accumulation-steps 1 "
        "--save-strategy no --disable-tqdm true"
    )
    sing = ["generate", "pop", "--model", str(tmp_path / "model"), "--lyrics", "la"]
    sing += ["--seed", "0", "--max-seconds", "0.3", "--out", str(tmp_path / "song.wav")]

    described = json.loads((tmp_path / "codes" / "codes.json").read_text())
    assert main(run.split()) == 0
    assert main(sing) == 0

    import soundfile

    waveform, rate = soundfile.read(tmp_path / "song.wav")
    assert described["frame_rate"] == codec.config.frame_rate
    assert described["num_codebooks"] == 4 and described["codebook_size"] == 16
    assert rate == codec.config.sample_rate
    assert 0 < len(waveform) <= 0.3 * rate + codec.config.hop_length
    assert np.isfinite(waveform).all()


def test_a_reference_checkpoint_still_has_an_x_codec():
    tiny = SongGenConfig(text_encoder={}, decoder={}, audio_encoder={"model_type": "xcodec"})

    assert tiny.audio_encoder.model_type == "songgen_xcodec"


@pytest.mark.slow
def test_masked_models_of_such_a_codec_are_refused(small_preset, tmp_path):
    from songgen_hf.modeling.masked.model import MaskedSongModel

    saved_codec("dac", tmp_path / "codec")
    model, _ = load_model(ModelOptions(preset="mini", codec=str(tmp_path / "codec")))

    with pytest.raises(ValueError, match="a codec of type 'dac'"):
        MaskedSongModel.from_song_model(model)
