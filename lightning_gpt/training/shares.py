"""Lets each rank orthogonalise its share of the matrices that all ranks hold rows of. Knows no optimizer.

Matrix i goes to rank i mod R: each rank sends it its rows and gets the rows of its result, in one all-to-all each way.
So a rank sends and receives as much as it holds, twice; to gather all matrices on all ranks would be R times as much,
and all of them would do the same work.

Legend: R ranks.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, all_to_all_single, get_rank, get_world_size


def in_shares(
    updates: Sequence[Tensor],
    rows: Sequence[int],
    function: Callable[[Tensor], Tensor],
    group: ProcessGroup,
) -> list[Tensor]:
    """Applies a function to whole matrices, of each of which every rank has its rows.

    Args:
        updates: this rank's rows of each matrix (its rows, columns); as many at most as `torch.chunk` gives to a rank,
            maybe none. Matrices of a shape stand together.
        rows: how many each matrix has in all.
        function: of matrices (n, rows, columns) to ones of the same shape and type.
        group: of the R ranks.

    Returns:
        This rank's rows of each result.
    """
    rank, ranks = get_rank(group), get_world_size(group)
    shapes = [(whole, update.shape[1]) for whole, update in zip(rows, updates, strict=True)]
    mine = shapes[rank::ranks]

    sent = [update.flatten() for owner in range(ranks) for update in updates[owner::ranks]]
    outgoing = [sum(update.numel() for update in updates[owner::ranks]) for owner in range(ranks)]
    sizes = [[rows_of(other, ranks, whole) * columns for whole, columns in mine] for other in range(ranks)]
    incoming = [sum(numbers) for numbers in sizes]

    packed = torch.cat(sent)
    received = packed.new_empty(sum(incoming))
    all_to_all_single(received, packed, incoming, outgoing, group)
    parts = [torch.split(part, n) for part, n in zip(torch.split(received, incoming), sizes, strict=True)]  # by rank
    matrices = [torch.cat(pieces).view(shape) for pieces, shape in zip(zip(*parts, strict=True), mine, strict=True)]

    results: list[Tensor] = []
    for _, alike in groupby(matrices, key=lambda matrix: matrix.shape):
        results += function(torch.stack(list(alike))).flatten(1)
    back = [torch.split(result, [numbers[i] for numbers in sizes]) for i, result in enumerate(results)]  # by matrix
    packed = torch.cat([pieces[other] for other in range(ranks) for pieces in back]) if back else received
    received = packed.new_empty(sum(outgoing))
    all_to_all_single(received, packed, outgoing, incoming, group)

    order = [i for owner in range(ranks) for i in range(owner, len(updates), ranks)]
    pieces = torch.split(received, [updates[i].numel() for i in order])
    directions = {i: piece.view_as(updates[i]) for i, piece in zip(order, pieces, strict=True)}
    return [directions[i] for i in range(len(updates))]


def rows_of(rank: int, ranks: int, rows: int) -> int:
    """Returns how many of a matrix's rows a rank has, as `torch.chunk` and so FSDP deals them."""
    most = -(-rows // ranks)
    return max(0, min(most, rows - rank * most))
