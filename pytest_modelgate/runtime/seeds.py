"""Random state: set for a while, restored after."""

from __future__ import annotations

__tracebackhide__ = True

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_modelgate.exceptions import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


def check_seed(seed: object, where: str = "seed") -> int:
    """A seed that Python, numpy and torch all take: a whole number from 0 to 2**32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise TrainingError(f"{where}={seed!r} is not a seed: give a whole number from 0 to {2**32 - 1}")
    return seed


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Seed Python, numpy and torch (CPU and `device`), and restore all their states at the end.

    With `seed=None` nothing is seeded, and the states are restored all the same.
    """
    import numpy as np
    import torch

    python, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    accelerator = None if device.type in ("cpu", "meta") else getattr(torch, device.type)
    which = () if device.type == "mps" else (device,)  # torch.mps has one device and takes no argument
    device_state = None if accelerator is None else accelerator.get_rng_state(*which)
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if accelerator is not None:
            accelerator.set_rng_state(device_state, *which)


@contextmanager
def generators_kept(*data: object) -> Iterator[None]:
    """Restore at the end the generators that DataLoaders and samplers draw from: all trainings find them alike."""
    import torch

    holders = [
        part for one in data for part in (one, getattr(one, "sampler", None), getattr(one, "batch_sampler", None))
    ]
    drawn = {id(each): each for each in (getattr(holder, "generator", None) for holder in holders)}
    states = [(each, each.get_state()) for each in drawn.values() if isinstance(each, torch.Generator)]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def check_seeds(seeds: object, first: int) -> list[int]:
    """The seeds of several trainings: a count gives `first`, `first + 1`, ...; else a sequence of distinct seeds.

    >>> check_seeds(3, 10)
    [10, 11, 12]
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise TrainingError(f"seeds={seeds} trains nothing: give a count of 1 or more, or the seeds themselves")
        check_seed(check_seed(first) + seeds - 1, f"the last of {seeds} seeds from seed={first} on")
        return list(range(first, first + seeds))
    if not isinstance(seeds, (list, tuple, range)) or not seeds:
        raise TrainingError(f"seeds={seeds!r} is neither a count of 1 or more nor a list of seeds")
    each = [check_seed(seed, f"seeds[{number}]") for number, seed in enumerate(seeds)]
    if len(set(each)) < len(each):
        twice = next(seed for seed in each if each.count(seed) > 1)
        raise TrainingError(f"seeds={seeds!r} names {twice} twice: the same training counts once")
    return each
