"""The training objective against the recorded weights, losses and gradients of every case."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from songgen_hf.training.language_model.objective import codebook_weights, song_objective

from .cases import read_json
from .loading import REFERENCE_GENERATE_KEYS, load_case

RECORD = read_json("training/losses.json")
RESULTS = [
    pytest.param(case, result, id=f"{case}-{result['step']}-{number}")
    for case, record in RECORD["cases"].items()
    for number, result in enumerate(record["results"])
]


@pytest.mark.parametrize(
    "entry", RECORD["weight_schedule"], ids=lambda e: f"{e['step']}/{e['total']}"
)
def test_the_curriculum_has_the_recorded_weights(entry):
    weights = codebook_weights(entry["step"], entry["total"], 8)

    torch.testing.assert_close(weights, torch.tensor(entry["weights"]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("entry", RECORD["weight_schedule_other_codebooks"])
def test_the_curriculum_has_the_recorded_weights_for_other_numbers_of_codebooks(entry):
    weights = codebook_weights(entry["step"], entry["total"], entry["num_codebooks"])

    torch.testing.assert_close(weights, torch.tensor(entry["weights"]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("entry", RECORD["custom_initial"])
def test_the_curriculum_starts_from_given_weights(entry):
    initial = torch.tensor(entry["initial_weights"])

    weights = codebook_weights(entry["step"], entry["total"], len(initial), initial=initial)

    torch.testing.assert_close(weights, torch.tensor(entry["weights"]), rtol=0, atol=1e-7)


@pytest.fixture(scope="module")
def recorded_forward(golden_case):
    """Factory: the training forward of a case on all its recorded inputs, run once."""
    outputs = {}

    def run(name: str):
        if name not in outputs:
            case = golden_case(name)
            with torch.no_grad():
                outputs[name] = case.model(**training_inputs(case))
        return outputs[name]

    return run


def training_inputs(case) -> dict[str, torch.Tensor]:
    """All ``in.*`` tensors of a case under our names."""
    inputs = {
        name.removeprefix("in."): tensor
        for name, tensor in case.tensors.items()
        if name.startswith("in.")
    }
    return {REFERENCE_GENERATE_KEYS.get(name, name): tensor for name, tensor in inputs.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "result"), RESULTS)
def test_the_objective_is_the_recorded_one(recorded_forward, name, result):
    outputs = recorded_forward(name)
    num_codebooks = 8
    vocal = outputs.vocal_codebook_losses if result["add_vocal_loss"] else None

    objective = song_objective(
        outputs.codebook_losses,
        codebook_weights(result["step"], result["total"], num_codebooks),
        vocal_codebook_losses=vocal,
        codebook_weighting=result["codebook_weighting"],
    )

    assert objective.value.item() == pytest.approx(result["objective"], abs=1e-4)
    recorded = result["metrics"]
    assert objective.loss.item() == pytest.approx(recorded["loss"], abs=1e-4)
    found = objective.metrics
    for metric, value in recorded.items():
        assert found[our_metric(metric, num_codebooks)].item() == pytest.approx(value, abs=1e-4), (
            metric
        )


def our_metric(name: str, num_codebooks: int) -> str:
    """The name under which we log what the reference logs as ``name``."""
    plain = {
        "loss": "plain_loss",
        "acc_head_weighted_loss": "accompaniment_loss",
        "vocal_head_weighted_loss": "vocal_track_loss",
    }
    stem, _, index = name.rpartition("_")
    if name in plain or not index.isdigit():
        return plain.get(name, name)
    if stem.endswith("loss_weight"):
        return f"codebook_weight/{int(index) % num_codebooks}"
    return f"{stem.replace('code_loss', 'codebook_loss')}/{index}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, case in RECORD["cases"].items() if "grad_norms_step45_of_100" in case]
)
def test_the_gradients_of_the_objective_have_the_recorded_norms(golden, name, tmp_path):
    case = load_case(golden, name)
    model = case.model
    recorded = RECORD["cases"][name]["grad_norms_step45_of_100"]

    outputs = model(**training_inputs(case))
    objective = song_objective(
        outputs.codebook_losses,
        codebook_weights(45, 100, 8),
        vocal_codebook_losses=outputs.vocal_codebook_losses,
    )
    objective.value.backward()

    found = reference_norms(model, tmp_path)
    # A weight that the reference leaves out has no gradient there.
    assert set(recorded) <= set(found)
    for key, norm in found.items():
        assert norm == pytest.approx(recorded.get(key, 0.0), rel=1e-3, abs=1e-6), key


def reference_norms(model, folder: Path) -> dict[str, float]:
    """Gradient norms under the reference's names: the gradients are saved like weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            gradient = parameter.grad
            parameter.copy_(torch.zeros_like(parameter) if gradient is None else gradient)
    model.save_pretrained(folder, save_original_format=True)
    frozen = ("audio_encoder.", "mert_model.")
    return {
        key: gradient.norm().item()
        for key, gradient in load_file(folder / "model.safetensors").items()
        if not key.startswith(frozen) and "embed_positions" not in key
    }
