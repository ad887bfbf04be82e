"""Fingerprints of values: equal values have equal ones in every process, and any other bit shows."""

from __future__ import annotations

import array
import collections
import copy
import dataclasses
import enum
import functools
import io
import itertools
import logging
import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from pytest_modelgate import TrainingError
from pytest_modelgate.runtime.cache.data import hash_buffer
from pytest_modelgate.runtime.cache.depends import named_dependencies
from pytest_modelgate.runtime.cache.surroundings import settings
from pytest_modelgate.runtime.cache.values import Fingerprint, fingerprint


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float
    name: str = "a"


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any) -> None:
        self.a = a


class FailedError(Exception):
    pass


class Names(list):  # type: ignore[type-arg]
    label = "x"


class Rows(Dataset[Any]):
    def __init__(self, rows: Any, scale: float = 1.0) -> None:
        self.rows, self.scale = rows, scale

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index] * self.scale


class Net(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.linear = nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(1), persistent=False)
        self.factor = 1.0


def of(value: Any) -> Fingerprint:
    return fingerprint({"data": value})


def digest(value: Any) -> str:
    found = of(value)
    assert found.reasons == ()
    return found.digest


def changed(make: Callable[[], Any], act: Callable[[Any], Any]) -> Any:
    value = make()
    act(value)
    return value


def gaps(fill: bytes) -> np.ndarray[Any, Any]:
    records = np.frombuffer(fill * 32, dtype=np.dtype("i1,f8", align=True)).copy()
    records["f0"], records["f1"] = 1, 1
    return records


def hook(*given: Any) -> None:
    pass


def strings(values: list[str]) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=object)


def looped() -> list[Any]:
    loop: list[Any] = [1]
    loop.append(loop)
    return loop


def module(**attributes: Any) -> Net:
    net = Net()
    for name, value in attributes.items():
        setattr(net, name, value)
    return net


x = torch.arange(12.0).reshape(4, 3)
a = np.arange(12.0).reshape(4, 3)
rows = np.zeros(3, dtype=[("p", "i1"), ("q", "f8")])

