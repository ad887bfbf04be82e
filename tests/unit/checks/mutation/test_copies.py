"""Copies that share tensors, and the key of a model."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import torch
from torch import nn

from pytest_modelgate.checks.mutation.copies import Original, key_of
from pytest_modelgate.checks.mutation.faults import Fault


def small() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model.table = np.arange(3)
    model.plain = torch.ones(2)
    return model.eval()


def test_a_copy_shares_all_tensors_but_those_that_change() -> None:
    model = small()
    original = Original(model)
    original.settle()
    twin = original.twin()
    assert twin is not model
    assert all(one is two for one, two in zip(twin.parameters(), model.parameters(), strict=True))
    assert all(one is two for one, two in zip(twin.buffers(), model.buffers(), strict=True))
    assert twin.table is model.table
    assert twin.plain is model.plain
    other = original.with_weights(original.layers[0], {"weight": torch.zeros(3, 2)})
    assert not other[0].weight.any()
    assert other[0].bias is model[0].bias


def test_what_the_first_forward_pass_writes_each_copy_gets_as_it_was() -> None:
    model = small()
    original = Original(model)
    model[1].running_mean += 1
    model.table[0] = 7
    model.plain.zero_()
    original.settle()
    one, two = original.twin(), original.twin()
    assert not one[1].running_mean.any()
    assert one.table.tolist() == [0, 1, 2]
    assert one.plain.tolist() == [1, 1]
    assert one[1].running_mean is not two[1].running_mean
    assert one[1].running_var is model[1].running_var


def test_faults_of_the_whole_model() -> None:
    model = small()
    with torch.no_grad():
        model[1].running_mean.fill_(3)
        model[1].running_var.fill_(3)
    original = Original(model)
    original.settle()
    on = original.with_fault(Fault("dropout left on"))
    assert [part.training for part in on] == [False, False, True]
    assert not model[2].training
    lost = original.with_fault(Fault("BatchNorm statistics lost"))
    assert (lost[1].running_mean.tolist(), lost[1].running_var.tolist()) == ([0, 0, 0], [1, 1, 1])
    assert model[1].running_mean.tolist() == [3, 3, 3]


def test_models_without_dropout_or_statistics() -> None:
    for model in (nn.Linear(2, 2), nn.Dropout(0), nn.BatchNorm1d(2, track_running_stats=False), nn.LSTM(2, 2)):
        original = Original(model.eval())
        assert original.with_fault(Fault("dropout left on")) is None
        assert original.with_fault(Fault("BatchNorm statistics lost")) is None


def test_dropout_in_modules_of_torch_and_in_ones_own() -> None:
    class DropPath(nn.Module):
        pass

    for model in (nn.LSTM(2, 2, 2, dropout=0.1), nn.MultiheadAttention(2, 1, dropout=0.1), DropPath()):
        assert Original(model.eval()).with_fault(Fault("dropout left on")).training
    norms = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).eval()
    assert [part.training for part in Original(norms).with_fault(Fault("dropout left on"))] == [False, True]


def test_the_key_is_a_hash_of_class_and_weights() -> None:
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [2.0]]))
        model.bias.zero_()
    content = b"Linear" + b"weighttorch.float32 [2, 1]" + np.array([1, 2], "<f4").tobytes()
    content += b"biastorch.float32 [2]" + np.zeros(2, "<f4").tobytes()
    assert key_of(model) == blake2b(content, digest_size=6).hexdigest()
    with torch.no_grad():
        model.bias[0] = 1
    assert key_of(model) != blake2b(content, digest_size=6).hexdigest()


def test_keys_of_unusual_tensors() -> None:
    model = nn.Linear(2, 2).bfloat16()
    model.register_buffer("scale", torch.tensor(1.0))
    model.register_buffer("sparse", torch.eye(2).to_sparse())
    assert len(key_of(model)) == 12
