"""Linear layers that choose the orientation of their product by the number of rows.

A step of the decoder multiplies a few rows, those of a batch or of guidance, with every weight
matrix. On a CPU in float32 the product ``x @ weight.T`` of two rows, which guidance needs, takes up
to twice the time of ``(weight @ x.T).T``, which reads the matrix along its rows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = range(2, 8)
"""Numbers of rows for which the other orientation is used."""


class FewRowsLinear(nn.Linear):
    """``nn.Linear`` whose product has the faster orientation for few rows on a CPU.

    It has the parameters and results of ``nn.Linear``, the latter within the rounding of float32.
    The orientation changes only in evaluation without gradients, and for plain float32 weights:
    training, quantized weights and exported programs compute ``nn.Linear``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map [..., in_features] to [..., out_features]."""
        if not self._turns(input):
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        # An even number of rows is faster; 3 rows took the time of 4 or more.
        even = F.pad(rows, (0, 0, 0, len(rows) % 2))
        output = (self.weight @ even.T).T[: len(rows)]
        if self.bias is not None:
            output = output + self.bias
        # The next product is slow for an input that is not contiguous.
        return output.contiguous().view(*input.shape[:-1], self.out_features)

    def _turns(self, input: Tensor) -> bool:
        return (
            not self.training
            and not torch.is_grad_enabled()
            and not torch.compiler.is_exporting()
            and type(self.weight) is nn.Parameter
            and self.weight.dtype == input.dtype == torch.float32
            and self.weight.device.type == input.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and input.shape[:-1].numel() in FEW_ROWS
        )


__all__ = ["FEW_ROWS", "FewRowsLinear"]