# All of these differ from one another.
DIFFERENT: list[tuple[str, Callable[[], Any]]] = [
    ("None", lambda: None),
    ("zero", lambda: 0),
    ("float zero", lambda: 0.0),
    ("minus zero", lambda: -0.0),
    ("False", lambda: False),
    ("complex zero", lambda: 0j),
    ("nan", lambda: float("nan")),
    ("empty string", lambda: ""),
    ("empty bytes", lambda: b""),
    ("empty bytearray", lambda: bytearray()),
    ("empty tuple", lambda: ()),
    ("empty list", list),
    ("empty dict", dict),
    ("empty set", lambda: set()),
    ("empty frozenset", lambda: frozenset()),
    ("large", lambda: 2**70),
    ("surrogate", lambda: "\ud800"),
    ("nested", lambda: [[1], 2]),
    ("flat", lambda: [1, 2]),
    ("flat tuple", lambda: (1, 2)),
    ("strings", lambda: ["ab", "c"]),
    ("strings cut elsewhere", lambda: ["a", "bc"]),
    ("dict", lambda: {"a": 1, "b": 2}),
    ("dict in another order", lambda: {"b": 2, "a": 1}),
    ("dict of keys swapped", lambda: {"a": 2, "b": 1}),
    ("OrderedDict", lambda: collections.OrderedDict(a=1, b=2)),
    ("defaultdict", lambda: collections.defaultdict(int, a=1, b=2)),
    ("defaultdict of lists", lambda: collections.defaultdict(list, a=1, b=2)),
    ("Counter", lambda: collections.Counter(a=1, b=2)),
    ("mapping proxy", lambda: types.MappingProxyType({"a": 1, "b": 2})),
    ("set", lambda: {1, 2, "c"}),
    ("set of objects", lambda: {Level.LOW, Settings(1.0), (1, 2)}),
    ("set of other objects", lambda: {Level.LOW, Settings(2.0), (1, 2)}),
    ("shared", lambda: (lambda one: [one, one])([1])),
    ("not shared", lambda: [[1], [1]]),
    ("loop", looped),
    ("deque", lambda: collections.deque([1, 2])),
    ("bounded deque", lambda: collections.deque([1, 2], maxlen=2)),
    ("range", lambda: range(3)),
    ("slice", lambda: slice(3)),
    ("array", lambda: array.array("d", [1.0, 2.0])),
    ("Enum", lambda: Level.LOW),
    ("another member", lambda: Level.HIGH),
    ("named tuple", lambda: Pair(1, 2)),
    ("dataclass", lambda: Settings(0.1)),
    ("dataclass, another rate", lambda: Settings(0.2)),
    ("slots", lambda: Slotted(1)),
    ("other slots", lambda: Slotted(2)),
    ("list subclass", lambda: Names([1, 2])),
    ("list subclass with attribute", lambda: changed(lambda: Names([1, 2]), lambda n: setattr(n, "label", "y"))),
    ("Path", lambda: Path("a")),
    ("logger", lambda: logging.getLogger("a")),
    ("weak reference", lambda: weakref.ref(Level)),
    ("partial", lambda: functools.partial(print, 1)),
    ("lambda", lambda: lambda: 1),
    ("another lambda", lambda: lambda: 2),
    ("method", lambda: Slotted(1).__init__),
    ("generic alias", lambda: list[int]),
    ("another alias", lambda: list[Net]),
    ("class", lambda: Net),
    ("exception of one's own", lambda: FailedError(1)),
    ("exception, other arguments", lambda: FailedError(2)),
    ("text file in memory", lambda: io.StringIO("a")),
    ("other text file in memory", lambda: io.StringIO("b")),
    ("operator of torch", lambda: lambda y: torch.ops.aten.relu(y)),
    ("Random", lambda: random.Random(1)),
    ("Random, another seed", lambda: random.Random(2)),
    ("float64", lambda: a),
    ("last element", lambda: changed(a.copy, lambda b: b.__setitem__((3, 2), 0))),
    ("last bit", lambda: changed(a.copy, lambda b: b.__setitem__((3, 2), np.nextafter(11, 12)))),
    ("float32", lambda: a.astype("f4")),
    ("big-endian", lambda: a.astype(">f8")),
    ("int64", lambda: a.astype("i8")),
    ("bool", lambda: a.astype(bool)),
    ("flattened", lambda: a.ravel()),
    ("transposed", lambda: a.T),
    ("columns swapped", lambda: a[:, [1, 0, 2]]),
    ("no rows", lambda: a[:0]),
    ("no columns", lambda: a[:, :0]),
    ("objects", lambda: strings(["a", "b"])),
    ("other objects", lambda: strings(["a", "c"])),
    ("fixed strings", lambda: np.array(["a", "b"])),
    ("dates", lambda: np.array(["2024-01-01"], dtype="M8[D]")),
    ("records", lambda: rows),
    ("other records", lambda: changed(rows.copy, lambda b: b["q"].__setitem__(2, 1))),
    ("masked", lambda: np.ma.masked_array([1.0, 2.0], [False, True])),
    ("masked elsewhere", lambda: np.ma.masked_array([1.0, 2.0], [True, False])),
    ("long double", lambda: np.array([1.0], dtype=np.longdouble)),
    ("numpy scalar", lambda: np.float64(1)),
    ("narrower scalar", lambda: np.float32(1)),
    ("dtype", lambda: np.dtype("f4")),
    ("Generator", lambda: np.random.default_rng(1)),
    ("Generator, another seed", lambda: np.random.default_rng(2)),
    ("Generator, used", lambda: changed(lambda: np.random.default_rng(1), lambda g: g.random())),
    ("RandomState", lambda: np.random.RandomState(1)),
    ("RandomState, used", lambda: changed(lambda: np.random.RandomState(1), lambda g: g.rand())),
    ("sparse", lambda: scipy.sparse.csr_array(a)),
    ("other sparse", lambda: scipy.sparse.csr_array(a * 2)),
    ("tensor", lambda: x),
    ("tensor with gradient", lambda: x.clone().requires_grad_()),
    ("tensor's last element", lambda: changed(x.clone, lambda t: t[3].__setitem__(2, 0))),
    ("tensor of halves", lambda: x.half()),
    ("tensor of bfloats", lambda: x.bfloat16()),
    ("tensor of integers", lambda: x.long()),
    ("complex tensor", lambda: torch.complex(x, x)),
    ("conjugate", lambda: torch.complex(x, x).conj()),
    ("flattened tensor", lambda: x.flatten()),
    ("single tensor", lambda: torch.tensor(1.0)),
    ("Parameter", lambda: nn.Parameter(x)),
    ("Parameter with gradient", lambda: changed(lambda: nn.Parameter(x), lambda p: setattr(p, "grad", x))),
    ("torch.dtype", lambda: torch.float32),
    ("torch.device", lambda: torch.device("cpu")),
    ("Size", lambda: torch.Size([1, 2])),
    ("torch.Generator", lambda: torch.Generator().manual_seed(1)),
    ("torch.Generator, another seed", lambda: torch.Generator().manual_seed(2)),
    ("module", Net),
    ("module, other weights", lambda: Net(1)),
    ("module, another attribute", lambda: module(factor=2.0)),
    ("module in eval mode", lambda: Net().eval()),
    ("module, hook", lambda: changed(Net, lambda n: n.register_forward_hook(lambda *_: None))),
    ("module, another hook", lambda: changed(Net, lambda n: n.register_forward_hook(lambda *_: 1))),
    ("module, buffer", lambda: changed(Net, lambda n: n.seen.add_(1))),
    ("module, patched", lambda: module(forward=lambda x: x)),
    ("tied", lambda: (lambda one: nn.Sequential(one, one))(Net())),
    ("not tied", lambda: nn.Sequential(Net(), Net())),
    ("LSTM", lambda: changed(lambda: nn.LSTM(2, 2), lambda m: [p.data.zero_() for p in m.parameters()])),
    ("TensorDataset", lambda: TensorDataset(x, x)),
    ("Subset", lambda: Subset(TensorDataset(x, x), [0, 1])),
    ("another Subset", lambda: Subset(TensorDataset(x, x), [0, 2])),
    ("ConcatDataset", lambda: ConcatDataset([TensorDataset(x)])),
    ("Dataset", lambda: Rows(x)),
    ("Dataset, scaled", lambda: Rows(x, 2.0)),
    ("Dataset, other rows", lambda: Rows(x + 1)),
    ("DataLoader", lambda: DataLoader(TensorDataset(x), batch_size=2)),
    ("DataLoader, larger batches", lambda: DataLoader(TensorDataset(x), batch_size=3)),
    ("DataLoader, shuffled", lambda: DataLoader(TensorDataset(x), batch_size=2, shuffle=True)),
    ("DataLoader, without the rest", lambda: DataLoader(TensorDataset(x), batch_size=2, drop_last=True)),
    ("DataLoader, collated", lambda: DataLoader(TensorDataset(x), batch_size=2, collate_fn=lambda b: b)),
    (
        "DataLoader, generator",
        lambda: DataLoader(TensorDataset(x), batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(1)),
    ),
]
NAMES = [name for name, _ in DIFFERENT]


