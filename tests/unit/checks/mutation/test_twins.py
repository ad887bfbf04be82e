"""Twins, held to independent evaluations of models that were broken by hand."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pytest_modelgate import evaluate
from pytest_modelgate.checks.mutation.faults import Fault, seed_of
from pytest_modelgate.checks.mutation.twins import Mutator, Twin, Twins
from pytest_modelgate.evidence.evaluation import Evaluation
from pytest_modelgate.runtime import accelerator, observing
from pytest_modelgate.runtime.seeds import seeded

N, BATCH = 60, 25
CPU = torch.device("cpu")
CE = nn.CrossEntropyLoss()


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


INPUTS = drawn(1, N, 6)
IMAGES = drawn(2, N, 2, 6, 6)
TOKENS = torch.randint(0, 11, (N, 5), generator=torch.Generator().manual_seed(3))
TWO = torch.randint(0, 2, (N,), generator=torch.Generator().manual_seed(4))
MANY = torch.randint(0, 4, (N,), generator=torch.Generator().manual_seed(5))


class Squeezed(nn.Module):
    """Outputs [N] from [N, 1]."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).squeeze(1)


class Answering(nn.Module):
    """The decided class."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).argmax(dim=1)


class Encoder(nn.Module):
    """A small transformer over tokens, its head tied to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embedding(tokens)).mean(dim=1))


def mlp(*tail: nn.Module, out: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, out), *tail)


def cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))


BINARY: dict[str, Any] = {"loss": nn.BCEWithLogitsLoss()}
CASES: dict[str, tuple[Callable[[], nn.Module], torch.Tensor, torch.Tensor, dict[str, Any]]] = {
    "MLP": (mlp, INPUTS, MANY, {"loss": CE}),
    "CNN": (cnn, IMAGES, MANY, {"loss": CE, "labels": ["a", "b", "c", "d"], "keep": "scores"}),
    "transformer": (Encoder, TOKENS, MANY, {"loss": CE, "keep": "counts"}),
    "binary [N]": (lambda: Squeezed(mlp(out=1)), INPUTS, TWO, BINARY),
    "binary [N, 1]": (lambda: mlp(out=1), INPUTS, TWO, {**BINARY, "threshold": 0.6}),
    "binary [N, 2]": (lambda: mlp(out=2), INPUTS, TWO, {"loss": CE}),
    "binary probabilities": (lambda: mlp(nn.Sigmoid(), out=1), INPUTS, TWO, {"loss": nn.BCELoss()}),
    "probabilities": (lambda: mlp(nn.Softmax(1)), INPUTS, MANY, {"outputs": "probabilities"}),
    "log-probabilities": (lambda: mlp(nn.LogSoftmax(1)), INPUTS, MANY, {"loss": nn.NLLLoss()}),
    "labels": (Answering, INPUTS, MANY, {"outputs": "labels"}),
    "regression": (lambda: mlp(out=1), INPUTS, INPUTS[:, :1] * 3 + 1, {"loss": nn.MSELoss()}),
}


def made(factory: Callable[[], nn.Module]) -> nn.Module:
    """A model with drawn weights and statistics."""
    with seeded(7, CPU):
        model = factory()
        for part in model.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def mutating() -> Iterator[None]:
    mutator = Mutator()
    observing.install(mutator)
    yield
    observing.remove(mutator)


def twins_of(found: Evaluation) -> Twins:
    twins = found.origin.derivation.twins
    assert isinstance(twins, Twins)
    return twins


def mutated(model: nn.Module, data: Any, **how: Any) -> tuple[Evaluation, Twins]:
    mutator = Mutator()
    observing.install(mutator)
    try:
        found = evaluate(model, data, batch_size=BATCH, **how)
    finally:
        observing.remove(mutator)
    return found, twins_of(found)


def by_name(twins: Twins) -> dict[str, Twin]:
    assert twins.reason is None
    assert twins.partly is None
    assert len({twin.fault.name for twin in twins.faults}) == len(twins.faults)
    return {twin.fault.name: twin for twin in twins.faults}


