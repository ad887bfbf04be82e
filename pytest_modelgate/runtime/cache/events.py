"""Events whose effect on a run nobody can see, and the known readers of files by native code."""

from __future__ import annotations

__tracebackhide__ = True

import os
import sys
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from pytest_modelgate.runtime.cache.places import is_first_party

_PROCESS = "another process was started ({}), whose work cannot be seen"
_NETWORK = "the network was used ({}), whose answers may change"


def _said(sentence: str, event: str, position: int | None = None) -> Callable[..., str]:
    def say(*arguments: Any) -> str:
        if position is None or position >= len(arguments):
            return sentence.format(event)
        value = arguments[position]
        if isinstance(value, (list, tuple)):
            value = value[0] if value else ""
        return sentence.format(f"{event}: {os.fsdecode(value) if isinstance(value, (str, bytes)) else value}")

    return say


def _database(database: Any, *_: Any) -> str:
    name = os.fsdecode(database) if isinstance(database, bytes) else database
    return f"a database was opened (sqlite3: {name}), which native code reads"


# Audit event to the sentence that says why it keeps a model out of the cache.
UNSEEN: Mapping[str, Callable[..., str]] = {
    "subprocess.Popen": _said(_PROCESS, "subprocess", 0),
    "os.system": _said(_PROCESS, "os.system"),
    "os.exec": _said(_PROCESS, "os.exec", 0),
    "os.posix_spawn": _said(_PROCESS, "os.posix_spawn", 0),
    "os.spawn": _said(_PROCESS, "os.spawn", 1),
    "os.startfile": _said(_PROCESS, "os.startfile", 0),
    "os.fork": _said(_PROCESS, "fork"),
    "os.forkpty": _said(_PROCESS, "forkpty"),
    "pty.spawn": _said(_PROCESS, "pty.spawn"),
    "_winapi.CreateProcess": _said(_PROCESS, "CreateProcess", 0),
    "socket.connect": _said(_NETWORK, "connect", 1),
    "socket.bind": _said(_NETWORK, "bind", 1),
    "socket.sendto": _said(_NETWORK, "sendto", 1),
    "socket.sendmsg": _said(_NETWORK, "sendmsg", 1),
    "socket.getaddrinfo": _said(_NETWORK, "look-up", 0),
    "socket.gethostbyname": _said(_NETWORK, "look-up", 0),
    "urllib.Request": _said(_NETWORK, "urllib", 0),
    "sqlite3.connect": _database,
}

# Installed packages whose Python functions hand paths to native code.
_READERS = {
    "h5py", "pyarrow", "polars", "fastparquet", "tables", "netCDF4", "rasterio", "soundfile", "torchaudio", "decord",
    "av", "tensorflow", "duckdb", "lance", "sentencepiece", "torchcodec", "pysam", "zarr",
}  # fmt: skip
# Single functions of packages that do much else.
_READING = {
    ("torch/jit/_serialization.py", "load"): "torch.jit.load",
    ("torchvision/io/image.py", "read_file"): "torchvision.io",
    ("torchvision/io/video.py", "read_video"): "torchvision.io",
    ("torchvision/io/video_reader.py", "__init__"): "torchvision.io",
    ("transformers/tokenization_utils_fast.py", "__init__"): "transformers' fast tokenizers",
    ("xgboost/core.py", "load_model"): "xgboost",
    ("lightgbm/basic.py", "__init__"): "lightgbm",
}
# Native functions, which leave no frame: a name in the user's code tells of them. The second: only as an attribute
# of the module, where the name alone is anybody's.
_NATIVE = {
    "cv2": {"imread", "imreadmulti", "VideoCapture", "FileStorage"},
    "safetensors": {"safe_open"},
    "tokenizers": {"from_file"},
    "lmdb": {"Environment"},
}
_NATIVE_ATTRIBUTES = {"lmdb": {"open"}, "h5py": {"File"}, "pyarrow": {"memory_map"}}


def native_reader(code: CodeType) -> str | None:
    """The name of the package or function, if this code of an installed package reads files natively."""
    path = code.co_filename.replace("\\", "/")
    _, found, inside = path.rpartition("/site-packages/")
    if not found:
        _, found, inside = path.rpartition("/dist-packages/")
    top = inside.split("/")[0].removesuffix(".py")
    if top in _READERS and code.co_name not in ("<module>", "__getattr__"):
        return top
    return _READING.get((inside, code.co_name))


def native_reader_by_name(code: CodeType) -> set[str]:
    """Native functions that the user's code names, in modules that are loaded."""
    names = set(code.co_names)
    found = set()
    for module in _NATIVE.keys() | _NATIVE_ATTRIBUTES.keys():
        if module not in sys.modules:
            continue
        free = names & _NATIVE.get(module, set())
        bound = names & _NATIVE_ATTRIBUTES.get(module, set()) if module in names else set()
        found |= {f"{module}.{name}" for name in free | bound if not _stands_for_the_user(code, module, name)}
    return found


def _stands_for_the_user(code: CodeType, module: str, name: str) -> bool:
    """Whether the name means something of the user's in that file, or a function that a stand-in watches."""
    for other in list(sys.modules.values()):
        if getattr(other, "__file__", None) == code.co_filename:
            value = vars(other).get(name)
            origin = getattr(value, "__module__", None)
            if value is not None and isinstance(origin, str):
                defined = getattr(sys.modules.get(origin), "__file__", None)
                return isinstance(defined, str) and is_first_party(defined)
            return module == "safetensors" and value is None
    return False