def test_values_that_differ_have_different_digests() -> None:
    seen: dict[str, str] = {}
    for name, make in DIFFERENT:
        other = seen.setdefault(digest(make()), name)
        assert other == name, f"{name} and {other} are taken for the same"


@pytest.mark.parametrize(("name", "make"), DIFFERENT, ids=NAMES)
def test_made_again_the_digest_is_the_same(name: str, make: Callable[[], Any]) -> None:
    one = make()
    assert digest(one) == digest(one) == digest(make())


SAME: list[tuple[str, Any, Any]] = [
    ("strides of an array", a, np.asfortranarray(a)),
    ("a view of a larger array", a[:, :2], a[:, :2].copy()),
    ("strides of a tensor", x, x.T.contiguous().T),
    ("a view of a larger tensor", x[:, 1], x[:, 1].clone()),
    ("a conjugate view", torch.complex(x, x).conj(), torch.complex(x, -x)),
    ("the order of a set", {3, 1, (2, "a"), Level.LOW}, {Level.LOW, (2, "a"), 1, 3}),
    ("a deep copy", Net(), copy.deepcopy(Net())),
    ("interned strings", ["ab", "ab"], ["".join(["a", "b"]), "".join(["a", "b"])]),
    ("the gaps in records", gaps(b"\0"), gaps(b"\7")),
    ("the number of a hook", *[changed(Net, lambda n: n.register_forward_hook(hook)) for _ in range(2)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "one", "other"), SAME, ids=[row[0] for row in SAME])
def test_what_does_not_count(name: str, one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


def test_a_memory_map_counts_by_its_content(tmp_path: Path) -> None:
    a.tofile(tmp_path / "a")
    mapped = np.memmap(tmp_path / "a", dtype=a.dtype, mode="r", shape=a.shape)
    assert digest(mapped) == digest(a)
    del mapped


def test_an_array_is_hashed_to_its_last_byte_whatever_its_size() -> None:
    large = np.zeros(40 * 2**20, dtype=np.uint8)
    before = hash_buffer(large)
    large[-1] = 1
    assert hash_buffer(large) != before
    large[-1], large[2**24] = 0, 1
    assert hash_buffer(large) != before


# Laws

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    plain,
    lambda each: (
        st.lists(each)
        | st.tuples(each, each)
        | st.dictionaries(st.text() | st.integers(), each)
        | st.frozensets(st.text() | st.integers() | st.tuples(st.booleans(), st.text()))
    ),
    max_leaves=8,
)


def exactly(value: Any) -> Any:
    """A form that is equal exactly where values are the same to the bit, types and order included."""
    if isinstance(value, dict):
        return ("dict", [(exactly(key), exactly(each)) for key, each in value.items()])
    if isinstance(value, frozenset):
        return ("frozenset", sorted(map(repr, map(exactly, value))))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [exactly(each) for each in value])
    if isinstance(value, float):
        return ("float", np.float64(value).tobytes())
    return (type(value).__name__, repr(value))


