"""The fixtures. Each loads what it needs when a test first asks for it."""

from __future__ import annotations

import functools
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelgate import recording
from pytest_modelgate.exceptions import DeviceError
from pytest_modelgate.plugin.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import torch
    from pytest import Config, FixtureRequest

    from pytest_modelgate.evidence.evaluation import Evaluation
    from pytest_modelgate.plugin.baselining import SessionBaseline
    from pytest_modelgate.plugin.progress import Progress
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

    See `pytest_modelgate.train_model`; the history goes into the report. A model is trained anew only where something
    that it depends on has changed, as `--modelgate-cache` says.
    """
    from pytest_modelgate.runtime import training

    defaults = training_defaults(request.config, modelgate_device)

    @functools.wraps(training.train_model)
    def train(*args: Any, **kwargs: Any) -> TrainedModel:
        __tracebackhide__ = True
        with shown(defaults["progress"]):
            trained = training.train_model(*args, **defaults | kwargs)
        recording.listener().history(trained.history)
        return trained

    return train


@pytest.fixture(scope="session")
def train_models(request: FixtureRequest, modelgate_device: torch.device) -> Callable[..., list[TrainedModel]]:
    """`train_models(factory, train_data, *, seeds=5, ...)`: models that differ by their seed alone.

    See `pytest_modelgate.train_models`; the rest is as in the fixture `train_model`.
    """
    from pytest_modelgate.runtime import training

    defaults = training_defaults(request.config, modelgate_device)

    @functools.wraps(training.train_models)
    def train(*args: Any, **kwargs: Any) -> list[TrainedModel]:
        __tracebackhide__ = True
        with shown(defaults["progress"]):
            trained = training.train_models(*args, **defaults | kwargs)
        for one in trained:
            recording.listener().history(one.history)
        return trained

    return train


def shown(progress: Progress | None) -> AbstractContextManager[object]:
    """However a training ends, its line in the terminal does too."""
    return nullcontext() if progress is None else closing(progress)


def training_defaults(config: Config, device: torch.device) -> dict[str, Any]:
    """What a training gets where a call does not say."""
    from pytest_modelgate.plugin.caching import session_cache
    from pytest_modelgate.plugin.progress import session_progress

    return {
        "seed": config.stash[OPTIONS].seed,
        "device": device,
        "cache": session_cache(config),
        "progress": session_progress(config),
    }


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
def modelgate_baseline(request: FixtureRequest) -> SessionBaseline:
    """The recorded baseline of `--modelgate-baseline`, for `assert_no_regression(evidence, modelgate_baseline, ...)`.

    It knows which test asks. `pytest --modelgate-update-baseline` records it.
    """
    from pytest_modelgate.plugin.baselining import session_baseline

    return session_baseline(request.config)


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
