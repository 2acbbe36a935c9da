"""One optimizer that uses Muon for the matrices of the layers and AdamW for all other weights.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) orthogonalizes the momentum of
weight matrices; embeddings, heads, norms and biases are trained by AdamW. Both come from torch;
this module combines them for schedules, checkpoints and accelerate.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

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
        self.parts: list[Optimizer] = [
            Muon(
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


__all__ = ["MuonWithAdamW", "is_layer_matrix"]