@given(one=values, other=values)
def test_digests_are_equal_exactly_where_values_are(one: Any, other: Any) -> None:
    one, other = copy.deepcopy(one), copy.deepcopy(other)
    assert (digest(one) == digest(other)) == (exactly(one) == exactly(other))


@given(one=values)
def test_a_copy_has_the_same_digest(one: Any) -> None:
    assert digest(one) == digest(copy.deepcopy(one))


@given(one=st.lists(st.floats(width=32), min_size=1, max_size=5), at=st.integers(0, 4), bit=st.integers(0, 31))
def test_every_bit_of_a_tensor_counts(one: list[float], at: int, bit: int) -> None:
    before = np.array(one, dtype="f4")
    after = before.copy()
    after.view("u4")[at % len(one)] ^= np.uint32(1 << bit)
    assert digest(torch.from_numpy(before)) != digest(torch.from_numpy(after))
    assert digest(before) != digest(after)


def test_names_and_their_order() -> None:
    one, other = fingerprint({"a": 1, "b": [2]}), fingerprint({"b": [2], "a": 1})
    assert one == other
    assert fingerprint({"a": [2], "b": 1}).digest != one.digest
    assert fingerprint({"a": 1, "c": [2]}).digest != one.digest


def test_parts_tell_what_changed() -> None:
    before, after = (fingerprint({"data": [1, number], "make": Net, "rate": 0.1}) for number in (1, 2))
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {"data"}
    assert f"class {__name__}.Net" in before.parts
    assert f"function {__name__}.Net.__init__" in before.parts
    assert Net.__init__.__code__ in before.code


# What cannot be fingerprinted


def open_file() -> Any:
    with open(os.devnull) as file:
        return file


def closed_socket() -> Any:
    with socket.socket() as one:
        return one


