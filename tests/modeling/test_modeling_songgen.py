"""Tests of the model: causality, losses, conditions, cache, gradients, encoding and decoding."""

import copy

import pytest
import torch

from songgen_hf.modeling.patterns import TRACK_PATTERNS

IGNORED = -100
BOS, EOS = 1025, 1024

each_pattern = pytest.mark.parametrize("pattern", TRACK_PATTERNS)


def some_codes(model, num_frames: int, *, batch_size: int = 2, seed: int = 3) -> torch.Tensor:
    decoder = model.config.decoder
    shape = (batch_size, decoder.num_tracks, decoder.num_codebooks, num_frames)
    return torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(seed))


def some_labels(model, *, lengths=(6, 4)) -> torch.Tensor:
    songs = [some_codes(model, length, batch_size=1)[0] for length in lengths]
    return model.config.decoder.pattern.labels(songs, bos_token_id=BOS, eos_token_id=EOS)


def some_ids(model, num_frames: int = 4) -> torch.Tensor:
    pattern = model.config.decoder.pattern
    return pattern.apply(some_codes(model, num_frames), bos_token_id=BOS, pad_token_id=EOS)


def forward(model, **inputs):
    with torch.no_grad():
        return model(**inputs)


def slow_losses(logits, ids, labels) -> list[float]:
    """Compute the mean cross-entropy of each row with plain loops over positions.

    The shapes are [B, N, L, V], [B, N, L] and [B, L, N].
    """
    losses = []
    for n in range(logits.shape[1]):
        counted = []
        for b in range(logits.shape[0]):
            for step in range(labels.shape[1]):
                label = int(labels[b, step, n])
                if label in (IGNORED, BOS) or int(ids[b, n, step]) == EOS:
                    continue
                counted.append(-float(logits[b, n, step].log_softmax(-1)[label]))
        losses.append(sum(counted) / len(counted))
    return losses


@pytest.mark.slow
@each_pattern
@pytest.mark.parametrize("prepend", [False, True])
def test_no_step_sees_a_later_one(tiny_model, tiny_inputs, pattern, prepend):
    model = tiny_model(pattern, lyrics_cross_attention=not prepend)
    embedded = []

    def keep(module, arguments):
        leaf = arguments[0].detach().requires_grad_()
        embedded.append(leaf)
        return leaf, *arguments[1:]

    handle = model.decoder.model.layers[0].register_forward_pre_hook(keep)
    logits = model(**tiny_inputs(), decoder_input_ids=some_ids(model)).logits
    handle.remove()
    steps = logits.shape[1]
    step = steps - 3
    logits[:, step].sum().backward()

    reached = embedded[0].grad.abs().sum(dim=(0, 2)) > 0
    assert reached[: step + 1].all()
    assert not reached[step + 1 :].any()


