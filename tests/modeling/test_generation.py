"""Tests of generate(): caches, batches, prompts, guidance, seeds and streams."""

import copy

import pytest
import torch
import torch._dynamo
from transformers import CompileConfig
from transformers.generation.streamers import BaseStreamer

from songgen_hf.modeling.patterns import SONGGEN_PATTERNS, TRACK_PATTERNS

GREEDY = {"do_sample": False, "max_new_frames": 5}
SPECIAL_IDS = list(range(1024, 1088))
VARIANTS = {
    "sinusoidal": {},
    "rope": {"decoder": {"rope_embeddings": True}},
    "grouped_heads": {
        "decoder": {"num_key_value_heads": 2, "num_cross_attention_key_value_heads": 1}
    },
    "rope_grouped_heads": {"decoder": {"rope_embeddings": True, "num_key_value_heads": 1}},
    "prepended_lyrics": {"lyrics_cross_attention": False},
    "prepended_lyrics_rope": {
        "lyrics_cross_attention": False,
        "decoder": {"rope_embeddings": True},
    },
    "plain_lyrics": {"use_lyrics_encoder": False},
}

QUICK = ("mixed", "parallel_A_V", "interleaving_A_V")  # one of each layout of rows
each_pattern = pytest.mark.parametrize(
    "pattern",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in TRACK_PATTERNS],
)
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def row(batch: dict, index: int, *, keep_lyrics_padding: bool = False) -> dict:
    """Return one sample of a batch, with the padding of its text and lyrics removed."""
    sample = {name: tensor[index : index + 1] for name, tensor in batch.items()}
    for ids, mask in (("input_ids", "attention_mask"), ("lyrics_ids", "lyrics_attention_mask")):
        if ids in sample and not (keep_lyrics_padding and ids == "lyrics_ids"):
            length = int(sample[mask].sum())
            sample[ids], sample[mask] = sample[ids][:, :length], sample[mask][:, :length]
    return sample


def some_codes(model, num_frames: int, *, batch_size: int = 2, seed: int = 5) -> torch.Tensor:
    decoder = model.config.decoder
    shape = (batch_size, decoder.num_tracks, decoder.num_codebooks, num_frames)
    return torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(seed))


def check_every_cache(model, inputs: dict) -> None:
    cached = model.generate(**inputs, **GREEDY)

    assert torch.equal(model.generate(**inputs, **GREEDY, use_cache=False), cached)
    assert torch.equal(model.generate(**inputs, **GREEDY, cache_implementation="static"), cached)


def check_batch_equals_singles(model, inputs: dict) -> None:
    batch = model.generate(**inputs, **GREEDY)

    # Prepended lyrics take positions, including their padding, as in the reference.
    prepended = not model.config.lyrics_cross_attention
    for index in range(len(batch)):
        alone = row(inputs, index, keep_lyrics_padding=prepended)
        assert torch.equal(model.generate(**alone, **GREEDY)[0], batch[index])


class CountingStreamer(BaseStreamer):
    def __init__(self):
        self.puts, self.ends = [], 0

    def put(self, value):
        self.puts.append(value.clone())

    def end(self):
        self.ends += 1


@pytest.mark.slow
@each_pattern
def test_every_cache_and_no_cache_give_the_same_codes(tiny_model, tiny_inputs, pattern):
    check_every_cache(tiny_model(pattern), tiny_inputs())


@pytest.mark.slow
@each_variant
def test_every_cache_gives_the_same_codes_for_every_kind_of_decoder(
    tiny_model, tiny_inputs, variant
):
    check_every_cache(tiny_model("mixed", **VARIANTS[variant]), tiny_inputs())


