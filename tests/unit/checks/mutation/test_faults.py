"""What faults are called."""

from __future__ import annotations

import pytest

from pytest_modelgate.checks.mutation import faults
from pytest_modelgate.checks.mutation.faults import Fault, seed_of

NAMES = [
    (Fault(faults.ZEROED, "'7'"), "weights of '7' zeroed"),
    (Fault(faults.REINITIALISED, "'7'"), "'7' re-initialised"),
    (Fault(faults.NOISE, "'7'", 1.0), "noise of 1 in '7'"),
    (Fault(faults.QUANTISED, "'7'", 4), "'7' quantised to 4 bits"),
    (Fault(faults.CLASSES_SWAPPED, "3 and 8"), "classes 3 and 8 swapped"),
    (Fault(faults.CLASS_MERGED, "3 answered as 4"), "class 3 answered as 4"),
    (Fault(faults.MAJORITY), "always the majority class"),
    (Fault(faults.MEAN), "always the mean"),
    (Fault(faults.THRESHOLD, strength=0.2), "threshold shifted by +0.2"),
    (Fault(faults.THRESHOLD, strength=-0.1), "threshold shifted by -0.1"),
    (Fault(faults.DROPPED, "feature 12"), "feature 12 dropped"),
    (Fault(faults.SHUFFLED, "channel 0"), "channel 0 shuffled"),
    (Fault(faults.RESCALED, "channel 0", 10.0), "channel 0 rescaled"),
    (Fault(faults.DROPOUT), "dropout left on"),
    (Fault(faults.BATCHNORM), "BatchNorm statistics lost"),
]


@pytest.mark.parametrize(("fault", "name"), NAMES)
def test_names(fault: Fault, name: str) -> None:
    assert fault.name == name


def test_every_kind_has_a_name() -> None:
    kinds = {value for key, value in vars(faults).items() if key.isupper() and isinstance(value, str)}
    assert {fault.kind for fault, _ in NAMES} == kinds


def test_a_seed_is_the_first_bytes_of_a_hash() -> None:
    # printf 'dropout left on' | b2sum -l 32
    assert seed_of("dropout left on") == int.from_bytes(bytes.fromhex(DIGEST), "little")


DIGEST = "0467b157"
