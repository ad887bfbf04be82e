"""Random state: set for a while, restored after."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


def check_seed(seed: object) -> int:
    """A seed that Python, numpy and torch all take: a whole number from 0 to 2**32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise TrainingError(f"seed={seed!r} is not a seed: give a whole number from 0 to {2**32 - 1}")
    return seed


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Seed Python, numpy and torch (CPU and `device`), and restore all their states at the end.

    With `seed=None` nothing is seeded, and the states are restored all the same.
    """
    import numpy as np
    import torch

    python, numpy_state = random.getstate(), np.random.get_state()
    devices = [] if device.type in ("cpu", "meta") else [device]
    kind = devices[0].type if devices else "cuda"
    try:
        with torch.random.fork_rng(devices, device_type=kind):
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed)
                torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
