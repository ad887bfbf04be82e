# ruff: noqa: E501 - a row a line
"""What of code changes a fingerprint and what does not: each row edits a small project of real files."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_modelgate.runtime.cache.values import Fingerprint, fingerprint

PROJECT = {
    "train.py": """
        import functools
        import operator
        import settings
        import pkg.sub as sub
        from helpers import *
        from helpers import decorated, counted, kinds, Registered
        from pkg import exported
        from settings import RATE, Options, registry
        import models

        STEPS = {"warm": lambda x: x * 2, "cold": lambda x: x * 3}
        pick = operator.attrgetter("weight")

        def make_closure(power):
            base = 10
            def inner(x):
                return x ** power + base
            return inner

        closure = make_closure(2)
        partial = functools.partial(helper, offset=5)

        def fit(model=None, run=None, depth=3, *, width=4):
            "Trains."
            def nested(x):
                return x - 1
            total = helper(RATE) + settings.LIMIT + sub.double(exported(depth))
            total += getattr(models, "FACTOR") + models.Model(1).forward(2)
            total += STEPS["warm"](1) + closure(2) + partial(3) + decorated(1) + counted(2) + kinds(3) + kinds("a")
            total += Options().momentum + len(registry) + Registered.made().size + nested(width)
            from late import finish
            import later
            finish(total)
            return later.close([pick(row) for row in ()])

        def unrelated():
            return 1
    """,
    "helpers.py": """
        import functools

        def times(n):
            def wrap(f):
                @functools.wraps(f)
                def inner(*args):
                    return n * f(*args)
                return inner
            return wrap

        def helper(x, offset=1):
            # doubles
            return 2 * x + offset

        @times(3)
        def decorated(x):
            return x + 7

        @functools.lru_cache(maxsize=None)
        def counted(x):
            return x + 11

        @functools.singledispatch
        def kinds(x):
            return 0

        @kinds.register
        def _(x: str):
            return len(x) + 13

        helper.note = "n1"

        class Registered:
            size = 17
            @classmethod
            def made(cls):
                return cls()

        def other():
            return 1
    """,
    "settings.py": """
        import dataclasses
        RATE = 0.1
        LIMIT = 19
        UNUSED = 1
        registry = {}

        @dataclasses.dataclass
        class Options:
            momentum: float = 0.9
            sizes: list = dataclasses.field(default_factory=lambda: [1, 2])

        def register(name):
            def keep(cls):
                registry[name] = cls
                return cls
            return keep
    """,
    "models.py": """
        from settings import register
        FACTOR = 23

        class Described:
            def __get__(self, instance, owner):
                return 29

        class Base:
            def scale(self):
                return 31

        @register("small")
        class Model(Base):
            rate = 37
            described = Described()

            def __init__(self, size):
                self.size = size

            @property
            def area(self):
                return self.size ** 2

            @staticmethod
            def fixed():
                return 41

            def forward(self, x):
                return x * self.area

        @register("large")
        class Large(Base):
            depth = 43
    """,
    "pkg/__init__.py": "from pkg.inner import exported\n",
    "pkg/inner.py": "def exported(x):\n    return x + 47\n",
    "pkg/sub.py": "def double(x):\n    return x * 2\n\n\ndef triple(x):\n    return x * 3\n",
    "late.py": "def finish(x):\n    return x + 53\n\n\ndef other():\n    return 1\n",
    "later.py": "def close(x):\n    return x * 59\n\n\ndef other():\n    return 1\n",
}

CHANGES = [
    ("a line of a helper", "helpers.py", "return 2 * x", "return 3 * x", "function helpers.helper"),
    ("its default", "helpers.py", "offset=1", "offset=2", "function helpers.helper"),
    ("an attribute of a function", "helpers.py", '"n1"', '"n2"', "function helpers.helper"),
    ("a decorator's argument", "helpers.py", "@times(3)", "@times(4)", "function helpers.decorated"),
    ("a decorator", "helpers.py", "return n * f", "return n - f", "function helpers.decorated"),
    ("what is decorated", "helpers.py", "x + 7", "x + 8", "function helpers.decorated (2)"),
    ("behind lru_cache", "helpers.py", "x + 11", "x + 12", "function helpers.counted"),
    ("a case of singledispatch", "helpers.py", "len(x) + 13", "len(x) + 14", "function helpers._"),
    ("a class attribute", "helpers.py", "size = 17", "size = 18", "class helpers.Registered"),
    ("a class method", "helpers.py", "return cls()", "return cls", "function helpers.Registered.made"),
    ("a constant", "settings.py", "RATE = 0.1", "RATE = 0.2", "constant train.RATE"),
    ("its type", "settings.py", "LIMIT = 19", "LIMIT = 19.0", "constant settings.LIMIT"),
    ("its sign", "settings.py", "RATE = 0.1", "RATE = -0.1", "constant train.RATE"),
    ("a dataclass's default", "settings.py", "= 0.9", "= 0.8", "class settings.Options"),
    ("a dataclass's factory", "settings.py", "[1, 2]", "[1, 3]", "function settings.Options.<lambda>"),
    ("a dataclass's new field", "settings.py", "0.9\n", "0.9\n            extra: int = 1\n", "class settings.Options"),
    ("a constant by getattr", "models.py", "FACTOR = 23", "FACTOR = 24", "constant models.FACTOR"),
    ("a descriptor", "models.py", "return 29", "return 30", "function models.Described.__get__"),
    ("a base class's method", "models.py", "return 31", "return 32", "function models.Base.scale"),
    ("a class's attribute", "models.py", "rate = 37", "rate = 38", "class models.Model"),
    ("a property", "models.py", "** 2", "** 3", "function models.Model.area"),
    ("a static method", "models.py", "return 41", "return 42", "function models.Model.fixed"),
    ("a method", "models.py", "x * self.area", "x + self.area", "function models.Model.forward"),
    ("a class's base", "models.py", "class Model(Base)", "class Model(Base, dict)", "class models.Model"),
    ("a registered class", "models.py", "depth = 43", "depth = 44", "class models.Large"),
    ("a registered name", "models.py", '"large"', '"big"', "constant train.registry"),
    ("behind a re-export", "pkg/inner.py", "x + 47", "x + 48", "function pkg.inner.exported"),
    ("of a submodule", "pkg/sub.py", "x * 2", "x * 4", "function pkg.sub.double"),
    ("of an import in the function", "late.py", "x + 53", "x + 54", "function late.finish"),
    ("of a module imported there", "later.py", "x * 59", "x * 60", "function later.close"),
    ("a lambda in a dict", "train.py", "x * 2", "x * 5", "function train.<lambda>"),
    ("a key of the dict", "train.py", '"cold"', '"freezing"', "constant train.STEPS"),
    (
        "a closure's value",
        "train.py",
        "make_closure(2)",
        "make_closure(3)",
        "function train.make_closure.<locals>.inner",
    ),
    ("a closure's local", "train.py", "base = 10", "base = 11", "function train.make_closure.<locals>.inner"),
    ("a partial's argument", "train.py", "offset=5", "offset=6", "constant train.partial"),
    ("attrgetter's name", "train.py", '"weight"', '"bias"', "constant train.pick"),
    ("a nested function", "train.py", "return x - 1", "return x - 2", "function train.fit"),
    ("a default", "train.py", "depth=3", "depth=4", "function train.fit"),
    ("a keyword default", "train.py", "width=4", "width=5", "function train.fit"),
    ("1 for True", "train.py", "models.Model(1)", "models.Model(True)", "function train.fit"),
    ("-0.0 for 0.0", "settings.py", "RATE = 0.1", "RATE = 0.0 * -1", "constant train.RATE"),
    ("another order", "train.py", "finish(total)\n", "finish(total); finish(1)\n", "function train.fit"),
    ("a name that came into being", "train.py", "STEPS =", "len = sum\n        STEPS =", "function train.fit"),
]

SAME = [
    ("a comment", "helpers.py", "# doubles", "# twice as much\n            #"),
    ("a docstring", "train.py", '"Trains."', '"Trains the model, and says so."'),
    ("a docstring less", "train.py", '            "Trains."\n', ""),
    ("a new docstring", "helpers.py", "def helper(x, offset=1):", "def helper(x, offset=1):\n            'Doc.'"),
    ("a class's new docstring", "models.py", "class Base:", "class Base:\n            'Doc.'"),
    ("blank lines", "helpers.py", "# doubles", "\n\n"),
    ("blank lines inside", "train.py", "            from late", "\n\n\n            from late"),
    ("moved lines", "models.py", "FACTOR = 23", "FACTOR = 23\n\n\n"),
    ("another function", "train.py", "return 1\n", "return 2\n"),
    ("a new function", "helpers.py", "def other():", "def new():\n            return helper(2)\n\n        def other():"),
    ("a function renamed", "train.py", "def unrelated", "def test_renamed"),
    ("another constant", "settings.py", "UNUSED = 1", "UNUSED = 2"),
    ("another function of a submodule", "pkg/sub.py", "x * 3", "x * 6"),
    ("another where one is imported", "late.py", "return 1", "return 2"),
    ("another where the module is imported", "later.py", "return 1", "return 2"),
    ("parentheses", "helpers.py", "return 2 * x + offset", "return (\n                (2 * x)\n                + offset)"),
    ("a hint", "helpers.py", "def helper(x, offset=1):", "def helper(x: float, offset: int = 1) -> float:"),
    ("functions in another order", "pkg/sub.py", PROJECT["pkg/sub.py"],
     "def triple(x):\n    return x * 3\n\n\ndef double(x):\n    return x * 2\n"),
]  # fmt: skip


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Any]:
    """Write a project's files into a new folder and import `train` from there; of former ones nothing is left."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = []

    def load(files: dict[str, str]) -> Any:
        folder = tmp_path / str(len(made))
        made.append(folder)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text))
        forget(folder.parent)
        monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module("train")

    yield load
    forget(tmp_path)


