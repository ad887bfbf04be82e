"""Faults of weights: which layers, and what becomes of their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytest_modelgate.checks.mutation.faults import Fault, seed_of
from pytest_modelgate.checks.mutation.weights import layers_of, weight_faults


def linear(rows: int = 40, columns: int = 50) -> nn.Linear:
    layer = nn.Linear(columns, rows)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(rows, columns, generator=torch.Generator().manual_seed(1)) * 0.3 + 0.1)
    return layer


def test_layers_are_the_modules_that_own_matrices() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = nn.Parameter(torch.ones(1, 3, 4))
            self.norm = nn.LayerNorm(4)
            self.attention = nn.MultiheadAttention(4, 2)
            self.rnn = nn.LSTM(4, 4)
            self.whole = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)

    layers, left_out = layers_of(Own())
    assert [layer.where for layer in layers] == ["the model itself", "'attention'", "'attention.out_proj'", "'rnn'"]
    assert [list(layer.weights) for layer in layers] == [
        ["positions"],
        ["in_proj_weight"],
        ["weight"],
        ["weight_ih_l0", "weight_hh_l0"],
    ]
    assert left_out == 0


def test_a_model_of_vectors_has_layers_too_and_one_without_weights_none() -> None:
    layers, _ = layers_of(nn.LayerNorm(4))
    assert [list(layer.weights) for layer in layers] == [["weight", "bias"]]
    assert layers_of(nn.Sequential(nn.ReLU())) == ([], 0)


@pytest.mark.parametrize(("count", "chosen"), [(5, [0, 1, 2, 3, 4]), (6, [0, 1, 2, 4, 5]), (53, [0, 13, 26, 39, 52])])
def test_the_first_the_last_and_evenly_between(count: int, chosen: list[int]) -> None:
    layers, left_out = layers_of(nn.Sequential(*[nn.Linear(1, 1) for _ in range(count)]))
    assert [int(layer.name) for layer in layers] == chosen
    assert left_out == count - 5


def test_all_faults_of_a_layer() -> None:
    (layer,), _ = layers_of(nn.Sequential(linear()))
    assert [fault.name for fault in weight_faults(layer)] == [
        "weights of '0' zeroed",
        "'0' re-initialised",
        "noise of 0.25 in '0'",
        "noise of 0.5 in '0'",
        "noise of 1 in '0'",
        "noise of 2 in '0'",
        "'0' quantised to 8 bits",
        "'0' quantised to 4 bits",
        "'0' quantised to 2 bits",
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_noise_is_in_units_of_the_spread_alike_at_all_strengths(dtype: torch.dtype) -> None:
    module = linear().to(dtype)
    (layer,), _ = layers_of(module)
    before = module.weight.detach().clone()
    noises = {}
    for strength in (0.3, 3.0):
        changed = layer.faulted(Fault("noise", "'0'", strength))
        assert list(changed) == ["weight"]
        assert changed["weight"].dtype == dtype
        noises[strength] = (changed["weight"].double() - before.double()).numpy()
        spread = float(before.double().std(correction=0))
        assert noises[strength].std() == pytest.approx(strength * spread, rel=0.05)
        assert abs(noises[strength].mean()) < 0.1 * strength * spread
    rounding = 1e-5 if dtype != torch.bfloat16 else 0.02
    np.testing.assert_allclose(noises[3.0] / 10, noises[0.3], atol=rounding)
    assert torch.equal(module.weight, before)


def test_noise_depends_on_names_alone() -> None:
    (layer,), _ = layers_of(linear())
    torch.manual_seed(99)
    drawn = torch.randn(40, 50, generator=torch.Generator().manual_seed(seed_of("noise  weight")))
    changed = layer.faulted(Fault("noise", "'0'", 1.0))["weight"] - layer.weights["weight"]
    torch.testing.assert_close(changed, drawn * layer.weights["weight"].std(correction=0))


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20),
    st.sampled_from([8, 4, 2]),
)
@settings(max_examples=60, deadline=None)
def test_quantised_weights_are_the_nearest_of_few_values(values: list[float], bits: int) -> None:
    module = nn.Linear(len(values), 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([values]))
    (layer,), _ = layers_of(module)
    changed = layer.faulted(Fault("quantised", "'0'", bits))["weight"].numpy().astype(np.float64)[0]
    largest = np.abs(values).max()
    steps = np.linspace(-largest, largest, 2**bits - 1)
    nearest = np.abs(np.subtract.outer(values, steps)).min(axis=1)
    rounding = 2e-6 * largest + 1e-42  # of numbers so small that float32 has few digits left
    np.testing.assert_allclose(np.abs(changed - values), nearest, atol=rounding)
    assert np.abs(np.subtract.outer(changed, steps)).min(axis=1).max() <= rounding


def test_where_nothing_resets_weights_are_drawn_with_their_own_mean_and_spread() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(linear().weight.detach() + 5)
            self.bias = nn.Parameter(torch.ones(40))

    class Broken(Own):
        def reset_parameters(self) -> None:
            raise RuntimeError

    for module in (Own(), Broken()):
        (layer,), _ = layers_of(module)
        changed = layer.faulted(Fault("re-initialised", "'0'"))
        assert list(changed) == ["weight"]
        own = layer.weights["weight"]
        assert float(changed["weight"].mean()) == pytest.approx(float(own.mean()), rel=0.02)
        assert float(changed["weight"].std()) == pytest.approx(float(own.std()), rel=0.05)
        assert not torch.equal(changed["weight"], own)


def test_resetting_leaves_module_and_random_state_alone() -> None:
    module = linear()
    before, state = module.weight.detach().clone(), torch.get_rng_state()
    (layer,), _ = layers_of(module)
    changed = layer.faulted(Fault("re-initialised", "''"))
    assert set(changed) == {"weight", "bias"}
    assert torch.equal(module.weight, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert float(changed["weight"].abs().max()) <= 1 / 50**0.5  # nn.Linear draws from +-1 / sqrt(in_features)


def test_constant_weights_stay_finite() -> None:
    module = nn.Linear(3, 2)
    nn.init.zeros_(module.weight)
    (layer,), _ = layers_of(module)
    for fault in weight_faults(layer):
        assert all(bool(tensor.isfinite().all()) for tensor in layer.faulted(fault).values())
