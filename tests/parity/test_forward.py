"""Tests of the forward call for each recorded variant: logits, losses, states and gradients."""

import math

import pytest
import torch
from transformers.core_model_loading import revert_weight_conversion

from .cases import case_entries, case_names, case_record
from .loading import forward_inputs, load_case

TOLERANCE = 1e-4  # float32 on another machine; typical differences are 1e-5
STRIDE = 64  # distance of the recorded vocabulary entries


def close(ours, expected, tolerance=TOLERANCE):
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)


def each_variant(status: str):
    pairs = [
        pytest.param(name, variant, id=f"{name}-{variant}")
        for name, variant in case_entries("forward")
        if case_record(name)["forward"][variant]["status"] == status
    ]
    return pytest.mark.parametrize(("name", "variant"), pairs)


def each_case():
    return pytest.mark.parametrize("name", case_names())


def needs(recorded: dict, *names: str) -> None:
    """Skip the test if a record is missing."""
    for name in names:
        if name not in recorded:
            pytest.skip(f"{name} was not recorded")


def run_forward(case, variant: str):
    with torch.no_grad():
        return case.model(**forward_inputs(case, variant))


def check_against_recording(case, variant: str, output) -> None:
    recorded = {
        name.removeprefix(f"{variant}."): tensor
        for name, tensor in case.tensors.items()
        if name.startswith(f"{variant}.") and not name.startswith(f"{variant}.in.")
    }
    logits = output.logits
    close(logits[..., ::STRIDE], recorded.pop("logits_strided"))
    close(logits.logsumexp(-1), recorded.pop("logits_lse"))
    expected = recorded.pop("logits_argmax")
    best, runner_up = logits.topk(2, dim=-1).values.unbind(-1)
    clear = best - runner_up > TOLERANCE
    assert torch.equal(logits.argmax(-1)[clear], expected[clear])
    if "logits_rows_0_1" in recorded:
        close(logits[:2], recorded.pop("logits_rows_0_1"))
    for field, tensor in recorded.items():
        value = getattr(output, field)
        close(torch.as_tensor(value).reshape(tensor.shape), tensor)


@pytest.mark.slow
@each_variant("ok")
def test_forward_matches_the_recorded_call(golden_case, name, variant):
    case = golden_case(name)

    output = run_forward(case, variant)

    rows, steps, vocabulary = case.record["forward"][variant]["logits_shape"]
    assert output.logits.shape == (rows, steps, vocabulary)
    check_against_recording(case, variant, output)


@pytest.mark.slow
@each_case()
def test_sdpa_attention_matches_the_recorded_calls(golden, name):
    case = load_case(golden, name, attn_implementation="sdpa")
    variants = [v for v, record in case.record["forward"].items() if record["status"] == "ok"]

    for variant in variants:
        check_against_recording(case, variant, run_forward(case, variant))


@pytest.mark.slow
@each_variant("crash")
def test_a_call_that_fails_in_the_reference_works_or_names_the_missing_input(
    golden_case, name, variant
):
    case = golden_case(name)
    inputs = forward_inputs(case, variant)

    try:
        with torch.no_grad():
            output = case.model(**inputs)
    except (ValueError, TypeError) as error:
        assert "input_ids" in str(error) or "text" in str(error)
    else:
        assert torch.isfinite(output.logits).all()
        assert torch.isfinite(output.loss)


@pytest.mark.slow
@each_case()
def test_decoder_ids_made_from_labels_equal_decoder_ids_given(golden_case, name):
    case = golden_case(name)
    needs(case.record["forward"], "forward_noref")
    inputs = forward_inputs(case, "forward_noref")
    labels = inputs.pop("labels")
    inputs.pop("vocal_labels", None)
    start = torch.full_like(labels[:, :1], case.model.config.decoder_start_token_id)
    shifted = torch.cat([start, labels[:, :-1]], dim=1)
    shifted[shifted == -100] = case.model.config.pad_token_id

    with torch.no_grad():
        from_labels = case.model(**inputs, labels=labels).logits
        from_ids = case.model(**inputs, decoder_input_ids=shifted.transpose(1, 2)).logits

    assert torch.equal(from_labels, from_ids)


@pytest.mark.slow
@each_case()
def test_the_text_encoder_matches_the_recorded_states(golden_case, name):
    case = golden_case(name)
    needs(case.tensors, "text_encoder.last_hidden_state")
    encoder = case.model.conditioner.text_encoder

    with torch.no_grad():
        states = encoder(
            input_ids=case.tensors["in.input_ids"], attention_mask=case.tensors["in.attention_mask"]
        ).last_hidden_state

    close(states, case.tensors["text_encoder.last_hidden_state"])


@pytest.mark.slow
@each_case()
def test_padded_lyrics_give_the_states_of_the_lyrics_alone(golden_case, name):
    case = golden_case(name)
    needs(case.tensors, "lyrics.prompt_hidden_states", "lyrics.prompt_hidden_states_row1_unpadded")
    ids, mask = case.tensors["in.prompt_input_ids"], case.tensors["in.prompt_attention_mask"]
    length = int(mask[1].sum())
    encode = case.model.conditioner.encode_lyrics

    with torch.no_grad():
        batch = encode(ids, mask)
        alone = encode(ids[1:2, :length], mask[1:2, :length])

    close(batch, case.tensors["lyrics.prompt_hidden_states"])
    close(alone, case.tensors["lyrics.prompt_hidden_states_row1_unpadded"])
    close(batch[1:2, :length], alone, 1e-5)


@pytest.mark.slow
@each_case()
def test_gradient_norms_match_the_recorded_ones(golden, name):
    record = case_record(name).get("grad_norms_forward_ref")
    if not record or not record.get("norms"):
        pytest.skip("no gradient norms were recorded")
    case = load_case(golden, name)
    needs(case.record["forward"], "forward_ref")
    case.model.requires_grad_(True)

    output = case.model(**forward_inputs(case, "forward_ref"))
    loss = output.loss if output.vocal_loss is None else output.loss + 0.1 * output.vocal_loss
    loss.backward()

    norms = reference_gradient_norms(case.model)
    # A lyrics encoder that the configuration does not use is in the reference's list, with zeros.
    missing = {key for key, expected in record["norms"].items() if expected} - set(norms)
    assert not missing
    wrong = {
        key: (norms.get(key, 0.0), expected)
        for key, expected in record["norms"].items()
        if not math.isclose(norms.get(key, 0.0), expected, rel_tol=1e-3, abs_tol=1e-6)
    }
    assert not wrong


def reference_gradient_norms(model) -> dict[str, float]:
    """Return the L2 norms of the gradients under the names of the reference."""
    gradients = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in model.named_parameters()
    }
    reverted = revert_weight_conversion(model, gradients)
    return {name: float(gradient.norm()) for name, gradient in reverted.items()}
