"""Source files without comments and docstrings: which top-level statements stand behind a name, and their hashes."""

from __future__ import annotations

__tracebackhide__ = True

import ast
import functools
import importlib.util
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelgate.runtime.cache.places import is_first_party
from pytest_modelgate.runtime.cache.seen_files import digest

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
# Who uses these can reach any name of the file.
_REFLECTIVE = {"globals", "locals", "vars", "eval", "exec", "__import__"}
_HARMLESS = {"typing", "types", "logging", "re", "pathlib", "torch"}

# Builtins that make of their arguments the same each time.
_PURE = {
    "abs", "bool", "bytes", "complex", "dict", "divmod", "enumerate", "float", "frozenset", "int", "list", "max", "min",
    "pow", "range", "reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip",
}  # fmt: skip

Wanted = frozenset[str] | None  # names of a file; None: all of it


def parse(path: str | Path) -> ast.Module:
    """The syntax tree of a source file, without docstrings.

    Raises:
        OSError, SyntaxError, ValueError: it cannot be read or is no Python.
    """
    tree = ast.parse(Path(path).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, (*_DEFINITIONS, ast.Module)) and node.body and _is_docstring(node.body[0]):
            node.body[:1] = [] if len(node.body) > 1 or isinstance(node, ast.Module) else [ast.Pass()]
    return tree


def parts(tree: ast.Module, wanted: Wanted) -> dict[str, str]:
    """A digest for each top-level statement behind the wanted names, by a readable name.

    >>> list(parts(ast.parse("WIDTH = 4\\ndef build():\\n    return WIDTH\\ndef other(): pass"), frozenset({"build"})))
    ['WIDTH', 'build()']
    """
    found: dict[str, str] = {}
    for statement in behind(tree, wanted):
        name = _name(statement)
        found[name] = digest((found.get(name, "") + ast.dump(statement)).encode("utf-8", "surrogatepass"))
    return found


def behind(tree: ast.Module, wanted: Wanted) -> list[ast.stmt]:
    """The top-level statements that bind the wanted names, the names which these use, and so on."""
    statements = tree.body
    if wanted is None:
        return list(statements)
    names, chosen = set(wanted), set[int]()
    while True:
        more = {i for i, statement in enumerate(statements) if i not in chosen and _concerns(statement, names)}
        if not more:
            return [statements[i] for i in sorted(chosen)]
        chosen |= more
        for i in more:
            names |= _uses(statements[i])
        if names & _REFLECTIVE:
            return list(statements)


def name_at(tree: ast.Module, line: int) -> str | None:
    """The function or class of the file's top level that a line belongs to; None in any other statement."""
    for statement in tree.body:
        if isinstance(statement, _DEFINITIONS):
            first = min([statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)])
            if first <= line <= (statement.end_lineno or first):
                return statement.name
    return None


def with_imports(wanted: Mapping[str, Wanted], tree_of: Callable[[str], ast.Module]) -> dict[str, Wanted]:
    """The names that stand behind the wanted ones in all of the user's files, by the files' import statements."""
    found: dict[str, Wanted] = {}
    waiting = list(wanted.items())
    while waiting:
        path, names = waiting.pop()
        merged = _union(found[path], names) if path in found else names
        if path in found and found[path] == merged:
            continue
        found[path] = merged
        for module, name in _imported(path, behind(tree_of(path), merged)):
            file = getattr(sys.modules.get(module), "__file__", None)
            if isinstance(file, str) and file.endswith(".py") and is_first_party(file):
                bound = name is not None and any(name in _binds(statement) for statement in tree_of(file).body)
                waiting.append((file, frozenset({name}) if name is not None and bound else None))
    return found


def unlike_source(module: ModuleType, statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Values of a module that its source does not give: computed when it was loaded, or altered since."""
    for statement in statements:
        if isinstance(statement, (*_DEFINITIONS, *_IMPORTS)) or _is_guard(statement):
            continue
        value = getattr(statement, "value", None) if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        for name in sorted(_binds(statement) & vars(module).keys()):
            now = vars(module)[name]
            try:
                written = ast.literal_eval(value) if value is not None else _UNKNOWN
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                written = _UNKNOWN
            if written is not _UNKNOWN and isinstance(
                value, ast.Constant | ast.UnaryOp | ast.Tuple | ast.List | ast.Dict
            ):
                if repr(written) != repr(now) and not isinstance(statement.targets[0], ast.Tuple):  # type: ignore[attr-defined]
                    yield f"{module.__name__}.{name} was altered after it was loaded"
            elif _computes(statement) and not _is_harmless(now):
                yield f"{module.__name__}.{name} is computed when the file is loaded, before the training"


_UNKNOWN = object()


def _imported(path: str, statements: Iterable[ast.stmt]) -> Iterator[tuple[str, str | None]]:
    """Modules that statements import, each with the name that is taken from it; None for the module as a whole."""
    package = next((getattr(m, "__package__", None) for m in _modules_of(path)), None)
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if node.level:
                if not package:
                    continue
                module = importlib.util.resolve_name(module, package)
            for alias in node.names:
                if alias.name == "*" or f"{module}.{alias.name}" in sys.modules:
                    yield (module if alias.name == "*" else f"{module}.{alias.name}"), None
                else:
                    yield module, alias.name


def _modules_of(path: str) -> list[ModuleType]:
    return [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == path]


def _union(one: Wanted, other: Wanted) -> Wanted:
    return None if one is None or other is None else one | other


def _concerns(statement: ast.stmt, names: set[str]) -> bool:
    if _binds(statement) & names or "*" in _binds(statement):
        return True
    return not isinstance(statement, (*_DEFINITIONS, *_IMPORTS)) and bool(_uses(statement) & names)


@functools.lru_cache(maxsize=4096)
def _binds(statement: ast.stmt) -> frozenset[str]:
    if isinstance(statement, _DEFINITIONS):
        return frozenset({statement.name})
    bound: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, _IMPORTS):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, _DEFINITIONS):
            bound.add(node.name)
    return frozenset(bound)


@functools.lru_cache(maxsize=4096)
def _uses(statement: ast.stmt) -> frozenset[str]:
    """The file's names that a statement looks up; what is local to a function is not among them."""
    top = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    used = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    waiting = list(top.get_children())
    while waiting:
        scope = waiting.pop()
        used |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        waiting += scope.get_children()
    return frozenset(used)


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.ClassDef):
        return f"class {statement.name}"
    if isinstance(statement, _DEFINITIONS):
        return f"{statement.name}()"
    if isinstance(statement, _IMPORTS):
        return "an import"
    return ", ".join(sorted(_binds(statement))) or "a statement"


def _is_docstring(statement: Any) -> bool:
    value = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":` and `if TYPE_CHECKING:`."""
    if not isinstance(statement, ast.If):
        return False
    return any(
        isinstance(node, ast.Name) and node.id in ("__name__", "TYPE_CHECKING") for node in ast.walk(statement.test)
    )


def _computes(statement: ast.stmt) -> bool:
    """Whether a statement's value may come from elsewhere than the file: from a call, or out of a container."""
    return any(
        isinstance(node, (ast.Subscript, ast.Await))
        or (isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _PURE))
        for node in ast.walk(getattr(statement, "value", None) or statement)
    )


def _is_harmless(value: Any) -> bool:
    """Whether the source says all: functions, classes, modules, loggers, patterns, paths, types of tensors."""
    if callable(value) and type(value).__module__ in ("builtins", "torch"):
        return True
    return isinstance(value, (type, ModuleType)) or (
        type(value).__module__.partition(".")[0] in _HARMLESS and not hasattr(value, "shape")
    )
