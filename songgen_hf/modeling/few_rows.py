"""Products and attention of a few rows, in the way that reads weights, keys and values fastest.

A step of the decoder multiplies a few rows, those of a batch or of guidance, with every weight
matrix, and takes the time of reading the weights from memory. On a CPU in float32 the product
``x @ weight.T`` of a few rows takes up to three times as long as ``(weight @ x.T).T``, which reads
the matrix along its rows and, with several threads, in parallel. In compiled steps a product is a
sum over each row of the weight, for which the compiler writes one loop, whatever the precision of
the weight is.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = range(1, 8)
"""Numbers of rows for which the other orientation is used."""
CACHED_WEIGHTS = 2**19
"""Largest number of weights of a matrix, or of keys, that a core keeps in its cache: 2 MB in
float32."""
MOST_SUMS = 4
"""Largest number of rows whose sums read a weight together."""


def row_sums(weight: Tensor, rows: Tensor) -> Tensor:
    """Return the product ``rows @ weight.T`` as sums for the compiler, float32 [rows, out].

    Args:
        weight: [out, in] of floats or integers.
        rows: [rows, in].
    """
    if len(rows) > MOST_SUMS:
        return torch.cat([row_sums(weight, part) for part in rows.split(MOST_SUMS)])
    rows = rows.float().contiguous()
    # The compiler computes what a sum reads again for every row of the weight, unless it lies in
    # memory. This view of itself asks for that.
    rows = rows.as_strided(rows.shape, rows.stride())
    if len(rows) == 1:  # fewer operations to trace
        return (weight * rows).sum(dim=-1)[None]
    return torch.stack([(weight * row).sum(dim=-1) for row in rows])


def attend_one_step(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float
) -> Tensor:
    """Compute the attention of one step in float32 on a CPU.

    In half precision that of torch 2.13 takes up to three times as long for one position as that of
    copies in float32. Keys that no cache holds are read faster by products along their rows.

    Args:
        query: [B, heads, 1, D].
        key, value: [B, key heads, S, D], each of which serves as many heads.
        mask: bool [B or 1, 1, 1, S], True for what is seen, or floats to add to the scores.
        scaling: factor of the scores.
    Returns:
        [B, 1, heads, D].
    """
    as_sums = computes_sums(query)
    if not as_sums:
        key, value = key.float(), value.float()
        if key.numel() <= CACHED_WEIGHTS:
            grouped = key.shape[1] != query.shape[1]
            attended = F.scaled_dot_product_attention(
                query.float(), key, value, attn_mask=mask, scale=scaling, enable_gqa=grouped
            )
            return attended.transpose(1, 2).to(query.dtype)
    grouped_query = query.reshape(len(query), key.shape[1], -1, query.shape[-1]).float() * scaling
    if as_sums:
        scores = (grouped_query[..., None, :] * key[:, :, None]).sum(dim=-1)
    else:
        scores = (key @ grouped_query.mT).mT
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        scores = scores + mask
    weights = scores.softmax(dim=-1)
    attended = (weights[..., None] * value[:, :, None]).sum(dim=-2) if as_sums else weights @ value
    return attended.flatten(1, 2)[:, None].to(query.dtype)


def attends_one_step(query: Tensor) -> bool:
    """Whether :func:`attend_one_step` is faster than the attention of torch for this query."""
    return (
        query.device.type == "cpu"
        and query.shape[2] == 1
        and query.dtype != torch.float64
        and not torch.is_grad_enabled()
        and not torch.compiler.is_exporting()
    )


def computes_sums(states: Tensor) -> bool:
    """Whether a compiled step is traced that computes the products of these states as sums."""
    return (
        torch.compiler.is_compiling()
        and not torch.compiler.is_exporting()
        and not torch.is_grad_enabled()
        and states.device.type == "cpu"
    )


class FewRowsLinear(nn.Linear):
    """``nn.Linear`` whose product has the faster orientation for few rows on a CPU.

    It has the parameters and results of ``nn.Linear``, the latter within the rounding of float32.
    The orientation changes only in evaluation without gradients, and for plain float32 weights:
    training, quantized weights and exported programs compute ``nn.Linear``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map [..., in_features] to [..., out_features]."""
        weight = self.weight
        count = input.numel() // self.in_features
        if count not in FEW_ROWS or not self._is_plain(input, weight):
            return super().forward(input)
        if count <= MOST_SUMS and computes_sums(input):
            output = row_sums(weight, input.reshape(count, -1)).to(input.dtype)
        elif weight.dtype == torch.float32 and self._is_turned(count):
            rows = input.reshape(count, -1)
            if count % 2:
                # An even number of rows is faster: 1 row took the time of 3, 3 that of 4 or more.
                rows = F.pad(rows, (0, 0, 0, 1))
            output = torch.mm(weight, rows.t()).t()
            if count % 2:
                output = output[:count]
        else:
            return super().forward(input)
        if self.bias is not None:
            output = output + self.bias
        # The next product is slow for an input that is not contiguous.
        return output.contiguous().view(*input.shape[:-1], self.out_features)

    def _is_turned(self, count: int) -> bool:
        """Whether so many rows take less time in the other orientation.

        With one thread the product of a single row reads the weight once in either, and that of a
        weight that lies in the cache takes the time of the calls.
        """
        if torch.get_num_threads() > 1:
            return True
        return count > 1 and self.in_features * self.out_features > CACHED_WEIGHTS

    def _is_plain(self, input: Tensor, weight: Tensor) -> bool:
        """Whether this is inference with a weight as it is, on a CPU."""
        return (
            not self.training
            and not torch.is_grad_enabled()
            and not torch.compiler.is_exporting()
            and type(weight) is nn.Parameter
            and weight.dtype == input.dtype
            and weight.is_cpu
            and input.is_cpu
            and not torch.is_autocast_enabled("cpu")
        )


__all__ = [
    "FEW_ROWS",
    "MOST_SUMS",
    "FewRowsLinear",
    "attend_one_step",
    "attends_one_step",
    "computes_sums",
    "row_sums",
]
