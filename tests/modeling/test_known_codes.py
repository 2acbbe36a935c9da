"""Tests of known codes: what is given anywhere in a song comes out of generate() unchanged."""

import pytest
import torch

from songgen_hf.modeling.patterns import FREE, TRACK_PATTERNS, known_beginning, known_end

GREEDY = {"do_sample": False, "max_new_frames": 8}

each_pattern = pytest.mark.parametrize("pattern", TRACK_PATTERNS)


def some_codes(model, num_frames: int, *, batch_size: int = 2, seed: int = 5) -> torch.Tensor:
    decoder = model.config.decoder
    shape = (batch_size, decoder.num_tracks, decoder.num_codebooks, num_frames)
    return torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(seed))


def with_holes(codes: torch.Tensor, *, seed: int = 6) -> torch.Tensor:
    """Codes of which about half are to be generated, among them some of the first frame."""
    hidden = torch.rand(codes.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    hidden[..., 0, 0] = True
    return codes.masked_fill(hidden, FREE)


@pytest.mark.slow
@each_pattern
def test_known_codes_come_out_unchanged(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    known = with_holes(some_codes(model, 6))

    codes = model.generate(
        **tiny_inputs(), known_codes=known, max_new_frames=8, do_sample=True, seed=1
    )

    assert codes.shape[-1] >= 6
    kept = known != FREE
    assert torch.equal(codes[..., :6][kept], known[kept])
    assert (codes[..., :6] != model.config.decoder.eos_token_id).all()  # no end before them


@pytest.mark.slow
@each_pattern
def test_a_known_beginning_is_an_audio_prompt(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    prompt = some_codes(model, 3)
    prompted = model.generate(**tiny_inputs(), **GREEDY, audio_prompt_codes=prompt)

    padded = torch.nn.functional.pad(prompt, (0, 2), value=FREE)
    assert known_beginning(padded) == 3 and known_end(padded).tolist() == [3, 3]
    assert torch.equal(model.generate(**tiny_inputs(), **GREEDY, known_codes=padded), prompted)


@pytest.mark.slow
@each_pattern
def test_every_cache_gives_the_same_codes_between_known_ones(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    settings = {**tiny_inputs(), **GREEDY, "known_codes": with_holes(some_codes(model, 6))}
    cached = model.generate(**settings, guidance_scale=2.0)

    assert torch.equal(model.generate(**settings, guidance_scale=2.0, use_cache=False), cached)


@pytest.mark.slow
@each_pattern
def test_knowing_a_part_of_a_greedy_song_gives_the_song(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    special = list(range(1024, 1088))
    song = model.generate(**tiny_inputs(), **GREEDY, suppress_tokens=special)

    again = model.generate(
        **tiny_inputs(), **GREEDY, suppress_tokens=special, known_codes=with_holes(song)
    )

    assert torch.equal(again, song)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("pattern", [name for name in TRACK_PATTERNS if "mixed" not in name])
def test_one_track_is_generated_to_the_other(tiny_model, tiny_inputs, pattern, kept):
    model = tiny_model(pattern)
    known = torch.full_like(some_codes(model, 8), FREE)
    known[:, kept] = some_codes(model, 8)[:, kept]
    exact = {"max_new_frames": 8, "min_new_frames": 8, "do_sample": True}

    one, other = (
        model.generate(**tiny_inputs(), known_codes=known, seed=seed, **exact) for seed in (1, 50)
    )

    assert torch.equal(one[:, kept], known[:, kept]) and torch.equal(other[:, kept], one[:, kept])
    assert one.shape[-1] == 8 and not torch.equal(one[:, 1 - kept], other[:, 1 - kept])


@pytest.mark.slow
def test_songs_with_different_known_codes_do_not_depend_on_their_batch(tiny_model, tiny_inputs):
    model, inputs = tiny_model("interleaving_A_V"), tiny_inputs()
    known = with_holes(some_codes(model, 6))
    known[1, ..., 3:] = FREE
    both = model.generate(
        **inputs, known_codes=known, max_new_frames=8, do_sample=True, seed=[3, 4]
    )

    for row, seed in enumerate((3, 4)):
        own = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
        alone = model.generate(
            **own, known_codes=known[row : row + 1], max_new_frames=8, do_sample=True, seed=[seed]
        )
        assert torch.equal(alone[0], both[row, ..., : alone.shape[-1]])


def test_the_songs_of_one_input_share_its_known_codes(tiny_model, tiny_inputs):
    model = tiny_model("mixed")
    known = with_holes(some_codes(model, 4))

    codes = model.generate(
        **tiny_inputs(),
        known_codes=known,
        max_new_frames=4,
        num_return_sequences=2,
        do_sample=True,
        seed=0,
    )

    repeated = known.repeat_interleave(2, dim=0)
    kept = repeated != FREE
    assert torch.equal(codes[..., :4][kept], repeated[kept])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda codes: codes + 1024, r"known_codes must lie in \[-1, 1024\)"),
        (lambda codes: codes - 2000, r"known_codes must lie in \[-1, 1024\)"),
        (lambda codes: codes[:1], "one entry for each song: got 1 for 2 songs"),
        (lambda codes: codes[:, :, :1], r"known_codes must be \[B, 1, "),
    ],
)
def test_wrong_known_codes_are_refused(tiny_model, tiny_inputs, change, message):
    model = tiny_model("mixed")

    with pytest.raises(ValueError, match=message):
        model.generate(**tiny_inputs(), **GREEDY, known_codes=change(some_codes(model, 4)))


def test_known_codes_and_a_prompt_exclude_each_other(tiny_model, tiny_inputs):
    model = tiny_model("mixed")
    codes = some_codes(model, 4)

    with pytest.raises(ValueError, match="were both given: give known_codes alone"):
        model.generate(**tiny_inputs(), known_codes=codes, audio_prompt_codes=codes)
    with pytest.raises(ValueError, match="too short .* for 4 frame"):
        model.generate(**tiny_inputs(), known_codes=with_holes(codes), max_new_frames=2)