@pytest.mark.slow
@each_pattern
def test_every_cache_gives_the_same_codes_with_guidance_and_a_prompt(
    tiny_model, tiny_inputs, pattern
):
    model = tiny_model(pattern)
    prompted = tiny_inputs() | {"audio_prompt_codes": some_codes(model, 3), "guidance_scale": 2.0}

    check_every_cache(model, prompted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised in modules of the compiler
@pytest.mark.parametrize(
    ("pattern", "backend"),
    [(pattern, "aot_eager") for pattern in SONGGEN_PATTERNS] + [("mixed", "inductor")],
)
def test_a_compiled_decoder_generates_the_same_codes(tiny_model, tiny_inputs, pattern, backend):
    model = copy.deepcopy(tiny_model(pattern))
    compile_config = CompileConfig(backend=backend, mode=None, fullgraph=True)
    compile_config._compile_all_devices = True
    expected = model.generate(**tiny_inputs(), **GREEDY)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()

    codes = model.generate(
        **tiny_inputs(), **GREEDY, cache_implementation="static", compile_config=compile_config
    )

    assert torch.equal(codes, expected)
    counters = torch._dynamo.utils.counters
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


@pytest.mark.slow
@each_pattern
def test_a_batch_equals_its_songs_one_by_one(tiny_model, tiny_inputs, pattern):
    check_batch_equals_singles(tiny_model(pattern), tiny_inputs(3))


@pytest.mark.slow
@each_variant
def test_a_batch_equals_its_songs_for_every_kind_of_decoder(tiny_model, tiny_inputs, variant):
    check_batch_equals_singles(tiny_model("mixed", **VARIANTS[variant]), tiny_inputs(3))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "parallel_A_V", "interleaving_A_V"])
def test_prepended_lyrics_work_for_every_layout_of_rows(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern, lyrics_cross_attention=False)

    check_every_cache(model, tiny_inputs())
    check_batch_equals_singles(model, tiny_inputs())


@each_pattern
@pytest.mark.parametrize("num_frames", [1, 4])
def test_prompt_codes_are_returned_unchanged_before_the_new_frames(
    tiny_model, tiny_inputs, pattern, num_frames
):
    model = tiny_model(pattern)
    prompt = some_codes(model, num_frames)

    codes = model.generate(**tiny_inputs(), audio_prompt_codes=prompt, **GREEDY)

    assert torch.equal(codes[..., :num_frames], prompt)
    assert codes.shape[-1] == num_frames + GREEDY["max_new_frames"]