@pytest.mark.slow
@each_pattern
def test_losses_equal_a_plain_loop_over_every_position(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    labels = some_labels(model)

    output = forward(model, **tiny_inputs(), labels=labels)

    num_rows = model.config.decoder.num_rows
    by_row = output.logits.unflatten(0, (2, num_rows))
    expected = slow_losses(by_row, model.shift_right(labels), labels)
    torch.testing.assert_close(output.codebook_losses, torch.tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(output.loss, output.codebook_losses.mean())


def test_vocal_losses_count_the_steps_of_the_mixture(tiny_model, tiny_inputs):
    model = tiny_model("mixed_pro", decoder={"add_vocal_loss": True})
    labels, vocal = some_labels(model), some_labels(model, lengths=(3, 4))
    vocal = torch.nn.functional.pad(vocal, (0, 0, 0, labels.shape[1] - vocal.shape[1]), value=-100)
    states = []
    handle = model.decoder.model.register_forward_hook(
        lambda _, __, output: states.append(output.last_hidden_state)
    )

    output = forward(model, **tiny_inputs(), labels=labels, vocal_labels=vocal)
    handle.remove()

    with torch.no_grad():
        heads = model.decoder.vocal_lm_heads(states[0]).unflatten(-1, (4, -1)).transpose(1, 2)
    expected = slow_losses(heads, model.shift_right(labels), vocal)
    ours = output.vocal_codebook_losses
    torch.testing.assert_close(ours, torch.tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(output.vocal_loss, ours.mean())


@each_pattern
def test_the_loss_of_each_row_counts_exactly_one_end_mark(tiny_model, pattern):
    model = tiny_model(pattern)
    labels = some_labels(model)

    ids = model.shift_right(labels).transpose(1, 2)  # [B, L, rows]

    counted = (ids != EOS) & (labels == EOS)
    assert (counted.sum(dim=1) == 1).all()


@each_pattern
def test_longer_padding_of_labels_changes_no_loss(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    labels = some_labels(model)
    padded = torch.nn.functional.pad(labels, (0, 0, 0, 5), value=IGNORED)

    short = forward(model, **tiny_inputs(), labels=labels)
    long = forward(model, **tiny_inputs(), labels=padded)

    torch.testing.assert_close(long.codebook_losses, short.codebook_losses, atol=1e-5, rtol=0)


@each_pattern
def test_padding_of_the_conditions_changes_no_logits(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    inputs, ids = tiny_inputs(), some_ids(model)
    padded = dict(inputs)
    for name in ("input_ids", "attention_mask", "lyrics_ids", "lyrics_attention_mask"):
        padded[name] = torch.nn.functional.pad(inputs[name], (0, 4))

    expected = forward(model, **inputs, decoder_input_ids=ids).logits
    logits = forward(model, **padded, decoder_input_ids=ids).logits

    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@each_pattern
@pytest.mark.parametrize("rope", [False, True])
def test_steps_through_a_cache_equal_one_call(tiny_model, tiny_inputs, pattern, rope):
    model = tiny_model(pattern, decoder={"rope_embeddings": rope})
    inputs, ids = tiny_inputs(), some_ids(model)
    whole = forward(model, **inputs, decoder_input_ids=ids).logits

    cache, parts = None, []
    for chunk in (ids[..., :3], ids[..., 3:4], ids[..., 4:]):
        output = forward(
            model, **inputs, decoder_input_ids=chunk, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        parts.append(output.logits)

    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


def test_steps_through_a_cache_equal_one_call_with_prepended_lyrics(tiny_model, tiny_inputs):
    model = tiny_model("mixed", lyrics_cross_attention=False)
    inputs, ids = tiny_inputs(), some_ids(model)
    whole = forward(model, **inputs, decoder_input_ids=ids).logits

    first = forward(model, **inputs, decoder_input_ids=ids[..., :4], use_cache=True)
    rest = forward(
        model, **inputs, decoder_input_ids=ids[..., 4:], past_key_values=first.past_key_values
    )

    both = torch.cat([first.logits, rest.logits], dim=1)
    torch.testing.assert_close(both, whole, atol=1e-5, rtol=0)


def test_hidden_decoder_steps_have_no_effect(tiny_model, tiny_inputs):
    model = tiny_model()
    ids = some_ids(model)
    changed = ids.clone()
    changed[0, :, 2] = 77
    mask = torch.ones(2, ids.shape[-1], dtype=torch.long)
    mask[0, 2] = 0

    def logits(of):
        return forward(
            model, **tiny_inputs(), decoder_input_ids=of, decoder_attention_mask=mask
        ).logits.unflatten(0, (2, -1))

    torch.testing.assert_close(logits(changed)[0, :, 3:], logits(ids)[0, :, 3:])


def test_the_last_logits_computed_alone_equal_the_last_of_all(tiny_model, tiny_inputs):
    model = tiny_model()
    ids = some_ids(model)

    every = forward(model, **tiny_inputs(), decoder_input_ids=ids).logits
    last = forward(model, **tiny_inputs(), decoder_input_ids=ids, logits_to_keep=2).logits

    torch.testing.assert_close(last, every[:, -2:])


def test_decoder_ids_can_be_given_by_row_or_by_song(tiny_model, tiny_inputs):
    model = tiny_model("parallel_std")
    ids = some_ids(model)

    by_song = forward(model, **tiny_inputs(), decoder_input_ids=ids).logits
    flat = forward(model, **tiny_inputs(), decoder_input_ids=ids.flatten(0, 1)).logits

    assert torch.equal(flat, by_song)


def test_conditions_encoded_in_advance_give_the_same_logits(tiny_model, tiny_inputs):
    model = tiny_model()
    inputs, ids = tiny_inputs(), some_ids(model)

    with torch.no_grad():
        conditions = model.conditioner(**inputs, for_generation=False)
    reused = forward(model, encoder_outputs=conditions, decoder_input_ids=ids)

    assert torch.equal(reused.logits, forward(model, **inputs, decoder_input_ids=ids).logits)


def test_a_silent_voice_is_hidden_from_the_decoder(tiny_model, tiny_inputs):
    model = tiny_model()
    inputs, ids = tiny_inputs(), some_ids(model)
    without = {name: value for name, value in inputs.items() if not name.startswith("voice")}
    silent = without | {"voice_values": torch.zeros(2, 3200)}

    with_silence = forward(model, **silent, decoder_input_ids=ids)

    expected = forward(model, **without, decoder_input_ids=ids)
    torch.testing.assert_close(with_silence.logits, expected.logits, atol=1e-5, rtol=0)
    num_frames = (
        with_silence.encoder_attention_mask.shape[1] - expected.encoder_attention_mask.shape[1]
    )
    assert num_frames > 0
    assert not with_silence.encoder_attention_mask[:, :num_frames].any()


def test_a_voice_changes_the_song(tiny_model, tiny_inputs):
    model = tiny_model()
    inputs, ids = tiny_inputs(), some_ids(model)
    other = inputs | {"voice_values": inputs["voice_values"].flip(1)}

    logits = forward(model, **inputs, decoder_input_ids=ids).logits.unflatten(0, (2, -1))
    changed = forward(model, **other, decoder_input_ids=ids).logits.unflatten(0, (2, -1))

    assert not torch.allclose(changed[0], logits[0], atol=1e-3)
    torch.testing.assert_close(changed[1], logits[1])  # the second song has no voice


@pytest.mark.slow
def test_generation_skips_the_text_projection_only_where_the_config_says_so(
    tiny_model, tiny_inputs
):
    inputs = tiny_inputs(voice=False)
    same_width = {"text_encoder": {"d_model": 16}}

    def states(model, *, for_generation):
        with torch.no_grad():
            return model.conditioner(**inputs, for_generation=for_generation).last_hidden_state

    skipping = tiny_model("mixed", **same_width)
    projecting = tiny_model("mixed", **same_width, generation_text_projection="always")
    different = tiny_model("mixed")
    assert not torch.equal(
        states(skipping, for_generation=True), states(skipping, for_generation=False)
    )
    for model in (projecting, different):
        assert torch.equal(states(model, for_generation=True), states(model, for_generation=False))


def test_attentions_and_hidden_states_have_one_entry_per_layer(tiny_model, tiny_inputs):
    model = tiny_model()
    ids = some_ids(model)
    steps = ids.shape[-1]

    output = forward(
        model,
        **tiny_inputs(),
        decoder_input_ids=ids,
        output_attentions=True,
        output_hidden_states=True,
    )

    decoder = model.config.decoder
    assert len(output.decoder_hidden_states) == decoder.num_hidden_layers + 1
    assert output.decoder_hidden_states[-1].shape == (2, steps, decoder.hidden_size)
    for weights in output.decoder_attentions:
        assert weights.shape == (2, decoder.num_attention_heads, steps, steps)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    for weights in output.cross_attentions:
        assert weights.shape[-1] == output.encoder_last_hidden_state.shape[1]
    assert len(output.cross_attentions) == decoder.num_hidden_layers


def test_the_output_as_a_tuple_holds_the_same_values(tiny_model, tiny_inputs):
    model = tiny_model()
    labels = some_labels(model)

    output = forward(model, **tiny_inputs(), labels=labels)
    values = forward(model, **tiny_inputs(), labels=labels, return_dict=False)

    assert isinstance(values, tuple)
    assert torch.equal(values[0], output.loss)


@pytest.mark.slow
@each_pattern
def test_gradient_checkpointing_gives_the_same_gradients(tiny_model, tiny_inputs, pattern):
    plain = copy.deepcopy(tiny_model(pattern)).train()
    checkpointed = copy.deepcopy(tiny_model(pattern)).train()
    checkpointed.activation_checkpointing_enable()
    runs = []
    for layer in checkpointed.decoder.model.layers:
        layer.fc1.register_forward_pre_hook(lambda *_: runs.append(1))

    for model in (plain, checkpointed):
        model(**tiny_inputs(), labels=some_labels(model)).loss.backward()

    assert len(runs) == 2 * len(checkpointed.decoder.model.layers)  # once more in the backward pass
    gradients = dict(checkpointed.named_parameters())
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name].grad, parameter.grad, msg=name)


def test_codec_and_voice_network_are_frozen_and_stay_in_evaluation_mode(tiny_model, tiny_inputs):
    model = copy.deepcopy(tiny_model()).train()

    model(**tiny_inputs(), labels=some_labels(model)).loss.backward()

    for module in (model.audio_encoder, model.conditioner.voice_encoder.model):
        assert not any(parameter.grad is not None for parameter in module.parameters())
        assert not any(child.training for child in module.modules())
    assert model.conditioner.voice_encoder.layer_mix.weight.grad is not None


def test_a_call_without_labels_and_decoder_ids_is_refused(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match="labels or decoder_input_ids"):
        tiny_model()(**tiny_inputs())


def test_labels_of_another_pattern_are_refused(tiny_model, tiny_inputs):
    labels = some_labels(tiny_model("parallel_std"))

    with pytest.raises(ValueError, match=r"labels must be \[B, L, 4\] for mixed"):
        tiny_model("mixed")(**tiny_inputs(), labels=labels)


def test_vocal_labels_without_vocal_heads_are_refused(tiny_model, tiny_inputs):
    model = tiny_model("mixed_pro")
    labels = some_labels(model)

    with pytest.raises(ValueError, match="add_vocal_loss=True"):
        model(**tiny_inputs(), labels=labels, vocal_labels=labels)


def test_vocal_labels_without_labels_are_refused(tiny_model, tiny_inputs):
    model = tiny_model("mixed_pro", decoder={"add_vocal_loss": True})

    with pytest.raises(ValueError, match="vocal_labels need labels"):
        model(**tiny_inputs(), vocal_labels=some_labels(model))


def test_a_lyrics_id_beyond_the_vocabulary_is_refused(tiny_model, tiny_inputs):
    model = tiny_model()
    inputs = tiny_inputs()
    inputs["lyrics_ids"][0, 0] = 48

    with pytest.raises(ValueError, match="the id 48"):
        model(**inputs, decoder_input_ids=some_ids(model))


@each_pattern
def test_decoded_songs_have_their_own_lengths_and_silence_after_them(tiny_model, pattern):
    model = tiny_model(pattern)
    codes = some_codes(model, 5)
    codes[1, :, 0, 3] = EOS
    codes[1, :, :, 4] = EOS

    song = model.decode_codes(codes)

    assert song.lengths.tolist() == [320 * 5, 320 * 3]
    assert song.waveform.shape == (2, 1, 320 * 5)
    assert not song.waveform[1, :, 320 * 3 :].any()
    alone = model.decode_codes(codes[1:, :, :, :3])
    torch.testing.assert_close(song.waveform[1:, :, : 320 * 3], alone.waveform)


def test_the_mixture_is_the_sum_of_the_tracks_cut_to_the_shorter(tiny_model):
    model = tiny_model("interleaving_A_V")
    codes = some_codes(model, 5, batch_size=1)
    codes[0, 1, 2, 4] = EOS

    song = model.decode_codes(codes)

    assert song.accompaniment_lengths.tolist() == [320 * 5]
    assert song.vocal_lengths.tolist() == song.lengths.tolist() == [320 * 4]
    expected = song.accompaniment[..., : 320 * 4] + song.vocal
    torch.testing.assert_close(song.waveform, expected)


def test_a_mixed_model_has_no_single_tracks(tiny_model):
    song = tiny_model("mixed").decode_codes(some_codes(tiny_model("mixed"), 3))

    assert song.vocal is None and song.accompaniment is None


@each_pattern
def test_a_song_of_special_ids_is_one_zero_sample(tiny_model, pattern):
    model = tiny_model(pattern)

    song = model.decode_codes(torch.full_like(some_codes(model, 4), EOS))

    assert song.waveform.shape == (2, 1, 1)
    assert song.lengths.tolist() == [1, 1]
    assert not song.waveform.any()


@pytest.mark.slow
@each_pattern
def test_an_encoded_waveform_is_a_prompt_of_its_tracks(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    tracks = model.config.decoder.num_tracks
    waveform = torch.randn(2, tracks, 3200, generator=torch.Generator().manual_seed(0))

    prompt = model.encode_audio(waveform)

    assert prompt.shape == (2, tracks, 4, 10)
    codes = model.generate(
        **tiny_inputs(), audio_prompt_codes=prompt, max_new_frames=2, do_sample=False
    )
    assert torch.equal(codes[..., :10], prompt)


def test_sizes_and_rates_come_from_the_config(tiny_model):
    config = tiny_model("parallel_A_V").config

    assert (config.sampling_rate, config.hop_length, config.frame_rate) == (16000, 320, 50.0)
    assert config.num_codebooks == config.decoder.num_codebooks == 4
    assert config.decoder.num_rows == 8
    assert config.decoder.num_tracks == 2


def test_a_config_without_text_encoder_and_decoder_is_refused():
    from songgen_hf.modeling.configuration_songgen import SongGenConfig

    with pytest.raises(ValueError, match="text_encoder and decoder"):
        SongGenConfig()


def test_vocal_heads_need_the_mixed_pro_pattern():
    from songgen_hf.modeling.configuration_songgen import SongGenDecoderConfig

    with pytest.raises(ValueError, match="mixed_pro"):
        SongGenDecoderConfig(track_pattern="mixed", add_vocal_loss=True)


def test_an_unknown_track_pattern_is_refused():
    from songgen_hf.modeling.configuration_songgen import SongGenDecoderConfig

    with pytest.raises(ValueError, match="'stereo'.*interleaving_A_V"):
        SongGenDecoderConfig(track_pattern="stereo")


def test_the_decoder_alone_has_the_logits_of_the_whole_model(tiny_model, tiny_inputs):
    model = tiny_model("parallel_A_V")
    ids = torch.arange(2 * model.pattern.num_rows * 5).view(2, -1, 5)
    conditions = model.conditioner(**tiny_inputs(batch_size=2), for_generation=False)

    whole = model(encoder_outputs=conditions, decoder_input_ids=ids, logits_to_keep=2)
    alone = model.decoder(
        ids,
        encoder_hidden_states=conditions.last_hidden_state,
        encoder_attention_mask=conditions.attention_mask,
        logits_to_keep=2,
    )

    assert alone.logits.shape == (2 * model.pattern.num_rows, 2, 1088)
    assert torch.equal(alone.logits, whole.logits)


def test_labels_of_another_kind_or_number_of_songs_are_refused(tiny_model, tiny_inputs):
    model, inputs = tiny_model("mixed"), tiny_inputs()
    songs = len(inputs["input_ids"])
    labels = torch.zeros(songs, 9, model.config.decoder.num_rows, dtype=torch.int64)

    with pytest.raises(TypeError, match="labels are torch.float32: expected integers"):
        model(**inputs, labels=labels.float())
    with pytest.raises(ValueError, match=f"conditions are of {songs} songs, the codes of 1: give"):
        model(**inputs, labels=labels[:1])
