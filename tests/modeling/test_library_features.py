"""Features that the libraries promise of every model: offloading, quantization, compilation.

Written after what the test mixins of transformers and diffusers check. Everything runs on the CPU.
"""

import copy

import pytest
import torch

from ..tools.tiny_checkpoint import tiny_masked, tiny_processor, tiny_singer  # noqa: F401

accelerate = pytest.importorskip("accelerate")


def generated(model, inputs, **options):
    """Codes and waveform of two short songs."""
    codes = model.generate(**inputs, max_new_frames=4, do_sample=False, **options)
    return codes, model.decode_codes(codes).waveform


def offloaded(model, how, folder):
    """A copy of a model whose weights are loaded when a module runs."""
    model = copy.deepcopy(model)
    if how == "cpu":
        return accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    return accelerate.disk_offload(model, folder, execution_device=torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cpu", "disk"])
@pytest.mark.parametrize("voice", [False, True])
@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V"])
def test_an_offloaded_model_generates_and_decodes_the_same_song(
    tiny_model, tiny_inputs, tmp_path, pattern, voice, how
):
    model, inputs = tiny_model(pattern), tiny_inputs(voice=voice)
    expected = generated(model, inputs)

    codes, waveform = generated(offloaded(model, how, tmp_path), inputs)

    assert torch.equal(codes, expected[0])
    assert torch.equal(waveform, expected[1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cpu", "disk"])
def test_an_offloaded_codec_encodes_and_decodes_alike(tiny_model, tmp_path, how):
    codec = tiny_model("mixed").audio_encoder
    waveform = torch.randn(2, 1, 3200, generator=torch.Generator().manual_seed(0))
    codes = codec.encode(waveform, return_dict=False)

    moved = offloaded(codec, how, tmp_path)

    assert torch.equal(moved.encode(waveform, return_dict=False), codes)
    assert torch.equal(moved.encode(waveform, chunk_frames=4, return_dict=False), codes)
    decoded = codec.decode(codes, return_dict=False)
    assert torch.equal(moved.decode(codes, return_dict=False), decoded)
    assert torch.equal(moved(waveform).audio_values, codec(waveform).audio_values)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cpu", "disk"])
def test_an_offloaded_model_encodes_an_audio_prompt(tiny_model, tmp_path, how):
    model = tiny_model("mixed")
    waveform = torch.randn(2, 1, 3200, generator=torch.Generator().manual_seed(0))

    moved = offloaded(model, how, tmp_path)

    assert torch.equal(moved.encode_audio(waveform), model.encode_audio(waveform))


@pytest.mark.slow
def test_the_codec_decodes_in_one_graph(tiny_model):
    codec = tiny_model("mixed").audio_encoder
    codes = torch.randint(0, 64, (1, 4, 6), generator=torch.Generator().manual_seed(0))

    compiled = torch.compile(codec.decode, fullgraph=True, backend="eager")

    with torch.no_grad():
        assert torch.equal(compiled(codes, return_dict=False), codec.decode(codes).audio_values)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
def test_the_masked_model_runs_in_one_graph(tiny_masked, head):  # noqa: F811
    model = tiny_masked(head=head).transformer
    config = model.config
    generator = torch.Generator().manual_seed(0)
    shape = (2, config.num_tracks, config.num_codebooks, 7)
    codes = torch.randint(0, config.codebook_size, shape, generator=generator)
    visible = torch.randint(0, config.num_codebooks, shape[:2] + shape[3:], generator=generator)
    conditions = torch.randn(2, 5, config.condition_size, generator=generator)
    inputs = codes, visible, conditions, torch.ones(2, 5, dtype=torch.long)

    compiled = torch.compile(model, fullgraph=True, backend="eager")

    with torch.no_grad():
        expected, found = model(*inputs).distribution, compiled(*inputs).distribution
    guidable = type(expected).guidable
    torch.testing.assert_close(getattr(found, guidable), getattr(expected, guidable))


def labels_of(model, *, vocal: bool):
    """Labels of two songs, and of their vocal track."""
    decoder = model.config.decoder
    generator = torch.Generator().manual_seed(0)
    shape = (2, 9, decoder.num_rows)
    found = {"labels": torch.randint(0, decoder.codebook_size, shape, generator=generator)}
    if vocal:
        found["vocal_labels"] = found["labels"].flip(0)
    return found


def test_a_loss_without_the_vocal_heads_says_so_once(tiny_model, tiny_inputs, caplog):
    model = copy.deepcopy(tiny_model("mixed_pro", decoder={"add_vocal_loss": True})).train()
    from transformers.utils import logging

    logging.warning_once.cache_clear()  # another test of this process may have had it
    logging.enable_propagation()
    try:
        output = model(**tiny_inputs(), **labels_of(model, vocal=True))
    finally:
        logging.disable_propagation()

    assert torch.equal(output.loss, output.codebook_losses.mean())
    assert "config.decoder.vocal_loss_weight=0.1" in caplog.text


def test_the_text_encoders_states_and_attentions_come_with_the_output(tiny_model, tiny_inputs):
    model, inputs = tiny_model("mixed"), tiny_inputs()
    asked = {"output_attentions": True, "output_hidden_states": True}

    output = model(**inputs, **labels_of(model, vocal=False), **asked)
    generated = model.generate(
        **inputs, max_new_frames=2, do_sample=False, return_dict_in_generate=True, **asked
    )

    layers = model.config.text_encoder.num_layers
    for found in (output, generated):
        assert len(found.encoder_hidden_states) == layers + 1
        assert len(found.encoder_attentions) == layers
        assert found.encoder_hidden_states[0].shape[:2] == inputs["input_ids"].shape


def test_what_a_song_model_cannot_do_is_refused_in_one_line_and_changes_nothing(tiny_model):
    model = copy.deepcopy(tiny_model("mixed"))
    before = [name for name, _ in model.named_parameters()]

    with pytest.raises(NotImplementedError, match=r"call generate\(\) with a batch"):
        model.generate_batch([[1, 2, 3]])
    with pytest.raises(ValueError, match="resize model.conditioner.text_encoder"):
        model.resize_token_embeddings(100)

    assert [name for name, _ in model.named_parameters()] == before
    embeddings = model.get_input_embeddings().weight
    assert torch.equal(embeddings, tiny_model("mixed").get_input_embeddings().weight)


@pytest.mark.slow
def test_the_model_and_the_codec_can_be_exported(tiny_model, tiny_inputs):
    model = tiny_model("mixed_pro")
    ids = torch.zeros(2, model.config.decoder.num_rows, 3, dtype=torch.long)
    inputs = {**tiny_inputs(), "decoder_input_ids": ids}

    song = torch.export.export(model, (), inputs)
    codec = torch.export.export(model.audio_encoder, (torch.zeros(1, 1, 3200),))

    with torch.no_grad():
        torch.testing.assert_close(song.module()(**inputs).logits, model(**inputs).logits)
        waveform = torch.randn(1, 1, 3200, generator=torch.Generator().manual_seed(0))
        expected = model.audio_encoder(waveform)
    assert torch.equal(codec.module()(waveform).audio_codes, expected.audio_codes)