def forget(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def of_fit(module: Any) -> Fingerprint:
    found = fingerprint({"fit": module.fit})
    assert found.reasons == ()
    return found


def edited(file: str, old: str, new: str) -> dict[str, str]:
    assert PROJECT[file].count(old) >= 1, (file, old)
    return PROJECT | {file: PROJECT[file].replace(old, new, 1)}


@pytest.mark.parametrize(("what", "file", "old", "new", "part"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_change_of_what_is_reached(load: Any, what: str, file: str, old: str, new: str, part: str) -> None:
    before, after = of_fit(load(PROJECT)), of_fit(load(edited(file, old, new)))
    assert before.digest != after.digest
    changed = {
        name for name in before.parts.keys() | after.parts.keys() if before.parts.get(name) != after.parts.get(name)
    }
    assert part in changed
    assert len(changed) <= 4, changed  # and little else is said to have changed


@pytest.mark.parametrize(("what", "file", "old", "new"), SAME, ids=[row[0] for row in SAME])
def test_no_change_of_what_is_reached(load: Any, what: str, file: str, old: str, new: str) -> None:
    before, after = of_fit(load(PROJECT)), of_fit(load(edited(file, old, new)))
    assert before.parts == after.parts
    assert before.digest == after.digest


# One file each: what is reached in less usual ways, with the reason where it cannot be followed.

REACHED = [
    ("an instance's function", "class A:\n    pass\na = A()\na.step = lambda: 1\ndef fit(): return a.step()", "1", "2"),
    ("a callable object", "class A:\n    def __call__(self): return 1\na = A()\ndef fit(): return a()", "1", "2"),
    ("an object's slot", "class A:\n    __slots__ = ('x',)\na = A()\na.x = 11\ndef fit(): return a", "11", "12"),
    ("a metaclass", "class M(type):\n    x = 1\nclass A(metaclass=M): pass\ndef fit(): return A.x", "1", "2"),
    ("__init_subclass__", "class A:\n    def __init_subclass__(cls): cls.x = 1\nclass B(A): pass\ndef fit(): return B", "1", "2"),
    ("a NamedTuple's default", "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int = 1\ndef fit(): return A()", "1", "2"),
    ("an Enum's value", "import enum\nclass A(enum.Enum):\n    X = 1\ndef fit(): return A.X", "1", "2"),
    ("globals()", "LR = 1\ndef fit(): return globals()['LR']", "1", "2"),
    ("eval", "LR = 1\ndef fit(): return eval('LR')", "1", "2"),
    ("eval of a global function", "def other(): return 1\ndef fit(): return eval('other()')", "1", "2"),
    ("a module's __getattr__", "import m, sys\ndef fit(): return m.lazy", "return 3", "return 4"),
    ("a module in a closure", "def outer():\n    import m\n    def inner(): return m.value()\n    return inner\nfit = outer()", "value(): return 1", "value(): return 2"),
    ("a module passed on", "import m\ndef fit(): return vars(m)", "value(): return 1", "value(): return 2"),
    ("a module under another name", "def fit():\n    import m as n\n    return n.value()", "value(): return 1", "value(): return 2"),
    ("a module in a list", "import m\nALL = [m]\ndef fit(): return ALL[0].value()", "value(): return 1", "value(): return 2"),
    ("a comprehension", "def g(): return 1\ndef fit(): return [g() for _ in ()]", "1", "2"),
    ("a nested class", "RATE = 1\ndef fit():\n    class A:\n        x = RATE\n    return A", "1", "2"),
    ("a mutable default", "def fit(x=[1]): return x", "1", "2"),
    ("a counter in a closure", "def outer(n=1):\n    def inner():\n        nonlocal n\n        n += 0\n        return n\n    return inner\nfit = outer()", "n=1", "n=2"),
    ("super", "class A:\n    def go(self): return 1\nclass B(A):\n    def go(self): return super().go()\ndef fit(): return B().go()", "1", "2"),
    ("partialmethod", "import functools\nclass A:\n    def go(self, n): return n\n    one = functools.partialmethod(go, 1)\ndef fit(): return A().one()", "1)\n", "2)\n"),
    ("cached_property", "import functools\nclass A:\n    @functools.cached_property\n    def x(self): return 1\ndef fit(): return A().x", "1", "2"),
    ("what lru_cache remembers", "import functools\nBOX = [1]\n@functools.lru_cache\ndef load(): return BOX.pop()\nload()\ndef fit(): return load()", "1", "2"),
    ("an attribute of a local", "def fit(x): return x.aa", "aa", "bb"),
    ("a jump's target", "def fit(x, y, f):\n    if x:\n        if y:\n            f(1)\n        f(2)\n    f(3)", "        f(2)", "    f(2)"),
    ("a hint of a class", "class A:\n    x: int\ndef fit(): return A", "int", "str"),
    ("an installed module patched through a decorator", "import functools, json, torch\n@functools.wraps(json.loads)\ndef g(): return 1\njson.extra = torch.no_grad()(g)\njson.extra.__module__, json.extra.__qualname__ = 'json', 'extra'\ndef fit(): return json.extra", "1", "2"),
    ("a context manager", "import contextlib\n@contextlib.contextmanager\ndef g(): yield 1\ndef fit(): return g()", "1", "2"),
    ("an installed class that was patched", "import json.decoder as d\nd.JSONDecoder.extra = lambda self: 1\ndef fit(): return d.JSONDecoder", "1", "2"),
    ("an installed module that was patched", "import json\njson.extra = lambda: 1\ndef fit(): return json.extra()", "1", "2"),
    ("an installed module's setting", "import json\njson.extra = 1\ndef fit(): return json.extra", "1", "2"),
    ("an installed decorator", "import torch\n@torch.no_grad()\ndef g(): return 1\ndef fit(): return g()", "1", "2"),
    ("a generator function", "def g():\n    yield 1\ndef fit(): return g()", "1", "2"),
    ("a conditional import", "def fit():\n    try:\n        import m\n    except ImportError:\n        return 0\n    return m.value()", "value(): return 1", "value(): return 2"),
    ("an import in a nested function", "def fit():\n    def g():\n        from m import value\n        return value()\n    return g", "value(): return 1", "value(): return 2"),
    ("a match statement", "def fit(x):\n    match x:\n        case [1, *_]: return 0", "1", "2"),
    ("a keyword's name", "def fit(f): return f(aa=0)", "aa=0", "bb=0"),
    ("the order of keywords", "def fit(f, x, y): return f(a=x, b=y)", "a=x, b=y", "b=x, a=y"),
    ("a jump", "def fit(x):\n    while x:\n        if x > 3: break\n        x -= 1\n    return x", "break", "continue"),
    ("a function's name", "KEPT = []\n@KEPT.append\ndef aa(): pass\ndef fit(): return KEPT[0].__name__", "def aa", "def bb"),
    ("a class's place", "KEPT = []\n@KEPT.append\nclass A:\n    class C: pass\nC = KEPT[0].C\ndef fit(): return C.__qualname__", "class A", "class B"),
    ("an exception caught", "def fit(f):\n    try: f()\n    except KeyError: pass", "KeyError", "ValueError"),
]  # fmt: skip

M = """
    CHANGING = [1]
    def value(): return 1
    def __getattr__(name): return 3
"""


@pytest.mark.parametrize(("what", "text", "old", "new"), REACHED, ids=[row[0] for row in REACHED])
def test_reached_in_less_usual_ways(load: Any, what: str, text: str, old: str, new: str) -> None:
    import json

    files = {"train.py": text + "\n", "m.py": M}
    file = "train.py" if old in files["train.py"] else "m.py"
    try:
        before = of_fit(load(files))
        assert of_fit(load(files)).digest == before.digest
        after = of_fit(load(files | {file: files[file].replace(old, new, 1)}))
    finally:
        vars(json).pop("extra", None)
        if "extra" in vars(json.JSONDecoder):
            del json.JSONDecoder.extra  # type: ignore[attr-defined]
    assert before.digest != after.digest


REASONS = [
    ("import importlib\ndef fit(name): return importlib.import_module(name)", "imports modules by names"),
    ("from importlib import import_module as i\ndef fit(name): return i(name)", "imports modules by names"),
    ("def fit(name): return __import__(name)", "imports modules by names"),
    ("import sys\ndef fit(name): return sys.modules[name]", "is the table of all modules"),
    ("from sys import modules\ndef fit(name): return modules[name]", "is the table of all modules"),
    ("class A: pass\ndef fit(): return A.__subclasses__()", "looks for subclasses"),
    ("import inspect\ndef fit(): return inspect.stack()", "looks into the frames of its callers"),
    ("def fit(): return fit.__doc__", "reads docstrings"),
    ("def fit(): return getattr(fit, '__doc__')", "reads docstrings"),
    ("def fit(): return fit.__code__.co_firstlineno", "reads line numbers"),
    ("import inspect\ndef fit(): return inspect.getsource(fit)", "reads source code"),
    ("ROWS = (i for i in range(3))\ndef fit(): return ROWS", "train.ROWS is a generator, which can be read only once"),
    ("def outer(rows):\n    return lambda: rows\nfit = outer(iter([]))", "'s variable rows is an iterator"),
]


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_what_cannot_be_followed_is_said(load: Any, text: str, reason: str) -> None:
    [found] = fingerprint({"fit": load({"train.py": text}).fit}).reasons
    assert reason in found
    assert found.startswith("train.")


IN_A_TEST = """
    def test_one():
        base = 3
        class Net:
            "A net."
            rate = 5
            def forward(self, x):
                def scaled(y):
                    class Inner:
                        z = y
                    return Inner
                return (lambda: scaled(x) * base)()
        def fit():
            assert base == 3, "said"
            return Net
        return fit
"""


@pytest.mark.parametrize("rewritten", [False, True], ids=["plain", "rewritten by pytest"])
@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("test_one", "test_renamed", True),
        ("def test_one", "\n\n    def test_other():\n        assert 1 == 1, 'x'\n    def test_one", True),
        ('"A net."', '"Another."', True),
        ("base = 3\n", "base = 4\n", False),
        ("rate = 5", "rate = 6", False),
        ("base == 3", "base == 4", False),
        ("z = y", "z = x", False),
    ],
)
def test_code_in_a_test(tmp_path: Path, rewritten: bool, old: str, new: str, same: bool) -> None:
    import ast

    from _pytest.assertion.rewrite import rewrite_asserts

    def made(text: str) -> Fingerprint:
        source = textwrap.dedent(text).encode()
        tree = ast.parse(source)
        if rewritten:
            rewrite_asserts(tree, source)
        space: dict[str, Any] = {"__name__": "test_it"}
        exec(compile(tree, str(tmp_path / "test_it.py"), "exec"), space)
        test = next(value for name, value in space.items() if name in ("test_one", "test_renamed"))
        return fingerprint({"fit": test()})

    assert (made(IN_A_TEST).digest == made(IN_A_TEST.replace(old, new, 1)).digest) is same


def test_the_code_covered_is_all_that_is_reached_and_nested(load: Any) -> None:
    train = load(PROJECT)
    names = {code.co_name for code in of_fit(train).code}
    assert {"fit", "nested", "helper", "inner", "exported", "double", "finish", "close", "forward", "scale"} <= names
    assert not names & {"unrelated", "other", "triple"}


def test_a_patch_counts_and_is_undone(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    train = load(PROJECT)
    before = of_fit(train)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["models"].Base, "scale", lambda self: 32)
        assert of_fit(train).digest != before.digest
    assert of_fit(train).digest == before.digest


def test_the_place_of_a_project_does_not_count(load: Any) -> None:
    assert of_fit(load(PROJECT)) == of_fit(load(PROJECT))


def test_a_missing_import_is_no_error_until_it_is_there(load: Any) -> None:
    text = "def fit():\n    import not_there_yet\n    return not_there_yet.x"
    before = of_fit(load({"train.py": text}))
    assert of_fit(load({"train.py": text, "not_there_yet.py": "x = 1"})).digest != before.digest