@each_pattern
def test_continuing_a_song_from_its_own_beginning_gives_the_song(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    greedy = {"do_sample": False, "suppress_tokens": SPECIAL_IDS}
    whole = model.generate(**tiny_inputs(), **greedy, max_new_frames=7)

    continued = model.generate(
        **tiny_inputs(), **greedy, audio_prompt_codes=whole[..., :3], max_new_frames=4
    )

    assert torch.equal(continued, whole)


@pytest.mark.slow
@each_pattern
@pytest.mark.parametrize("num_frames", [1, 2, 6])
def test_max_new_frames_is_exact(tiny_model, tiny_inputs, pattern, num_frames):
    model = tiny_model(pattern)

    codes = model.generate(
        **tiny_inputs(), max_new_frames=num_frames, do_sample=False, suppress_tokens=SPECIAL_IDS
    )

    decoder = model.config.decoder
    assert codes.dtype == torch.int64
    assert codes.shape == (2, decoder.num_tracks, decoder.num_codebooks, num_frames)
    assert codes.max() < 1024
    assert model.decode_codes(codes).lengths.tolist() == [320 * num_frames] * 2


@each_pattern
def test_a_guidance_scale_of_one_changes_nothing(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)

    guided = model.generate(**tiny_inputs(), **GREEDY, guidance_scale=1.0)

    assert torch.equal(guided, model.generate(**tiny_inputs(), **GREEDY))


def guided_by_plain_calls(model, inputs: dict, *, scale: float, num_frames: int) -> torch.Tensor:
    """Generate with guidance by two forward calls per step, with and without conditions."""
    config, decoder = model.config, model.config.decoder
    batch_size = len(inputs["input_ids"])
    padding = [0] * (inputs["lyrics_ids"].shape[1] - len(config.lyrics_encoder.null_ids))
    null_lyrics = list(config.lyrics_encoder.null_ids)
    nothing = {
        "input_ids": torch.tensor([list(config.null_text_ids)] * batch_size),
        "lyrics_ids": torch.tensor([null_lyrics + padding] * batch_size),
        "lyrics_attention_mask": torch.tensor([[1] * len(null_lyrics) + padding] * batch_size),
        "voice_values": torch.zeros_like(inputs["voice_values"]),
        "voice_attention_mask": torch.zeros_like(inputs["voice_attention_mask"]),
    }
    nothing["attention_mask"] = torch.ones_like(nothing["input_ids"])
    num_steps = decoder.pattern.num_steps(num_frames)
    forced = decoder.pattern.forced_ids(
        num_steps, num_frames, decoder.bos_token_id, decoder.pad_token_id
    )
    ids = forced[:, :, :1].repeat(batch_size, 1, 1)
    for step in range(1, num_steps):
        with torch.no_grad():
            given = model(**inputs, decoder_input_ids=ids).logits[:, -1]
            null = model(**nothing, decoder_input_ids=ids).logits[:, -1]
        scores = null + scale * (given - null)
        scores[:, SPECIAL_IDS] = -torch.inf
        best = scores.argmax(-1).reshape(batch_size, decoder.num_rows)
        column = torch.where(forced[:, :, step] == -1, best, forced[:, :, step])
        ids = torch.cat([ids, column[..., None]], dim=-1)
    return decoder.pattern.revert(ids)


@pytest.mark.slow
@each_pattern
def test_guidance_equals_two_plain_calls_per_step(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    inputs = tiny_inputs()

    guided = model.generate(**inputs, **GREEDY, guidance_scale=3.0, suppress_tokens=SPECIAL_IDS)

    expected = guided_by_plain_calls(model, inputs, scale=3.0, num_frames=GREEDY["max_new_frames"])
    assert torch.equal(guided, expected)
    unguided = model.generate(**inputs, **GREEDY, suppress_tokens=SPECIAL_IDS)
    assert not torch.equal(guided, unguided)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["prepended_lyrics", "plain_lyrics", "rope"])
def test_guidance_equals_plain_calls_for_every_kind_of_decoder(tiny_model, tiny_inputs, variant):
    model = tiny_model("mixed", **VARIANTS[variant])
    inputs = tiny_inputs()

    guided = model.generate(**inputs, **GREEDY, guidance_scale=3.0, suppress_tokens=SPECIAL_IDS)

    expected = guided_by_plain_calls(model, inputs, scale=3.0, num_frames=GREEDY["max_new_frames"])
    assert torch.equal(guided, expected)


@pytest.mark.slow
@each_pattern
def test_the_same_seed_gives_the_same_song_and_another_seed_another(
    tiny_model, tiny_inputs, pattern
):
    model = tiny_model(pattern)

    def generate(seed):
        return model.generate(**tiny_inputs(), do_sample=True, max_new_frames=5, seed=seed)

    assert torch.equal(generate(3), generate(3))
    assert not torch.equal(generate(3), generate(4))


def test_a_seeded_song_does_not_depend_on_the_global_random_state(tiny_model, tiny_inputs):
    sampled = {"do_sample": True, "max_new_frames": 3, "seed": 1}
    torch.manual_seed(0)
    first = tiny_model().generate(**tiny_inputs(), **sampled)
    torch.manual_seed(1)

    assert torch.equal(tiny_model().generate(**tiny_inputs(), **sampled), first)


@pytest.mark.slow
@each_pattern
def test_a_seed_gives_the_same_song_alone_and_in_a_batch(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    inputs = tiny_inputs(3)
    sampled = {"do_sample": True, "max_new_frames": 5, "top_k": 50}

    batch = model.generate(**inputs, **sampled, seed=[7, 8, 7])

    for index, seed in enumerate([7, 8, 7]):
        alone = model.generate(**row(inputs, index), **sampled, seed=seed)
        assert torch.equal(alone[0], batch[index])


def test_songs_of_one_input_differ_with_one_seed(tiny_model, tiny_inputs):
    songs = tiny_model().generate(
        **tiny_inputs(1), do_sample=True, max_new_frames=4, seed=7, num_return_sequences=3
    )

    assert len({tuple(song.flatten().tolist()) for song in songs}) == 3


def test_too_few_seeds_for_the_batch_are_refused(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match="seed"):
        tiny_model().generate(**tiny_inputs(3), do_sample=True, max_new_frames=2, seed=[1, 2])


@each_pattern
def test_sampling_from_the_one_best_id_is_greedy(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)

    sampled = model.generate(**tiny_inputs(), do_sample=True, top_k=1, max_new_frames=5, seed=0)

    assert torch.equal(sampled, model.generate(**tiny_inputs(), **GREEDY))


@pytest.mark.slow
@each_pattern
@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_the_songs_of_one_input_are_adjacent(tiny_model, tiny_inputs, pattern, guidance_scale):
    model = tiny_model(pattern)
    once = model.generate(**tiny_inputs(), **GREEDY, guidance_scale=guidance_scale)

    thrice = model.generate(
        **tiny_inputs(),
        do_sample=True,
        top_k=1,
        max_new_frames=5,
        seed=0,
        num_return_sequences=3,
        guidance_scale=guidance_scale,
    )

    assert torch.equal(thrice, once.repeat_interleave(3, dim=0))


@each_pattern
def test_the_output_dict_holds_codes_rows_scores_and_logits(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    decoder = model.config.decoder

    output = model.generate(
        **tiny_inputs(),
        **GREEDY,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )

    num_steps = decoder.pattern.num_steps(GREEDY["max_new_frames"])
    assert output.sequences.shape == (2 * decoder.num_rows, num_steps)
    assert torch.equal(output.codes, model.generate(**tiny_inputs(), **GREEDY))
    by_song = output.sequences.reshape(2, decoder.num_rows, num_steps)
    assert torch.equal(decoder.pattern.revert(by_song), output.codes)
    assert len(output.scores) == len(output.logits) == num_steps - 1
    assert output.scores[0].shape == (2 * decoder.num_rows, decoder.vocab_size)


def test_the_output_dict_holds_attentions_and_hidden_states_if_asked(tiny_model, tiny_inputs):
    model = tiny_model()
    decoder = model.config.decoder

    output = model.generate(
        **tiny_inputs(),
        **GREEDY,
        return_dict_in_generate=True,
        output_attentions=True,
        output_hidden_states=True,
    )

    layers, heads = decoder.num_hidden_layers, decoder.num_attention_heads
    steps = output.sequences.shape[-1] - 1
    assert len(output.decoder_attentions) == len(output.cross_attentions) == steps
    assert len(output.decoder_attentions[0]) == layers
    assert output.decoder_attentions[-1][0].shape == (2, heads, 1, steps)
    assert output.cross_attentions[-1][0].shape[:3] == (2, heads, 1)
    assert len(output.decoder_hidden_states[0]) == layers + 1
    assert output.decoder_hidden_states[-1][0].shape == (2, 1, decoder.hidden_size)


@each_pattern
def test_a_streamer_gets_the_first_columns_then_each_column_then_the_end(
    tiny_model, tiny_inputs, pattern
):
    model = tiny_model(pattern)
    streamer = CountingStreamer()

    output = model.generate(
        **tiny_inputs(1),
        **GREEDY,
        streamer=streamer,
        return_dict_in_generate=True,
        audio_prompt_codes=some_codes(model, 2, batch_size=1),
    )

    opening, *columns = streamer.puts
    assert streamer.ends == 1
    assert len(columns) == output.sequences.shape[-1] - opening.shape[-1]
    streamed = torch.cat([opening, torch.stack(columns, dim=-1)], dim=-1)
    assert torch.equal(streamed, output.sequences)


def test_suppressed_ids_are_never_generated(tiny_model, tiny_inputs):
    model = tiny_model()
    favorite = model.generate(**tiny_inputs(), **GREEDY)
    suppressed = favorite.unique().tolist()

    codes = model.generate(**tiny_inputs(), **GREEDY, suppress_tokens=suppressed)

    assert not torch.isin(codes, torch.tensor(suppressed)).any()
    assert codes.shape == favorite.shape
