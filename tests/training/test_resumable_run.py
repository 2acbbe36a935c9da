"""The training loop of the codec, the teacher, the conditioner and the judges."""

import numpy as np
import pytest
import torch

from songgen_hf.training.resumable_run import (
    Action,
    cosine_rate,
    load_state,
    optimizer_step,
    run_steps,
    save_state,
)


def steps_of(interval, *, steps, done=0, stop_after=None):
    """The numbers of completed steps at which an action is taken."""
    taken, called = [], []
    run_steps(
        lambda step: taken.append(step) or {"loss": 0.5},
        steps=steps,
        done=done,
        name="test",
        actions=[Action(interval, lambda step, metrics: called.append(step))],
        should_stop=lambda: len(taken) == stop_after,
        show_progress=False,
    )
    assert taken == list(range(done, done + len(taken)))
    return called


def test_actions_are_taken_at_their_interval_and_after_the_last_step():
    assert steps_of(3, steps=7) == [3, 6, 7]
    assert steps_of(3, steps=6) == [3, 6]
    assert steps_of(3, steps=7, done=4) == [6, 7]
    assert steps_of(3, steps=7, done=7) == []


def test_a_stop_makes_the_current_step_the_last_one():
    assert steps_of(3, steps=100, stop_after=5) == [3, 5]


def test_numbers_that_an_action_returns_are_shown_beside_the_progress_bar(capsys):
    action = Action(1, lambda step, metrics: {"loss": metrics["loss"] / 2})

    run_steps(lambda step: {"loss": 0.5}, steps=2, name="test", actions=[action])

    assert "loss=0.250" in capsys.readouterr().err


def test_the_learning_rate_without_warmup_begins_at_its_peak():
    assert cosine_rate(0, peak=2.0, steps=10, warmup_steps=0) == 2.0


def test_gradients_that_are_not_finite_change_no_weight():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)

    with pytest.raises(ValueError, match="norm of the gradients is nan; lower the learning rate"):
        optimizer_step(optimizer, (weight * torch.nan).sum(), max_norm=1.0)

    assert torch.equal(weight.detach(), torch.ones(2))


def test_a_state_is_loaded_by_a_run_with_the_same_options(tmp_path):
    path = tmp_path / "folder" / "state.pt"
    assert load_state(path, {"seed": 1}) is None

    save_state(path, {"seed": 1, "save_every": 2}, 5, {"weight": torch.ones(2)})

    state = load_state(path, {"seed": 1, "save_every": 3}, free=("save_every",))
    assert state["step"] == 5 and torch.equal(state["weight"], torch.ones(2))
    with pytest.raises(ValueError, match="other options .seed was 1, now 2"):
        load_state(path, {"seed": 2, "save_every": 2})


def test_the_learning_rate_rises_then_falls_to_zero():
    rates = [cosine_rate(step, peak=1.0, steps=100, warmup_steps=10) for step in range(101)]

    assert np.argmax(rates) in range(8, 12)
    assert rates[0] == pytest.approx(0.1) and rates[-1] == pytest.approx(0.0)
