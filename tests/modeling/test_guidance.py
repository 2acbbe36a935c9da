"""Tests of guidance: scales per condition, their rows and course, and negative texts."""

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from songgen_hf.modeling.guidance import CONDITIONS, Guidance, given_conditions

SPECIAL_IDS = list(range(1024, 1088))
GREEDY = {"do_sample": False, "max_new_frames": 4, "suppress_tokens": SPECIAL_IDS}
SCALES = [
    2.0,
    (1.0, 3.0),
    {"text": 3, "lyrics": 1.5},
    {"text": 3, "lyrics": 1.5, "voice": 2},
    {"voice": (2, 4)},
]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("given", [CONDITIONS, ("text",), ("text", "voice"), ("text", "lyrics")])
@pytest.mark.parametrize("interval", [None, (0.25, 0.75)])
def test_the_weights_of_the_rows_sum_to_one(scale, given, interval):
    guidance = Guidance.of(scale, "cosine", interval)

    for share in (0.0, 0.3, 1.0):
        weights = guidance.weights(share, given)
        assert len(weights) == 1 + len(guidance.branches(given))
        assert sum(weights) == pytest.approx(1.0)


def test_equal_scales_are_joint_guidance():
    each = Guidance.of(dict.fromkeys(CONDITIONS, 2.5))

    assert each == Guidance.of(2.5)
    assert each.branches() == ((),) and each.weights(0.5) == [2.5, -1.5]


@pytest.mark.parametrize(
    ("scale", "given", "rows"),
    [
        (1.0, CONDITIONS, ()),
        (None, CONDITIONS, ()),
        ({"text": 2, "lyrics": 2, "voice": 2}, CONDITIONS, ((),)),
        ({"text": 2, "lyrics": 3, "voice": 3}, CONDITIONS, ((), ("text",))),
        ({"voice": 3}, CONDITIONS, (("text", "lyrics"),)),
        ({"voice": 3}, ("text", "lyrics"), ()),
        ({"text": 3}, ("text",), ((),)),
        ({"text": 3, "lyrics": 2}, CONDITIONS, ((), ("text",), ("text", "lyrics"))),
    ],
)
def test_only_what_differs_takes_rows(scale, given, rows):
    assert Guidance.of(scale).branches(given) == rows


def test_a_scale_moves_from_its_first_to_its_last_number_inside_the_interval():
    linear = Guidance.of((1, 3))
    assert [linear.weights(share)[0] for share in (0, 0.5, 1)] == [1, 2, 3]
    cosine = Guidance.of((1, 3), "cosine")
    assert cosine.weights(0.25)[0] == pytest.approx(1 + 2 * 0.1464466)
    inside = Guidance.of(2, interval=(0.2, 0.5))
    assert [inside.weights(share)[0] for share in (0.1, 0.2, 0.5, 0.51)] == [1, 2, 2, 1]