def assert_same(twin: Twin, expected: Evaluation) -> None:
    """The same evidence, losses but for rounding."""
    found = twin.evaluation
    assert twin.error is None
    assert found is not None
    assert (found.task, found.n, found.outputs, found.threshold) == (
        expected.task,
        expected.n,
        expected.outputs,
        expected.threshold,
    )
    assert found.matrix == expected.matrix
    assert found.ranks == expected.ranks
    assert (found.mean_loss is None) == (expected.mean_loss is None)
    if found.mean_loss is not None:
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert (found.scores is None) == (expected.scores is None)
    if found.scores is not None:
        np.testing.assert_allclose(found.scores.values, expected.scores.values, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.scores.target, expected.scores.target)
    assert (found.samples is None) == (expected.samples is None)
    if found.samples is not None:
        columns, others = dict(found.samples.columns()), dict(expected.samples.columns())
        assert columns.keys() == others.keys()
        for name, column in columns.items():
            np.testing.assert_allclose(column, others[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert found.fingerprint == expected.fingerprint
    assert found.origin.model == expected.origin.model


def quantised(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """By the book, in numpy."""
    values = weight.numpy().astype(np.float64)
    step = np.abs(values).max() / (2 ** (bits - 1) - 1)
    return torch.from_numpy((np.rint(values / step) * step).astype(np.float32))


def last_weight(model: nn.Module) -> tuple[str, nn.Module]:
    return next((name, part) for name, part in reversed(list(model.named_modules())) if isinstance(part, nn.Linear))


@pytest.mark.parametrize("case", CASES)
def test_weight_faults_are_those_of_a_model_broken_by_hand(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factory, inputs, targets, how = CASES[case]
    # A constant in [0, 1], which `evaluate` takes for a probability, is taken as a logit in a twin.
    monkeypatch.setattr("pytest_modelgate.evidence.class_counts.within_unit", lambda outputs: False)
    model = made(factory)
    plain = evaluate(model, (inputs, targets), batch_size=BATCH, **how)
    found, twins = mutated(model, (inputs, targets), **how)
    assert found == plain
    name, _ = last_weight(model)
    faulted = by_name(twins)

    def zero(layer: nn.Module) -> None:
        layer.weight.zero_()

    def coarse(layer: nn.Module) -> None:
        layer.weight.copy_(quantised(layer.weight, 2))

    def fresh(layer: nn.Module) -> None:
        with seeded(seed_of(f"'{name}' re-initialised"), CPU):
            layer.reset_parameters()

    broken = {f"weights of '{name}' zeroed": zero, f"'{name}' quantised to 2 bits": coarse}
    for fault, breaking in {**broken, f"'{name}' re-initialised": fresh}.items():
        other = copy.deepcopy(model)
        with torch.no_grad():
            breaking(other.get_submodule(name))
        assert_same(faulted[fault], evaluate(other, (inputs, targets), batch_size=BATCH, **how))


def seen_as(model: nn.Module, change: Callable[[Any, int], Any]) -> nn.Module:
    """The model behind a change of its inputs, which is told the number of the batch."""
    other, calls = copy.deepcopy(model), iter(range(100))
    other.register_forward_pre_hook(lambda _, args: (change(args[0].clone(), next(calls)),))
    return other


@pytest.mark.parametrize("case", ["MLP", "CNN", "transformer", "regression"])
def test_input_faults_are_those_of_inputs_changed_by_hand(case: str) -> None:
    factory, inputs, targets, how = CASES[case]
    model = made(factory)
    _, twins = mutated(model, (inputs, targets), **how)
    chosen = [twin for twin in twins.faults if twin.fault.kind.startswith("feature")]
    assert {twin.fault.where.split()[0] for twin in chosen} == {"channel" if inputs.ndim > 2 else "feature"}
    places = {twin.fault.where for twin in chosen}
    assert len(places) == min(3, inputs.shape[1])
    assert len(chosen) == len(places) * (3 if inputs.is_floating_point() else 2)
    for twin in chosen:
        index = int(twin.fault.where.split()[1])

        def change(x: torch.Tensor, batch: int, twin: Twin = twin, index: int = index) -> torch.Tensor:
            if twin.fault.kind == "feature dropped":
                x[:, index] = 0
            elif twin.fault.kind == "feature rescaled":
                x[:, index] = x[:, index] * 10
            else:
                generator = torch.Generator().manual_seed(seed_of(f"{twin.fault.name} {batch}"))
                x[:, index] = x[torch.randperm(len(x), generator=generator), index]
            return x

        assert_same(twin, evaluate(seen_as(model, change), (inputs, targets), batch_size=BATCH, **how))


def test_dropout_left_on_and_lost_statistics() -> None:
    model = made(mlp)
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    lost = copy.deepcopy(model)
    lost[1].reset_running_stats()
    assert_same(by_name(twins)["BatchNorm statistics lost"], evaluate(lost, (INPUTS, MANY), loss=CE, batch_size=BATCH))

    class On(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.batch = model, 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.manual_seed(seed_of(f"dropout left on {self.batch}"))
            self.batch += 1
            self.inner[3].training = True
            return self.inner(x)

    On.__name__ = "Sequential"
    assert_same(by_name(twins)["dropout left on"], evaluate(On(), (INPUTS, MANY), loss=CE, batch_size=BATCH))


def test_dropout_within_a_transformer_layer() -> None:
    _, twins = mutated(made(Encoder), (TOKENS, MANY), loss=CE)
    assert by_name(twins)["dropout left on"].changed > 0
    assert "BatchNorm statistics lost" not in by_name(twins)


def test_tied_weights_change_together() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(11, 4)
            self.head = nn.Linear(4, 11, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(tokens).mean(dim=1))

    model, targets = made(Tied), TOKENS[:, 0]
    _, twins = mutated(model, (TOKENS, targets), loss=CE)
    assert {twin.fault.where for twin in twins.faults if twin.fault.kind == "noise"} == {"'embedding'"}
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.head.weight.copy_(quantised(other.head.weight, 4))
    expected = evaluate(other, (TOKENS, targets), loss=CE, batch_size=BATCH)
    assert_same(by_name(twins)["'embedding' quantised to 4 bits"], expected)


def test_a_parametrized_weight_is_faulted_as_it_acts() -> None:
    model = made(lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))))
    acting = model[0].weight.detach().clone()
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    other = nn.Sequential(nn.Linear(6, 4))
    with torch.no_grad():
        other[0].weight.copy_(quantised(acting, 2))
        other[0].bias.copy_(model[0].bias)
    expected = evaluate(other, (INPUTS, MANY), loss=CE, batch_size=BATCH)
    assert_same(by_name(twins)["'0' quantised to 2 bits"], expected)
    assert torch.equal(model[0].weight, acting)


@pytest.mark.parametrize("case", ["MLP", "probabilities", "log-probabilities", "labels", "binary [N]", "binary [N, 2]"])
def test_swapped_and_merged_classes_and_the_majority(case: str) -> None:
    factory, inputs, targets, how = CASES[case]
    found, twins = mutated(made(factory), (inputs, targets), **how)
    counts = found.confusion_matrix.counts
    faulted = by_name(twins)

    swapped = counts.copy()
    swapped[:, [0, 1]] = counts[:, [1, 0]]
    assert (faulted["classes 0 and 1 swapped"].evaluation.confusion_matrix.counts == swapped).all()
    merged = counts.copy()
    merged[:, 1] += merged[:, 0]
    merged[:, 0] = 0
    twin = faulted["class 0 answered as 1"]
    assert (twin.evaluation.confusion_matrix.counts == merged).all()
    assert twin.changed == pytest.approx(counts[:, 0].sum() / N)
    majority = faulted["always the majority class"].evaluation
    assert majority.metric("accuracy") == pytest.approx(counts.sum(axis=1).max() / N)
    if "loss" in how:  # the entropy of the classes' shares
        shares = counts.sum(axis=1) / N
        assert majority.loss == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)


def test_always_the_mean() -> None:
    factory, inputs, targets, how = CASES["regression"]
    found, twins = mutated(made(factory), (inputs, targets), **how)
    assert by_name(twins)["always the mean"].evaluation.loss == pytest.approx(
        float(targets.var(correction=0)), rel=1e-5
    )
    assert by_name(twins)["always the mean"].changed == 1
    assert not [twin for twin in twins.faults if "class" in twin.fault.kind or "threshold" in twin.fault.kind]
    assert found.samples.predicted is not None


def test_shifted_thresholds_are_the_sound_evidence_to_be_shifted() -> None:
    factory, inputs, targets, how = CASES["binary [N, 1]"]
    found, twins = mutated(made(factory), (inputs, targets), **how)
    shifted = [twin for twin in twins.faults if twin.fault.kind == "threshold shifted"]
    assert [twin.shift for twin in shifted] == [-0.2, -0.1, 0.1, 0.2]
    for twin in shifted:
        assert twin.evaluation == found
        other = found.at_threshold(0.6 + twin.shift).confusion_matrix.counts[:, 1].sum()
        assert twin.changed == pytest.approx(abs(int(other) - int(found.confusion_matrix.counts[:, 1].sum())) / N)


def test_the_layers_left_out_are_counted() -> None:
    model = made(lambda: nn.Sequential(*[nn.Linear(6, 6) for _ in range(8)], nn.Linear(6, 4)))
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    noised = list(dict.fromkeys(twin.fault.where for twin in twins.faults if twin.fault.kind == "noise"))
    assert noised == ["'0'", "'2'", "'4'", "'6'", "'8'"]
    assert twins.layers_left_out == 4


def test_ids_groups_weights_and_slices_go_with_the_samples() -> None:
    model = made(mlp)
    groups, weights = [f"g{number % 7}" for number in range(N)], np.linspace(0.5, 2, N)
    slices = {"group": groups, "high": lambda inputs, targets: inputs[:, 0] > 0}
    how: dict[str, Any] = {"loss": CE, "ids": "content", "groups": groups, "weights": weights, "slices": slices}
    found, twins = mutated(model, DataLoader(TensorDataset(INPUTS, MANY), batch_size=BATCH), **how)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[4].weight.zero_()
    twin = by_name(twins)["weights of '4' zeroed"]
    assert_same(twin, evaluate(other, (INPUTS, MANY), batch_size=BATCH, **how))
    assert twin.evaluation.samples.ids is found.samples.ids
    assert twin.evaluation.samples.slices is found.samples.slices
    assert list(twin.evaluation.slices)[-2:] == ["high", "not high"]


def test_one_shot_batches_and_a_state_outside_the_tensors() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)
            self.calls = 0
            self.last: torch.Tensor | None = None
            self.register_buffer("seen", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.relu_()
            outputs = self.inner(x) + self.seen * 0.1 + self.calls
            self.seen += outputs.sum(dim=0)
            self.calls += 1
            self.last = outputs if self.last is None else self.last[:1] + outputs
            return self.last

    def batches() -> Iterator[Any]:
        return iter([(INPUTS[:20].clone(), MANY[:20]), (INPUTS[20:].clone(), MANY[20:])])

    model = made(Counting)
    alone, broken, together = copy.deepcopy(model), copy.deepcopy(model), copy.deepcopy(model)
    plain = evaluate(alone, batches(), loss=CE)
    found, twins = mutated(together, batches(), loss=CE)
    assert found == plain
    assert together.calls == alone.calls == 2
    assert torch.equal(together.seen, alone.seen)
    with torch.no_grad():
        broken.inner.weight.zero_()
    assert_same(by_name(twins)["weights of 'inner' zeroed"], evaluate(broken, batches(), loss=CE))


@pytest.mark.parametrize("case", ["the model too", "a copy alone"])
def test_a_tensor_that_is_written_to_in_a_later_batch_only(case: str) -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)
            self.calls = 0
            self.array = np.zeros(4, dtype=np.float32)
            self.register_buffer("shift", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            outputs = self.inner(x)
            if self.calls > 1 if case == "the model too" else (outputs == outputs[0]).all():
                self.shift += 1 + x.mean()
                self.array[1] += 1
            return outputs + self.shift * outputs[:, :1] + torch.from_numpy(self.array)

    model = made(Writing)
    alone, broken, together = copy.deepcopy(model), copy.deepcopy(model), copy.deepcopy(model)
    plain = evaluate(alone, (INPUTS, MANY), loss=CE, batch_size=BATCH)
    found, twins = mutated(together, (INPUTS, MANY), loss=CE)
    assert found == plain
    assert torch.equal(together.shift, alone.shift)
    assert together.array.tolist() == alone.array.tolist()
    assert bool(alone.shift.any()) == (case == "the model too")
    with torch.no_grad():
        broken.inner.weight.zero_()
    name = "weights of 'inner' zeroed"
    assert_same(by_name(twins)[name], evaluate(broken, (INPUTS, MANY), loss=CE, batch_size=BATCH))


def test_a_forward_that_is_bound_to_the_model_has_no_faults_in_weights() -> None:
    model = made(mlp)
    forward = model.forward
    model.forward = lambda x: 2 * forward(x)
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert "bound to the model" in twins.partly
    assert {twin.fault.kind for twin in twins.faults}.isdisjoint({"zeroed", "noise", "dropout left on"})
    assert any(twin.fault.kind == "feature dropped" for twin in twins.faults)
    with torch.no_grad():
        for part in (untrained := made(mlp)).modules():
            if isinstance(part, nn.Linear):
                part.weight.zero_()
    assert mutated(untrained, (INPUTS, MANY), loss=CE)[1].partly is None


def test_a_loss_that_keeps_a_state() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.ones(()))

        def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            self.scale += outputs.abs().mean()
            return nn.functional.cross_entropy(outputs, targets, reduction="none") * self.scale

    model = made(lambda: nn.Sequential(nn.Linear(6, 4)))
    plain = evaluate(model, (INPUTS, MANY), loss=Scaled(), outputs="logits", batch_size=BATCH)
    found, twins = mutated(model, (INPUTS, MANY), loss=Scaled(), outputs="logits")
    assert found == plain
    with torch.no_grad():
        model[0].weight.zero_()
    broken = evaluate(model, (INPUTS, MANY), loss=Scaled(), outputs="logits", batch_size=BATCH)
    assert_same(by_name(twins)["weights of '0' zeroed"], broken)


