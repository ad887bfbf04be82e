"""What was found in data, as a value."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from pytest_modelgate import EvidenceError
from pytest_modelgate.evidence.audit import DataAudit, Finding


def audit(**changes: Any) -> DataAudit:
    found = Finding(name="duplicates", count=2, of=30, rows=((1, 7), (4, 0)), p=0.25, text="2 of 30 test rows")
    given: dict[str, Any] = {"about": "leakage", "sizes": {"train": 90, "test": 30}, "features": 4}
    return DataAudit(**given | {"findings": (found, Finding(name="time", count=None, of=None, text="none"))} | changes)


def test_json_and_back() -> None:
    plain = json.loads(json.dumps(audit().summary(), allow_nan=False))
    assert plain["kind"] == "audit"
    assert plain["findings"][0]["rows"] == [[1, 7], [4, 0]]
    assert DataAudit.from_summary(plain) == audit()
    plain["findings"][0]["later"] = plain["later"] = 1  # of a newer version
    assert DataAudit.from_summary(plain) == audit()
    assert audit(features=None) != audit()
    assert hash(audit()) == hash(audit())


def test_numpy_becomes_plain() -> None:
    found = Finding(
        name="x", count=np.int64(3), of=np.int32(9), rows=np.array([[1, 2]]), estimate=np.float32(0.5), text="t"
    )
    whole = audit(sizes={"train": np.int64(9)}, features=np.int64(2), findings=[found])
    assert json.loads(json.dumps(whole.summary())) == whole.summary()
    assert whole.findings == (found,)
    assert found.rows == ((1, 2),)


def test_by_name() -> None:
    assert audit()["time"].count is None
    assert "duplicates" in audit()
    assert "groups" not in audit()
    with pytest.raises(KeyError, match="groups"):
        audit()["groups"]


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        audit().features = 3  # type: ignore[misc]


def test_wrong_use() -> None:
    with pytest.raises(EvidenceError, match="an audit is about leakage, label leakage"):
        audit(about="leaks")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(EvidenceError, match=r"p=.* is not finite"):
            Finding(name="x", count=1, of=2, p=bad, text="t")
