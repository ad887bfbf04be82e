"""Which parameters train, which stay, and where a gradient breaks; what the plants do not show."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelgate import EvidenceError, Outcome, Verdict
from pytest_modelgate.checks.wiring.gradients import check_all_parameters_train, check_finite_gradients

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()
LOSS = nn.CrossEntropyLoss()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def check(model: nn.Module, **options: Any) -> Verdict:
    return check_all_parameters_train(model, (X, Y), loss=LOSS, **options)


def test_a_sound_model() -> None:
    verdict = check(net())
    assert verdict.explanation == "PASS: all 6 parameters of Sequential get a gradient and move"
    assert (verdict.metric, verdict.hits, verdict.support, verdict.estimate) == ("all_parameters_train", 6, 6, 1.0)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_frozen_parameters_stay() -> None:
    model = net()
    model[0].requires_grad_(False)
    verdict = check(model)
    assert verdict.explanation.endswith(
        "all 4 parameters of Sequential get a gradient and move; 2 frozen ones stayed put"
    )


def test_frozen_by_mistake() -> None:
    model = net()
    model[0].requires_grad_(False)
    assert check(model, frozen=["0."]).passed
    verdict = check(model, frozen=["0.weight"])
    assert (verdict.outcome, verdict.hits, verdict.support) == (Outcome.FAIL, 4, 5)
    assert "0.bias: frozen, and not named in frozen=" in verdict.explanation
    assert not check(model, frozen=[]).passed
    with pytest.raises(EvidenceError, match=r"frozen='0.wieght': .* did you mean '0.weight'"):
        check(model, frozen=["0.wieght"])


def head_alone(model: nn.Module, _: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(model[3].parameters())


def at_rate_0(_: nn.Module, parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def head_at_rate_0(model: nn.Module, _: Any) -> torch.optim.Optimizer:
    groups = [{"params": model[:2].parameters()}, {"params": model[3].parameters(), "lr": 0.0}]
    return torch.optim.SGD(groups, lr=0.1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (head_alone, "0.weight, 0.bias, 1.weight, 1.bias: not in the optimizer"),
        (at_rate_0, "3.weight, 3.bias: a gradient, yet did not move"),
        (head_at_rate_0, "4 of 6 parameters of Sequential train; 3.weight, 3.bias: a gradient, yet did not move"),
    ],
)
def test_optimizers_that_leave_parameters_out(make: Any, said: str) -> None:
    model = net()
    verdict = check(model, optimizer=partial(make, model))
    assert verdict.outcome is Outcome.FAIL
    assert said in verdict.explanation


@pytest.mark.parametrize(
    "make",
    [
        partial(torch.optim.SGD, lr=0.1),
        partial(torch.optim.SGD, lr=0.1, weight_decay=0.1),
        torch.optim.AdamW,
        torch.optim.RMSprop,
        torch.optim.LBFGS,
    ],
)
def test_optimizers(make: Any) -> None:
    model = net()
    model[0].requires_grad_(False)
    model[1].requires_grad_(False)
    model[1].eval()
    assert check(model, optimizer=make).passed


def test_what_is_no_optimizer() -> None:
    with pytest.raises(EvidenceError, match="optimizer= gave list"):
        check(net(), optimizer=list)


def test_a_bias_that_batchnorm_takes_out_again_is_no_bug() -> None:
    class Exact(nn.Module):
        """A shift that the next line removes, without rounding."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = x @ self.layer.weight.T
            return torch.cat([h + 0 * self.layer.bias, -h], 1)

    verdict = check(Exact())
    assert verdict.passed
    assert "without effect: layer.bias" in str(verdict)
    verdict = check(net(), optimizer=partial(torch.optim.SGD, lr=0.1))  # a gradient of rounding alone
    assert verdict.passed
    assert "without effect: 0.bias" in str(verdict)


def test_a_model_in_evaluation_mode_is_trained_as_a_loop_would() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x).detach() if self.training else self.head(x)

    model = Branch().eval()
    assert "no gradient reaches any" in check(model).explanation
    assert not model.training


def test_some_dead_units_are_no_bug() -> None:
    model = net()
    with torch.no_grad():
        model[1].bias[:5] = -50.0
    assert check(model).passed


def test_one_sample_is_enough_without_batchnorm() -> None:
    assert check_all_parameters_train(nn.Linear(3, 2), (X[:1], Y[:1]), loss=LOSS).passed
    with pytest.raises(EvidenceError, match="BatchNorm in training mode needs two samples"):
        check_all_parameters_train(net(), (X[:1], Y[:1]), loss=LOSS)