@pytest.mark.usefixtures("mutating")
def test_nothing_is_kept_alive() -> None:
    def layers() -> int:
        gc.collect()
        return sum(type(one) is nn.Linear for one in gc.get_objects())

    before = layers()
    model, inputs, targets = made(mlp), INPUTS.clone(), MANY.clone()
    alive = [weakref.ref(one) for one in (model, inputs, targets, model[0].weight)]
    found = evaluate(model, DataLoader(TensorDataset(inputs, targets), batch_size=BATCH), loss=CE)
    del model, inputs, targets
    gc.collect()
    assert [one() for one in alive] == [None] * 4
    assert layers() == before
    assert len(twins_of(found).faults) > 30


def test_the_random_state_and_the_model_are_left_as_they_were() -> None:
    model = made(mlp).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert model[3].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again, others = mutated(model, (INPUTS, MANY), loss=CE)
    assert again == found
    assert twins.key == others.key
    assert [twin.fault for twin in twins.faults] == [twin.fault for twin in others.faults]
    assert all(one.evaluation == two.evaluation for one, two in zip(twins.faults, others.faults, strict=True))


def test_a_model_that_draws_at_random_draws_alike_in_its_twins() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.dropout = nn.Linear(6, 4), nn.Dropout()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dropout(self.inner(x)) + torch.randn(len(x), 4)

    model = made(Noisy)
    with seeded(3, CPU):
        plain = evaluate(model, (INPUTS, MANY), loss=CE, batch_size=BATCH)
    with seeded(3, CPU):
        found, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert found == plain
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.inner.weight.zero_()
    with seeded(3, CPU):
        assert_same(
            by_name(twins)["weights of 'inner' zeroed"], evaluate(other, (INPUTS, MANY), loss=CE, batch_size=BATCH)
        )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_module_keeps_its_weights() -> None:
    scripted = torch.jit.script(made(lambda: nn.Sequential(nn.Linear(6, 4))))
    _, twins = mutated(scripted, (INPUTS, MANY), loss=CE)
    assert twins.partly == "the weights of a TorchScript module cannot be exchanged"
    assert twins.reason is None
    kinds = {twin.fault.kind for twin in twins.faults}
    assert {"feature dropped", "class merged", "majority class"} <= kinds
    assert not {"noise", "zeroed"} & kinds


