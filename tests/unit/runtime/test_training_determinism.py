"""Deterministic algorithms, threads and warnings during a training: set, told, and put back."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest
import torch
import torch.utils.deterministic as memory
from torch import nn

from pytest_modelgate import Run, TrainedModel, train_model
from pytest_modelgate.runtime.determinism import deterministic

BATCHES = [(torch.ones(4, 2), torch.zeros(4, 1))] * 2


class Puts(nn.Module):
    """`put_` has no deterministic implementation, on the CPU either."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 1)
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.put_(torch.tensor([0]), torch.tensor([1.0]))
        return self.body(x)


def train(factory: Any = Puts, **options: Any) -> TrainedModel:
    given = {"loss": nn.MSELoss(), "optimizer": torch.optim.SGD, "epochs": 2, "device": "cpu"} | options
    return train_model(factory, BATCHES, **given)


def own_loop(model: nn.Module, run: Run) -> None:
    for epoch in (1, 2):
        run.history.log(epoch=epoch, train_loss=float(model(BATCHES[0][0]).detach().mean()))


def test_the_operation_is_named_and_no_warning_is_shown(recwarn: pytest.WarningsRecorder) -> None:
    assert train().history.nondeterministic == ("put_",)
    own = train_model(Puts, None, fit=own_loop, device="cpu")
    assert own.history.nondeterministic == ("put_",)
    assert not recwarn.list
    assert train(lambda: nn.Linear(2, 1)).history.nondeterministic == ()


def test_other_warnings_go_their_way() -> None:
    def fit(model: nn.Module, run: Run) -> None:
        warnings.warn("of the user's own", DeprecationWarning, stacklevel=1)
        own_loop(model, run)

    with pytest.warns(DeprecationWarning, match="of the user's own") as seen:
        trained = train_model(Puts, None, fit=fit, device="cpu")
    assert len(seen) == 1
    assert trained.history.nondeterministic == ("put_",)
    with pytest.raises(DeprecationWarning, match="own"):  # filterwarnings = error reaches into the training
        train_model(Puts, None, fit=fit, device="cpu")


def test_filters_that_the_loop_sets_stay() -> None:
    with warnings.catch_warnings():
        before = list(warnings.filters)

        def fit(model: nn.Module, run: Run) -> None:
            warnings.filterwarnings("ignore", message="set within")
            own_loop(model, run)

        train_model(Puts, None, fit=fit, device="cpu")
        assert len(warnings.filters) == len(before) + 1
        warnings.warn("set within", UserWarning, stacklevel=1)
    assert list(warnings.filters) == before or len(warnings.filters) == len(before)


def test_other_threads_warn_as_ever() -> None:
    def warn() -> None:
        warnings.warn("from another thread", RuntimeWarning, stacklevel=1)

    def elsewhere() -> None:
        with deterministic():
            thread = threading.Thread(target=warn)
            thread.start()
            thread.join()

    with pytest.warns(RuntimeWarning, match="another thread"):
        elsewhere()


def test_the_mode_is_on_during_the_training_alone() -> None:
    modes: list[Any] = []

    class Looks(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            modes.append((torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory))
            return super().forward(x)

    train(lambda: Looks(2, 1))
    assert set(modes) == {(1, False)}
    assert (torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory) == (0, True)
    with pytest.raises(ZeroDivisionError):
        train_model(Puts, None, fit=lambda model, run: 1 / 0, device="cpu")
    assert (torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory) == (0, True)


@pytest.fixture
def _mode() -> Any:
    yield
    torch.set_deterministic_debug_mode(0)


@pytest.mark.usefixtures("_mode")
def test_a_mode_of_the_users_own_stays() -> None:
    torch.set_deterministic_debug_mode("warn")
    for _ in range(2):
        with pytest.warns(UserWarning, match="put_ does not have a deterministic") as seen:
            assert train().history.nondeterministic == ("put_",)
        assert len(seen) == 4
    assert torch.get_deterministic_debug_mode() == 1
    torch.set_deterministic_debug_mode("error")
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic"):
        train()
    assert torch.get_deterministic_debug_mode() == 2


def test_threads_are_pinned_and_recorded() -> None:
    before, seen = torch.get_num_threads(), []

    class Looks(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return super().forward(x)

    other = before + 1
    assert train(lambda: Looks(2, 1), threads=other).history.threads == other
    assert set(seen) == {other}
    assert torch.get_num_threads() == before
    assert train().history.threads == before
    with pytest.raises(ZeroDivisionError):
        train_model(Puts, None, fit=lambda model, run: 1 / 0, device="cpu", threads=other)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        (
            "kthvalue CUDA does not have a deterministic implementation, but you set "
            "'torch.use_deterministic_algorithms(True, warn_only=True)'. You can file an issue at ...",
            "kthvalue CUDA",
        ),
        (
            "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` or\n"
            "`at::Context::setDeterministicAlgorithms(true)`, but this operation is not deterministic because it uses "
            "CuBLAS and you have CUDA >= 10.2.",
            "CuBLAS",
        ),
        (
            "Memory Efficient attention defaults to a non-deterministic algorithm. To ...",
            "Memory Efficient attention",
        ),
    ],
)
def test_what_torch_says(text: str, operation: str, recwarn: pytest.WarningsRecorder) -> None:
    with deterministic() as found:
        warnings.warn(text, UserWarning, stacklevel=1)
        warnings.warn(text, UserWarning, stacklevel=1)
    assert list(found) == [operation]
    assert not recwarn.list
