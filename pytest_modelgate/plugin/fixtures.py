"""The fixtures. Each loads what it needs when a test first asks for it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate import recording
from pytest_modelgate.exceptions import DeviceError
from pytest_modelgate.plugin.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from pytest import FixtureRequest

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.runtime.modules import TrainedModel


@pytest.fixture(scope="session")
def modelgate_device(request: FixtureRequest) -> torch.device:
    """The torch device of `--modelgate-device`: by default the accelerator where there is one, else the CPU."""
    from pytest_modelgate.runtime.devices import resolve_device

    try:
        return resolve_device(request.config.stash[OPTIONS].device)
    except DeviceError as error:
        absent = str(error)
    pytest.fail(f"DeviceError: {absent}", pytrace=False)


@pytest.fixture(scope="session")
def train_model(request: FixtureRequest, modelgate_device: torch.device) -> Callable[..., TrainedModel]:
    """`train_model(factory, train_data, *, validation_data, loss, optimizer, epochs, ...)` on the run's device.

    See `pytest_modelgate.train_model`; the history goes into the report.
    """
    from pytest_modelgate.runtime import training

    seed = request.config.stash[OPTIONS].seed

    @functools.wraps(training.train_model)
    def train(*args: Any, **kwargs: Any) -> TrainedModel:
        __tracebackhide__ = True
        defaults: dict[str, Any] = {"seed": seed, "device": modelgate_device}
        trained = training.train_model(*args, **defaults | kwargs)
        recording.listener().history(trained.history)
        return trained

    return train


@pytest.fixture(scope="session")
def load_model(modelgate_device: torch.device) -> Callable[..., torch.nn.Module]:
    """`load_model(path, factory=None, *, trust=False)` onto the run's device. See `pytest_modelgate.load_model`."""
    from pytest_modelgate.runtime import loading

    @functools.wraps(loading.load_model)
    def load(*args: Any, **kwargs: Any) -> torch.nn.Module:
        __tracebackhide__ = True
        return loading.load_model(*args, **{"device": modelgate_device} | kwargs)

    return load


@pytest.fixture(scope="session")
def evaluate_model(modelgate_device: torch.device) -> Callable[..., Evaluation]:
    """`evaluate_model(model, data, *, loss, outputs, labels, ...)` on the run's device.

    See `pytest_modelgate.evaluate`; the evaluation goes into the report.
    """
    from pytest_modelgate.runtime import evaluation

    @functools.wraps(evaluation.evaluate)
    def evaluate(*args: Any, **kwargs: Any) -> Evaluation:
        __tracebackhide__ = True
        found = evaluation.evaluate(*args, **{"device": modelgate_device} | kwargs)
        recording.listener().evaluation(found)
        return found

    return evaluate
