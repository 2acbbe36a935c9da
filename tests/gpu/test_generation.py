"""Generation on a GPU gives the songs of the CPU, in batches, compiled, streamed and in bf16."""

import pytest
import torch
from transformers import CompileConfig

from songgen_hf.modeling.patterns import TRACK_PATTERNS
from songgen_hf.pipelines.streaming import stream_song

pytestmark = pytest.mark.gpu

GREEDY = {"do_sample": False, "max_new_frames": 6}
WAVEFORM = {"atol": 1e-3, "rtol": 1e-3}  # convolutions round differently
each_pattern = pytest.mark.parametrize("pattern", TRACK_PATTERNS)


@each_pattern
def test_greedy_codes_equal_those_of_the_cpu(tiny_model, tiny_inputs, moved, device, pattern):
    model = tiny_model(pattern)

    codes = moved(model).generate(**moved(tiny_inputs()), **GREEDY)

    assert codes.device.type == device.type
    assert torch.equal(codes.cpu(), model.generate(**tiny_inputs(), **GREEDY))


@each_pattern
def test_a_batch_equals_its_songs(tiny_model, tiny_inputs, moved, pattern):
    model, batch = moved(tiny_model(pattern)), moved(tiny_inputs(4))

    together = model.generate(**batch, **GREEDY)

    for row, codes in enumerate(together):
        alone = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        assert torch.equal(model.generate(**alone, **GREEDY)[0], codes)


def test_a_seed_gives_the_same_song_in_every_batch(tiny_model, tiny_inputs, moved):
    model, batch = moved(tiny_model("interleaving_A_V")), moved(tiny_inputs(2))
    sampled = {"do_sample": True, "max_new_frames": 6}

    together = model.generate(**batch, **sampled, seed=[3, 4])

    for row, seed in enumerate((3, 4)):
        alone = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        assert torch.equal(model.generate(**alone, **sampled, seed=seed)[0], together[row])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised in modules of the compiler
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V", "parallel_V_A"])
def test_a_compiled_static_cache_gives_the_same_codes(
    tiny_model, tiny_inputs, moved, device, pattern
):
    model, batch = moved(tiny_model(pattern)), moved(tiny_inputs())
    expected = model.generate(**batch, **GREEDY)
    static = {"cache_implementation": "static"}
    assert torch.equal(model.generate(**batch, **GREEDY, **static), expected)
    backend = "inductor" if device.type == "cuda" else "aot_eager"
    config = CompileConfig(backend=backend, mode=None, fullgraph=True)
    config._compile_all_devices = True
    torch._dynamo.reset()

    compiled = model.generate(**batch, **GREEDY, **static, compile_config=config)

    assert torch.equal(compiled, expected)


@each_pattern
def test_bf16_logits_are_near_those_of_float32(tiny_model, tiny_inputs, moved, pattern):
    model, batch = tiny_model(pattern), moved(tiny_inputs())
    decoder = model.config.decoder
    shape = (2, decoder.num_tracks, decoder.num_codebooks, 8)
    codes = torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(0))
    labels = model.pattern.labels(codes, bos_token_id=1025, eos_token_id=1024)
    batch["labels"] = labels.to(next(iter(batch.values())).device)

    with torch.no_grad():
        full, half = moved(model)(**batch), moved(model, torch.bfloat16)(**batch)

    difference = (half.logits.float() - full.logits).norm() / full.logits.norm()
    assert difference < 0.1
    assert half.loss.item() == pytest.approx(full.loss.item(), rel=0.03)


def test_the_codec_decodes_and_encodes_as_on_the_cpu(tiny_model, moved):
    codec = tiny_model("mixed").audio_encoder
    codes = torch.randint(0, 1024, (2, 4, 20), generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        expected = codec.decode(codes).audio_values
        waveform = moved(codec).decode(moved({"codes": codes})["codes"]).audio_values
        encoded = moved(codec).encode(waveform).audio_codes
        expected_codes = codec.encode(waveform.cpu()).audio_codes

    torch.testing.assert_close(waveform.cpu(), expected, **WAVEFORM)
    # A frame that lies between two codes may fall to either.
    assert (encoded.cpu() == expected_codes).float().mean() > 0.95


@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V"])
def test_the_chunks_of_a_stream_are_the_song(tiny_model, moved, pattern):
    model = moved(tiny_model(pattern))
    text = {"input_ids": torch.tensor([[5, 6, 1]]), "lyrics_ids": torch.tensor([[1, 2, 7, 0]])}
    settings = moved(text) | {"max_new_frames": 24, "seed": 3}

    chunks = list(stream_song(model, chunk_frames=5, raw=True, **settings))

    song = model.decode_codes(model.generate(**settings))
    found = torch.cat([chunk.waveform for chunk in chunks])
    expected = song.waveform[0, 0, : int(song.lengths[0])].cpu()
    torch.testing.assert_close(found, expected, **WAVEFORM)
