"""One optimizer that uses Muon for the matrices of the layers and AdamW for all other weights.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) orthogonalizes the momentum of
weight matrices; embeddings, heads, norms and biases are trained by AdamW. Both come from torch;
this module combines them for schedules, checkpoints and accelerate. Torch's Muon orthogonalizes in
bfloat16, which takes many times as long as float32 on a CPU without instructions for it, so there
is a variant in float32 for such CPUs.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from .precision import fast_bfloat16

NOT_MATRICES = (
    "embed",
    "lm_heads",
    "sound_heads",
    "shared",
    "relative_attention_bias",
    "position_bias",
)
"""Parts of the names of two-dimensional weights that belong to embeddings or heads."""


def is_layer_matrix(name: str, weight: nn.Parameter) -> bool:
    """Whether a weight is a matrix of a layer, which Muon trains."""
    return weight.ndim == 2 and not any(part in name for part in NOT_MATRICES)


class Float32Muon(Muon):
    """Muon that orthogonalizes in float32 instead of bfloat16, for CPUs without its instructions.

    Matrices of equal shapes are orthogonalized together.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step as ``torch.optim.Muon`` does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape].append((weight, weight.grad))
            for matrices in by_shape.values():
                self._update(matrices, group)
        return loss

    def _update(
        self, matrices: list[tuple[torch.Tensor, torch.Tensor]], group: dict[str, Any]
    ) -> None:
        """Change weights of one shape, each given with its gradient."""
        momentum, directions = group["momentum"], []
        for weight, gradient in matrices:
            state = self.state[weight]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
            directions.append(gradient.lerp(average, momentum) if group["nesterov"] else average)
        updates = orthogonalized(
            torch.stack(directions).float(),
            group["ns_coefficients"],
            group["ns_steps"],
            group["eps"],
        )
        for (weight, _), update in zip(matrices, updates, strict=True):
            rate = 0.2 * math.sqrt(max(weight.shape)) * group["lr"]  # match_rms_adamw
            weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def orthogonalized(
    matrices: torch.Tensor,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
) -> torch.Tensor:
    """Bring all singular values of matrices near 1 by a quintic Newton-Schulz iteration.

    Args:
        matrices: float [N, rows, columns].
        coefficients, steps, eps: of the iteration (Jordan et al. 2024, "Newton-Schulz iteration").
    Returns:
        Matrices of the same shape with singular values between about 0.7 and 1.2.
    """
    first, third, fifth = coefficients
    tall = matrices.shape[-2] > matrices.shape[-1]
    current = matrices.mT if tall else matrices
    norms = torch.linalg.matrix_norm(current, keepdim=True)
    current = current / norms.clamp(min=eps)
    for _ in range(steps):
        gram = current @ current.mT
        current = torch.baddbmm(
            current, torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth), current, beta=first
        )
    return current.mT if tall else current


class MuonWithAdamW(Optimizer):
    """Muon and AdamW as a single optimizer.

    Args:
        named_parameters: names and weights of the model.
        lr: learning rate of both; Muon's updates are scaled to the size of AdamW's
            (``match_rms_adamw``, arXiv 2502.16982, section 2.2).
        betas, eps: settings of AdamW.
        weight_decay: weight decay of both; norms and biases have none.
        momentum: momentum of Muon.
    Raises:
        ValueError: if no weight is a matrix of a layer.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ):
        named = [(name, weight) for name, weight in named_parameters if weight.requires_grad]
        matrices = [weight for name, weight in named if is_layer_matrix(name, weight)]
        tables = [w for name, w in named if w.ndim > 1 and not is_layer_matrix(name, w)]
        vectors = [weight for _, weight in named if weight.ndim <= 1]
        if not matrices:
            raise ValueError(
                "Muon needs weight matrices of layers and got none: train with --optimizer adamw"
            )
        slow = all(weight.device.type == "cpu" for weight in matrices) and not fast_bfloat16()
        self.parts: list[Optimizer] = [
            (Float32Muon if slow else Muon)(
                matrices,
                lr=lr,
                weight_decay=weight_decay,
                momentum=momentum,
                adjust_lr_fn="match_rms_adamw",
            ),
            AdamW(
                [
                    {"params": tables, "weight_decay": weight_decay},
                    {"params": vectors, "weight_decay": 0.0},
                ],
                lr=lr,
                betas=betas,
                eps=eps,
            ),
        ]
        groups = [group for part in self.parts for group in part.param_groups]
        super().__init__(groups, {"lr": lr})
        self._share()

    def _share(self) -> None:
        """Give the parts the groups of this optimizer, which schedules change."""
        self.parts[0].param_groups = self.param_groups[:1]
        self.parts[1].param_groups = self.param_groups[1:]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        """Take a step with both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self._share()


__all__ = ["Float32Muon", "MuonWithAdamW", "is_layer_matrix", "orthogonalized"]
