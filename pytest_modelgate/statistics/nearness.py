"""How near a row may lie to another one by chance: the lower tail of nearest-neighbour distances, carried on."""

from __future__ import annotations

__tracebackhide__ = True

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TAIL = 10


def expected_nearer(distances: Floats, within: Floats, dimensions: NDArray[np.int64]) -> Floats:
    """How many of so many rows would by chance lie as near to a row of the reference as each of them does.

    The share of rows that have a neighbour nearer than r falls as r**D. From the k smallest distances
    s_1 <= ... <= s_k, D has a Gamma distribution with shape k - 1 and rate S = sum log(s_k / s_i) (Hill 1975, under
    Jeffreys' prior); over it the share F(s_k) (r / s_k)**D averages to F(s_k) (1 + log(s_k / r) / S)**(1 - k). D is
    at most the number of features, so that S is at least (k - 1) / dimension.

    Args:
        distances: [M], the distance of each row to the nearest row of the reference, above 0.
        within: [N], the distance of each row of the reference to the nearest other one, above 0; at least 1.
        dimensions: [M], in how many features each row can differ from its neighbour, at least 1.

    Returns:
        The expected numbers [M], from 0 to M.
    """
    ordered = np.sort(within)
    smallest = np.unique(ordered)[:TAIL]  # two rows that are each other's neighbour give their distance twice
    last, free = smallest[-1], len(smallest) - 1
    share = np.searchsorted(ordered, last, side="right") / len(ordered)
    spread = np.maximum(np.log(last / smallest).sum(), free / dimensions)
    nearer = np.log(last / np.minimum(distances, last))
    return np.asarray(len(distances) * share * (1 + nearer / np.maximum(spread, 1e-300)) ** -free, dtype=np.float64)