def test_sparse_gradients() -> None:
    model = nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(8, 2))
    tokens = torch.randint(0, 9, (20, 2), generator=torch.Generator().manual_seed(0))
    for check in (check_all_parameters_train, check_finite_gradients):
        assert check(model, (tokens, Y), loss=LOSS).passed


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda model, x, y: x.__setitem__((0, 0), float("nan")), "the inputs of this batch are not"),
        (lambda model, x, y: model[3].bias.data.fill_(float("inf")), "its weights are not: 3.bias"),
        (lambda model, x, y: y.__setitem__((0, 0), float("nan")), "the targets of this batch are not"),
    ],
)
def test_where_it_is_not_finite(spoil: Any, said: str) -> None:
    model, x, y = net(), X.clone(), torch.zeros(20, 2)
    assert check_finite_gradients(model, (x, y), loss=nn.MSELoss()).passed
    spoil(model, x, y)
    verdict = check_finite_gradients(model, (x, y), loss=nn.MSELoss())
    assert (verdict.outcome, verdict.hits, verdict.support) == (Outcome.FAIL, 0, 6)
    assert said in verdict.explanation


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_parameter_that_moves_to_nowhere_does_not_train(bad: float) -> None:
    x = X.clone()
    x[0, 0] = bad
    verdict = check_all_parameters_train(net(), (x, Y), loss=LOSS)
    assert (verdict.outcome, verdict.passed) == (Outcome.FAIL, False)
    assert "a gradient that is not finite" in verdict.explanation


def test_a_loss_that_breaks() -> None:
    verdict = check_finite_gradients(net(), (X, Y), loss=lambda scores, targets: scores.sum() / 0)
    assert verdict.outcome is Outcome.FAIL
    assert "the outputs are, from" in verdict.explanation


def test_a_gradient_that_breaks_in_the_loss() -> None:
    verdict = check_finite_gradients(
        net(), (X, Y), loss=lambda scores, targets: (scores - scores).norm(2, 1).pow(0.5).mean()
    )
    assert verdict.outcome is Outcome.FAIL
    assert "it breaks behind the output of 3" in verdict.explanation
    assert "6 of 6 gradients" in verdict.explanation


def test_a_layer_without_a_hook_is_named_by_its_parameter() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.weight).pow(2).sqrt()

    verdict = check_finite_gradients(Bare(), (X, Y), loss=LOSS)
    assert "the gradient of weight broke first" in verdict.explanation


def test_what_goes_into_a_layer_is_not_its_own() -> None:
    class Divides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.head(self.body(x) / (x[:, :1] - x[:1, :1]))
            return hidden

    verdict = check_finite_gradients(Divides(), (X, Y), loss=LOSS)
    assert "what goes into head is the first that is not, so forward breaks it before" in verdict.explanation


def test_statistics_that_are_broken_show_in_evaluation_mode() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    assert check_finite_gradients(model, (X, Y), loss=LOSS).passed
    model.get_buffer("1.running_var")[2] = torch.nan
    verdict = check_finite_gradients(model, (X, Y), loss=LOSS)
    assert (verdict.outcome, verdict.hits) == (Outcome.FAIL, 0)
    assert "in evaluation mode are not finite: its buffers are not: 1.running_var" in verdict.explanation


def test_a_layer_that_breaks_in_evaluation_mode_alone() -> None:
    class Breaks(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) / float(self.training or "nan")

    verdict = check_finite_gradients(nn.Sequential(nn.Linear(3, 4), Breaks(4, 2)), (X, Y), loss=LOSS)
    assert "in evaluation mode are not finite: the output of 1 is the first that is not" in verdict.explanation


def test_classes_that_are_masked_out_are_no_bug() -> None:
    class Masked(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = super().forward(x)
            return torch.cat([scores, torch.full_like(scores, -torch.inf)], 1)

    assert check_finite_gradients(Masked(3, 2), (X, Y), loss=LOSS).passed


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model() -> None:
    model = torch.jit.script(net())
    assert check_finite_gradients(model, (X, Y), loss=LOSS).passed
    assert check_all_parameters_train(model, (X, Y), loss=LOSS).passed


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("bad", [1.0, float("nan")])
def test_sequences_that_a_transformer_nests(bad: float) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.layers, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            padded = torch.arange(5) > torch.arange(len(x))[:, None] % 4
            scores: torch.Tensor = self.head(self.layers(x, src_key_padding_mask=padded)[:, 0])
            return scores if self.training else scores * bad

    torch.manual_seed(0)
    verdict = check_finite_gradients(Encoder(), (torch.randn(12, 5, 8), torch.arange(12) % 2), loss=LOSS)
    assert verdict.passed is (bad == 1)
    if not verdict.passed:
        assert "in evaluation mode are not finite: training mode gives finite ones" in verdict.explanation
