"""What label maps say of patches and of tokens: the targets of supervised pre-training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: label value of voxels of which nothing is known
UNKNOWN = 255
#: share of a patch's voxels that a label must fill to count as there
_PRESENT = 0.06


def presence(
    label_map: Tensor,
    cells: tuple[int, int, int],
    num_labels: int,
    always_marked: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Which labels lie in which patch.

    Args:
        label_map: (V, N, H, W), uint8; :data:`UNKNOWN` where nothing is known.
        cells: patches along (slices, rows, columns), each a divisor of the map's size.
        num_labels: label values.
        always_marked: (labels,), True for a label that unknown voxels do not hide.

    Returns:
        present: (V, patches, labels), 1.0 where a label fills enough of the patch.
        known: (V, patches, labels), 0.0 where a label that is not there could be hidden among
            voxels of which nothing is known.
    """
    volumes = label_map.shape[0]
    n, h, w = cells
    _, depth, rows, columns = label_map.shape
    voxels = label_map.view(volumes, n, depth // n, h, rows // h, w, columns // w)
    voxels = voxels.permute(0, 1, 3, 5, 2, 4, 6).reshape(volumes, n * h * w, -1).long()
    hidden = voxels == UNKNOWN
    counts = torch.zeros(*voxels.shape[:2], num_labels + 1, device=label_map.device)
    counts.scatter_add_(2, voxels.masked_fill(hidden, num_labels), torch.ones_like(voxels).float())
    share = counts[..., :num_labels] / voxels.shape[-1]
    present = (share >= _PRESENT).float()
    unclear = hidden.any(dim=-1, keepdim=True) & (present == 0)
    if always_marked is not None:
        unclear = unclear & ~always_marked
    return present, (~unclear).float()


def pooled_presence(
    present: Tensor, known: Tensor, cells: Sequence[int], pool: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """As :func:`presence`, for tokens that neighbouring patches were averaged to.

    Args:
        present: (V, patches, labels).
        known: (V, patches, labels).
        cells: patches along (slices, rows, columns).
        pool: patches averaged along each.

    Returns:
        Both as (V, tokens, labels): a label that is in one of the patches is there; one that is in
        none is known to be absent when each patch says so.
    """
    there = any_patch(present, cells, pool)
    sure = 1 - any_patch(1 - known, cells, pool)
    return there, torch.maximum(there, sure)


def any_patch(share: Tensor, cells: Sequence[int], pool: Sequence[int]) -> Tensor:
    """The largest value among the patches that one token is made of.

    Args:
        share: (V, patches, labels).
        cells: patches along (slices, rows, columns).
        pool: patches averaged along each.

    Returns:
        (V, tokens, labels).
    """
    (n, h, w), (pn, ph, pw) = cells, pool
    parts = share.view(len(share), n // pn, pn, h // ph, ph, w // pw, pw, -1)
    return parts.amax(dim=(2, 4, 6)).flatten(1, 3)


def one_hot(attributes: Tensor, sizes: Sequence[int]) -> Tensor:
    """Attributes as one row of 0 and 1.

    Args:
        attributes: (V, number of attributes), -100 where a value is not known.
        sizes: how many values each has.

    Returns:
        (V, values of all attributes), all 0 for one that is not known.
    """
    columns = [
        attributes[:, i : i + 1] == torch.arange(size, device=attributes.device)
        for i, size in enumerate(sizes)
    ]
    return torch.cat(columns, dim=-1).float()
