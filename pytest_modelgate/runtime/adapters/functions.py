"""Any function of the inputs as a model."""

from __future__ import annotations

__tracebackhide__ = True

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_modelgate.runtime.adapters.foreign import Foreign

if TYPE_CHECKING:
    import torch


class Function(Foreign):
    """A function `f(inputs)` that gives an array, a tensor or a list; a tuple is spread, a dict given as keywords."""

    def answer(self, inputs: Any) -> torch.Tensor:
        if isinstance(inputs, Mapping):
            return self.tensor(self.model(**inputs))
        return self.tensor(self.model(*inputs) if isinstance(inputs, tuple) else self.model(inputs))