@pytest.mark.parametrize(
    "scale",
    [
        (np.float32(1), np.int64(3)),
        np.array([1.0, 3.0]),
        torch.tensor([1, 3]),
        dict.fromkeys(CONDITIONS, [np.float32(1), torch.tensor(3)]),
    ],
)
def test_numbers_of_numpy_and_torch_are_numbers(scale):
    guidance = Guidance.of(scale, interval=np.array([0.25, 0.5]))

    assert guidance == Guidance.of((1, 3), interval=(0.25, 0.5))
    assert Guidance.of(np.float32(2)) == Guidance.of(torch.tensor(2.0)) == Guidance.of(2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, "guidance_scale is -1: expected a number of at least 0"),
        (("2",), TypeError, "guidance_scale must be a number.*: got '2'"),
        ((True,), TypeError, "guidance_scale must be a number.*: got True"),
        (([1, 2, 3],), ValueError, "the first and the last step"),
        ((float("nan"),), ValueError, "guidance_scale is nan"),
        (({"text": 2, "words": 3},), ValueError, "'words': expected some of text, lyrics, voice"),
        (({"lyrics": -2},), ValueError, "guidance_scale of lyrics is -2"),
        ((2, "square"), ValueError, "guidance_schedule is 'square': expected 'linear' or 'cosine'"),
        ((2, None, (0.5, 0.5)), ValueError, "guidance_interval is .*: expected .start, end."),
        ((2, None, 0.5), ValueError, "guidance_interval is 0.5"),
    ],
)
def test_wrong_guidance_gives_one_clear_line(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        Guidance.of(*arguments)

    assert "\n" not in str(caught.value)


def test_empty_lyrics_and_voices_are_not_given(tiny_model, tiny_inputs):
    null_ids = tiny_model("mixed").config.lyrics_encoder.null_ids
    inputs = tiny_inputs()
    assert given_conditions(inputs, null_ids) == CONDITIONS

    empty = torch.tensor([[*null_ids, 0]] * 2)
    inputs["lyrics_ids"], inputs["lyrics_attention_mask"] = empty, (empty * 0 + 1)
    inputs["lyrics_attention_mask"][:, -1] = 0
    inputs["voice_values"] = torch.zeros_like(inputs["voice_values"])
    assert given_conditions(inputs, null_ids) == ("text",)


def by_plain_calls(model, rows: list[tuple[float, dict]], num_frames: int) -> torch.Tensor:
    """Generate greedily from the weighted sum of the log-probabilities of plain forward calls."""
    decoder = model.config.decoder
    batch_size = len(rows[0][1]["input_ids"])
    num_steps = decoder.pattern.num_steps(num_frames)
    forced = decoder.pattern.forced_ids(
        num_steps, num_frames, decoder.bos_token_id, decoder.pad_token_id
    )
    ids = forced[:, :, :1].repeat(batch_size, 1, 1)
    for step in range(1, num_steps):
        with torch.no_grad():
            scores = sum(
                weight * model(**inputs, decoder_input_ids=ids).logits[:, -1].log_softmax(-1)
                for weight, inputs in rows
            )
        scores[:, SPECIAL_IDS] = -torch.inf
        best = scores.argmax(-1).reshape(batch_size, decoder.num_rows)
        column = torch.where(forced[:, :, step] == -1, best, forced[:, :, step])
        ids = torch.cat([ids, column[..., None]], dim=-1)
    return decoder.pattern.revert(ids)


def without(model, inputs: dict, *names: str) -> dict:
    """The inputs with the null text, lyrics or voice in the place of some conditions."""
    config, inputs = model.config, dict(inputs)
    for name, null_ids in (
        ("text", config.null_text_ids),
        ("lyrics", config.lyrics_encoder.null_ids),
    ):
        if name not in names:
            continue
        ids, mask = (
            ("input_ids", "attention_mask")
            if name == "text"
            else ("lyrics_ids", "lyrics_attention_mask")
        )
        inputs[ids], inputs[mask] = (tensor.clone() for tensor in (inputs[ids], inputs[mask]))
        length = len(null_ids)
        inputs[ids][:, :length] = torch.tensor(list(null_ids))
        inputs[mask][:, :length], inputs[mask][:, length:] = 1, 0
    if "voice" in names:
        inputs["voice_values"] = torch.zeros_like(inputs["voice_values"])
    return inputs


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V", "mixed_flat"])
def test_scales_per_condition_equal_plain_calls(tiny_model, tiny_inputs, pattern):
    model, inputs = tiny_model(pattern), tiny_inputs()

    guided = model.generate(
        **inputs, **GREEDY, guidance_scale={"text": 3.0, "lyrics": 1.5, "voice": 4.0}
    )

    rows = [
        (-2.0, without(model, inputs, *CONDITIONS)),
        (1.5, without(model, inputs, "lyrics", "voice")),
        (-2.5, without(model, inputs, "voice")),
        (4.0, inputs),
    ]
    assert torch.equal(guided, by_plain_calls(model, rows, GREEDY["max_new_frames"]))
    assert not torch.equal(guided, model.generate(**inputs, **GREEDY, guidance_scale=3.0))


@pytest.mark.slow
def test_a_negative_text_takes_the_place_of_the_null_text(tiny_model, tiny_inputs):
    model, inputs = tiny_model("mixed"), tiny_inputs()
    other = inputs["input_ids"].flip(0), inputs["attention_mask"].flip(0)

    guided = model.generate(
        **inputs,
        **GREEDY,
        guidance_scale=2.0,
        negative_input_ids=other[0],
        negative_attention_mask=other[1],
    )

    nothing = without(model, inputs, "lyrics", "voice")
    nothing["input_ids"], nothing["attention_mask"] = other
    rows = [(2.0, inputs), (-1.0, nothing)]
    assert torch.equal(guided, by_plain_calls(model, rows, GREEDY["max_new_frames"]))
    for scale in (None, {"lyrics": 3}):
        with pytest.raises(
            ValueError, match="without guidance of the text: .* one of text, above 1"
        ):
            model.generate(**inputs, **GREEDY, negative_input_ids=other[0], guidance_scale=scale)


@pytest.mark.parametrize(
    "course", [{"guidance_schedule": "cosine"}, {"guidance_interval": (0.2, 0.8)}]
)
def test_a_course_of_guidance_without_guidance_is_refused(tiny_model, tiny_inputs, course):
    model = tiny_model("mixed")
    message = f"{next(iter(course))} has no effect without guidance: pass a guidance_scale above 1"

    for scale in (None, 1.0, {"voice": 1}):
        with pytest.raises(ValueError, match=message):
            model.generate(**tiny_inputs(), **GREEDY, **course, guidance_scale=scale)


def test_the_course_in_a_configuration_waits_for_a_scale():
    config = GenerationConfig(guidance_scale=1.0)
    config.guidance_interval = (0.2, 0.8)

    assert Guidance.of_call(config).interval == (0.2, 0.8)
    config.guidance_scale = 2.0
    assert Guidance.of_call(config, guidance_interval=(0, 0.5)).interval == (0.0, 0.5)


@pytest.mark.parametrize("pattern", ["mixed", "parallel_A_V", "mixed_no_delay"])
def test_songs_guided_per_condition_do_not_depend_on_their_batch(tiny_model, tiny_inputs, pattern):
    model, inputs = tiny_model(pattern), tiny_inputs()
    settings = {
        "max_new_frames": 4,
        "do_sample": True,
        "guidance_scale": {"text": (1, 3), "voice": 2},
        "guidance_schedule": "cosine",
        "guidance_interval": (0.0, 0.9),
    }
    both = model.generate(**inputs, **settings, seed=[3, 4])

    for row, seed in enumerate((3, 4)):
        own = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
        assert torch.equal(model.generate(**own, **settings, seed=[seed])[0], both[row])


def test_guidance_warns_once_of_conditions_that_a_model_never_saw_empty(tiny_model, tiny_inputs):
    from songgen_hf.modeling import generation_songgen

    model, warnings = tiny_model("mixed"), []
    model.generation_config.droppable_conditions = ["voice"]
    original = generation_songgen.logger.warning_once
    generation_songgen.logger.warning_once = warnings.append
    try:
        model.generate(**tiny_inputs(), **GREEDY, guidance_scale={"voice": 2})
        assert not warnings
        model.generate(**tiny_inputs(), **GREEDY, guidance_scale=2)
    finally:
        generation_songgen.logger.warning_once = original
        del model.generation_config.droppable_conditions

    assert len(warnings) == 1 and "not trained without lyrics and text" in warnings[0]