def loop_of(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


class Unreadable(dict):  # type: ignore[type-arg]
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise ValueError("no length")


class Awkward:
    def __init__(self) -> None:
        self.held = Unreadable()


REASONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: (i for i in range(3)), "data is a generator, which can be read only once"),
    (lambda: [1, {"a": iter([1])}], "data[1]['a'] is an iterator (list_iterator), which can be read only once"),
    (lambda: map(str, [1]), "data is an iterator (map), which can be read only once"),
    (lambda: itertools.count(), "data is an iterator (count), which can be read only once"),
    (open_file, "data is an open file: give its path and open it in the training"),
    (closed_socket, "data is a socket.socket, which cannot be seen into"),
    (threading.Thread, "data is a thread, which cannot be seen into"),
    (lambda: np.frompyfunc(Level, 1, 1), "data was made by numpy.frompyfunc, which hides its function"),
    (lambda: x.to_sparse(), "data is a tensor of another kind than dense (torch.sparse_coo)"),
    (lambda: torch.empty(2, device="meta"), "data is a tensor of another kind than dense (meta)"),
    (lambda: x.clone().requires_grad_() * 2,
     "data is a tensor with a graph of operations behind it: give it detached"),
    (lambda: DataLoader(TensorDataset(x), num_workers=2),
     "data reads data in num_workers=2 other processes, whose files and code cannot be seen"),
    (lambda: Rows(i for i in range(3)), "data.rows is a generator, which can be read only once"),
    (lambda: nn.LazyLinear(2).weight, "data is a lazy parameter that was not initialised yet"),
    (Awkward, "data.held cannot be read (ValueError: no length)"),
    (lambda: loop_of(5000), "data is nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), REASONS, ids=[row[1] for row in REASONS])
def test_what_cannot_be_fingerprinted_is_said_with_its_place(make: Callable[[], Any], reason: str) -> None:
    assert of(make()).reasons == (reason,)


def test_no_reason_is_lost_in_a_set() -> None:
    assert "is a generator" in of({(1, iter_of(3))}).reasons[0]


def iter_of(n: int) -> Any:
    return (i for i in range(n))


def test_an_iterable_dataset_is_its_code_and_state() -> None:
    class Stream(IterableDataset[Any]):
        def __init__(self, n: int) -> None:
            self.n = n

        def __iter__(self) -> Any:
            return iter(range(self.n))

    assert digest(Stream(3)) == digest(Stream(3)) != digest(Stream(4))


def test_locks_and_global_generators_carry_no_information() -> None:
    before = digest([threading.Lock(), threading.RLock(), random.random, np.random.rand, torch.default_generator])
    random.random()
    np.random.rand()
    torch.rand(1)
    assert (
        digest([threading.Lock(), threading.RLock(), random.random, np.random.rand, torch.default_generator]) == before
    )


def test_a_set_that_contains_its_owner() -> None:
    class Owner:
        def __init__(self, mark: int) -> None:
            self.mark, self.all = mark, {self}

    assert digest(Owner(1)) == digest(Owner(1)) != digest(Owner(2))


# Settings and files


@pytest.mark.parametrize(
    ("setting", "act", "undo"),
    [
        (
            "default dtype",
            lambda: torch.set_default_dtype(torch.float64),
            lambda: torch.set_default_dtype(torch.float32),
        ),
        (
            "deterministic algorithms",
            lambda: torch.use_deterministic_algorithms(True),
            lambda: torch.use_deterministic_algorithms(False),
        ),
        (
            "float32 matmul precision",
            lambda: torch.set_float32_matmul_precision("high"),
            lambda: torch.set_float32_matmul_precision("highest"),
        ),
        ("gradients", lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_of_torch_belong_to_it(setting: str, act: Callable[[], Any], undo: Callable[[], Any]) -> None:
    before = of(1)
    try:
        act()
        now = of(1)
    finally:
        undo()
    assert now.digest != before.digest
    assert f"setting {setting}" in {name for name in now.parts if now.parts[name] != before.parts[name]}
    assert settings()[setting]


def test_versions_belong_to_it() -> None:
    assert {f"version of {name}" for name in ("Python", "torch", "numpy", "pytest-modelgate")} <= of(1).parts.keys()
    assert "version of scipy" in of(scipy.sparse.csr_array).parts


def test_files_count_by_content_and_folders_by_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "a.csv").write_text("1")
    (tmp_path / "b.csv").write_text("1")
    before = named_dependencies([tmp_path / "d", str(tmp_path / "b.csv")])
    assert named_dependencies([tmp_path / "d", tmp_path / "b.csv"]) == before
    (tmp_path / "d" / "e" / "a.csv").write_text("2")
    after = named_dependencies([tmp_path / "d", tmp_path / "b.csv"])
    assert [name for name in before if before[name] != after[name]] == ["depends_on[0], d"]
    (tmp_path / "d" / "new.csv").write_text("")
    assert after["depends_on[0], d"] != named_dependencies(tmp_path / "d")["depends_on[0], d"]
    with pytest.raises(TrainingError, match=r"depends_on names .*missing.csv.*, and there is no such file or folder"):
        named_dependencies([tmp_path / "missing.csv"])


# Another process

PROGRAM = """
    import collections, enum, random
    import numpy as np, torch
    from torch import nn
    from pytest_modelgate.runtime.cache.values import fingerprint

    class Kind(enum.Enum):
        A = "a"
        B = "b"

    def one(x):
        return x in {"p", "q", "r"}

    def other(x):
        return KINDS, x

    KINDS = {Kind.A, Kind.B, one, other, ("s", "t"), frozenset({"u", "v"})}
    nn.Linear(2, 2).register_forward_hook(one)  # hooks are numbered through the process
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    net.register_forward_hook(one)
    data = [net, {"a", "b", "c"}, other, torch.ones(3), np.random.default_rng(0), collections.Counter("abc"), KINDS]
    found = fingerprint({"data": data})
    assert found.reasons == (), found.reasons
    print(found.digest)
"""


def test_the_same_in_another_process_with_another_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    package = str(Path(__file__).resolve().parents[4])
    digests = set()
    for seed in "12":
        around = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(
            [sys.executable, "program.py"], cwd=tmp_path, env=around, check=True, capture_output=True, text=True
        )
        digests.add(ran.stdout)
    assert len(digests) == 1