@pytest.mark.parametrize("kind", ["traced", "compiled"])
def test_traced_and_compiled_modules_have_all_faults(kind: str) -> None:
    model = made(lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)))
    _, plain = mutated(model, (INPUTS, MANY), loss=CE)
    other = torch.fx.symbolic_trace(model) if kind == "traced" else copy.deepcopy(model)
    if kind == "compiled":
        other = _Compiled(other)
    _, others = mutated(other, (INPUTS, MANY), loss=CE)
    assert by_name(others).keys() == by_name(plain).keys()
    for name, twin in by_name(others).items():
        assert twin.evaluation.confusion_matrix == by_name(plain)[name].evaluation.confusion_matrix


class _Compiled(nn.Module):
    """As `torch.compile` wraps a module, without a compiler; it cannot be copied."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module
        self.lock = threading.Lock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._orig_mod(x)


def test_a_model_that_cannot_be_copied_has_the_faults_that_need_no_copy() -> None:
    model = made(lambda: nn.Sequential(nn.Linear(6, 4)))
    model.lock = threading.Lock()
    found, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert twins.partly.startswith("it cannot be copied (TypeError: cannot pickle")
    assert {twin.fault.kind for twin in twins.faults} == {"classes swapped", "class merged", "majority class"}
    assert found.n == N


def test_a_copy_that_is_not_the_models_equal_is_no_twin() -> None:
    model = made(lambda: nn.Sequential(nn.Linear(6, 4)))
    held: list[float] = [0.0]

    def later(*_: Any) -> torch.Tensor:
        held[0] += 1
        return _[2] + held[0] * torch.arange(4)

    model.register_forward_hook(later)
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert twins.partly == "a copy of it gives other outputs: it keeps a state outside of itself, or draws at random"
    assert "noise" not in {twin.fault.kind for twin in twins.faults}


def test_a_twin_that_fails_tells_why() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not self.inner.weight.any():
                raise ValueError("no weights")
            outputs = self.inner(x)
            return outputs / (outputs.abs().max() < 2.5)

    model = made(Picky)
    assert model(INPUTS).abs().max() < 2.4
    _, twins = mutated(model, (INPUTS, MANY), loss=CE)
    assert by_name(twins)["weights of 'inner' zeroed"].error == "ValueError: no weights"
    assert by_name(twins)["weights of 'inner' zeroed"].evaluation is None
    rescaled = [twin for twin in twins.faults if twin.fault.kind == "feature rescaled"]
    assert any(twin.error and "must be finite" in twin.error for twin in rescaled)


@pytest.mark.usefixtures("mutating")
def test_the_users_own_errors_are_his() -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        raise KeyError("mine")

    model = made(mlp)
    model.forward = fails
    with pytest.raises(KeyError, match="mine"):
        evaluate(model, (INPUTS, MANY), loss=CE)
    model = made(mlp)
    model.payload = {"x": (number for number in range(3))}  # cannot be copied
    assert evaluate(model, (INPUTS, MANY), loss=CE).n == N


def test_inputs_that_cannot_be_copied_are_a_reason() -> None:
    class Odd(dict):
        def items(self) -> Any:
            raise RuntimeError("not twice")

    class Taking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)

        def forward(self, *, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    class Pass:
        def __iter__(self) -> Iterator[Any]:
            yield {"x": INPUTS}, MANY

    twin_pass = Mutator().begin(made(Taking), collector=_collector(), loss=None, place=CPU)
    twin_pass.before(Odd(x=INPUTS))
    twin_pass.after(INPUTS[:, :4], MANY)
    twins = twin_pass.finish(evaluate(made(Taking), Pass(), loss=CE), [])
    assert twins.reason == "its inputs cannot be copied (RuntimeError: not twice)"
    assert twins.faults == ()


def test_twins_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accelerator's path, on CPU tensors, gives what the CPU's does."""
    from pytest_modelgate.checks.mutation import running

    for case in ("MLP", "binary [N, 1]", "regression"):
        factory, inputs, targets, how = CASES[case]
        model = made(factory)
        _, expected = mutated(model, (inputs, targets), **how)
        with monkeypatch.context() as patch:
            patch.setattr(running, "make_sink", lambda collector, loss, place: accelerator.DeviceSink(collector, loss))
            _, twins = mutated(model, (inputs, targets), **how)
        for one, two in zip(twins.faults, expected.faults, strict=True):
            assert one.changed == two.changed
            assert_same(one, two.evaluation)


def test_an_empty_batch_and_a_batch_of_one() -> None:
    batches = [(INPUTS[:0], MANY[:0]), (INPUTS[:1], MANY[:1]), (INPUTS[1:], MANY[1:])]
    model = made(mlp)
    plain = evaluate(model, batches[1:], loss=CE)
    found, twins = mutated(model, batches, loss=CE)
    assert found.confusion_matrix == plain.confusion_matrix
    assert by_name(twins)["weights of '0' zeroed"].evaluation.n == N


def _collector() -> Any:
    from pytest_modelgate.evidence.collecting import Collector

    return Collector(outputs="logits").twin()


def test_a_fault_is_a_value() -> None:
    assert Fault("noise", "'7'", 0.3) == Fault("noise", "'7'", 0.3)
    assert len({Fault("zeroed", "'7'"), Fault("zeroed", "'7'")}) == 1
