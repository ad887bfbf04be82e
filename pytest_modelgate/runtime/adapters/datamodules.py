"""A LightningDataModule as data."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from typing import Any

from pytest_modelgate.exceptions import EvidenceError


def read_datamodule(data: Any) -> Any:
    """The test loader of a LightningDataModule, set up for the stage "test"; any other data as they are.

    Raises:
        EvidenceError: it has no test loader, or several.
    """
    if not _is_datamodule(data):
        return data
    who = type(data).__name__
    if not _defines_test(data):
        raise EvidenceError(f"{who} has no test_dataloader; define one, or give another loader of it as the data")
    data.prepare_data()
    data.setup("test")
    found = data.test_dataloader()
    if isinstance(found, (list, tuple, Mapping)):
        loaders = list(found.values() if isinstance(found, Mapping) else found)
        if len(loaders) != 1:
            raise EvidenceError(f"{who} has {len(loaders)} test loaders; give one of them as the data")
        return loaders[0]
    return found


def _is_datamodule(data: object) -> bool:
    return any(
        base.__name__ == "LightningDataModule" and base.__module__.startswith(("lightning", "pytorch_lightning"))
        for base in type(data).__mro__
    )


def _defines_test(data: Any) -> bool:
    """Whether the user defined `test_dataloader`, or `from_datasets` did; Lightning's own only raises."""
    if "test_dataloader" in vars(data):
        return True
    owner = next(base for base in type(data).__mro__ if "test_dataloader" in vars(base))
    return not owner.__module__.startswith(("lightning.", "pytorch_lightning."))
