"""What a watched run is seen to use, what cannot be seen, and that nothing of the watch stays behind."""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import glob
import importlib
import linecache
import multiprocessing
import os
import pkgutil
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from pytest_modelgate.runtime.cache import executed, watching
from pytest_modelgate.runtime.cache.places import place
from pytest_modelgate.runtime.cache.seen_files import digest_of_file
from pytest_modelgate.runtime.cache.watching import Watch

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify")
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def write(name: str, text: str = "1 2\n") -> Path:
    path = Path(name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    time.sleep(0.02)  # a file's time may stand on the tick before
    return path


def load(name: str, source: str) -> ModuleType:
    write(f"{name}.py", source)
    return importlib.import_module(name)


def watch(run: Callable[[], Any]) -> Watch:
    with Watch() as seen:
        run()
    return seen


def names(paths: Any) -> set[str]:
    return {str(Path(path).relative_to(Path.cwd())) for path in paths}


# Files


def _save_all() -> None:
    write("a.txt")
    np.save("a.npy", np.ones(3))
    np.ones(3).tofile("a.bin")
    torch.save({"a": torch.ones(3)}, "a.pt")
    safetensors.torch.save_file({"a": torch.ones(3)}, "a.safetensors")
    time.sleep(0.02)


@pytest.mark.parametrize(
    ("read", "file"),
    [
        (lambda: open("a.txt").close(), "a.txt"),
        (lambda: Path("a.txt").read_text(), "a.txt"),
        (lambda: open(b"a.txt").close(), "a.txt"),
        (lambda: os.close(os.open("a.txt", os.O_RDONLY)), "a.txt"),
        (lambda: np.load("a.npy"), "a.npy"),
        (lambda: np.load("a.npy", mmap_mode="r"), "a.npy"),
        (lambda: np.memmap("a.bin", dtype=np.float64, mode="r"), "a.bin"),
        (lambda: np.fromfile("a.bin"), "a.bin"),
        (lambda: np.loadtxt("a.txt"), "a.txt"),
        (lambda: torch.load("a.pt"), "a.pt"),
        (lambda: torch.load("a.pt", mmap=True), "a.pt"),
        (lambda: torch.from_file("a.bin", size=3), "a.bin"),
        (lambda: torch.UntypedStorage.from_file("a.bin", nbytes=8), "a.bin"),
        (lambda: safetensors.torch.load_file("a.safetensors"), "a.safetensors"),
        (lambda: safetensors.safe_open("a.safetensors", "pt").keys(), "a.safetensors"),
        (lambda: safetensors.safe_open("a.safetensors", framework="np").keys(), "a.safetensors"),
        (lambda: sys.audit("ctypes.dlopen", os.path.abspath("a.bin")), "a.bin"),
    ],
)
@pytest.mark.parametrize("native", [True, False], ids=["inotify", "no inotify"])
def test_a_file_that_is_read(read: Callable[[], Any], file: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tokenizers", raising=False)  # else its from_file may be meant
    _save_all()
    if not native:
        monkeypatch.setattr(watching.Inotify, "drain", lambda self: None)
    seen = watch(read)
    assert names(seen.files) == {file}
    assert seen.files[str(Path(file).absolute())] is not None
    assert seen.reasons == ()


@linux
def test_native_code_is_seen_by_inotify() -> None:
    path = write("sub/folder/data.bin")
    library = ctypes.CDLL(None)

    def run() -> None:
        file = library.open(os.fsencode(path), os.O_RDONLY)
        library.close(file)

    assert names(watch(run).files) == {"sub/folder/data.bin"}


@linux
def test_files_of_hidden_folders_and_environments_are_not_watched() -> None:
    paths = [write(f"{name}/data.bin") for name in (".git", "venv", "site-packages")]
    write("venv/pyvenv.cfg")
    library = ctypes.CDLL(None)
    seen = watch(lambda: [library.close(library.open(os.fsencode(path), os.O_RDONLY)) for path in paths])
    assert seen.files == {}


@linux
def test_more_events_than_the_kernel_keeps() -> None:
    one, other = (os.fsencode(write(name)) for name in ("one", "other"))
    library = ctypes.CDLL(None)

    def run() -> None:
        for _ in range(10_000):
            library.close(library.open(one, os.O_RDONLY))
            library.close(library.open(other, os.O_RDONLY))

    assert watch(run).reasons == ("more files were opened than could be watched",)


def test_what_is_no_dependency(tmp_path: Path) -> None:
    load("mine", "import json\n")

    def run() -> None:
        open(os.__file__).close()
        open(torch.__file__).close()
        open(watching.__file__).close()
        open(os.devnull).close()
        for path in ("/proc/self/status", "/dev/null"):
            if os.path.exists(path):
                open(path).close()
        with open(os.dup(0)):
            pass
        import wave  # noqa: F401 - of the standard library

    seen = watch(run)
    assert (seen.files, seen.stats, seen.reasons) == ({}, {}, ())


def test_this_package_reads_for_the_user_and_writes_its_journal() -> None:
    path = write("a.txt")
    assert names(watch(lambda: digest_of_file(path)).files) == {"a.txt"}
    plugin = str(Path(watching.__file__).parents[2] / "plugin" / "journal.py")
    code = compile("open('a.txt').close(); open('journal', 'w').close()", plugin, "exec")
    seen = watch(lambda: exec(code))
    assert (seen.files, seen.reasons) == ({}, ())


def test_imports_and_the_display_of_source_are_no_reads() -> None:
    load("shown", "def f():\n    raise ValueError\n")
    write("imported.py", "import os\nos.getenv('MODEL_SIZE')\n")
    write("data.txt")
    write("package/__init__.py", "")
    write("package/data.txt")

    def run() -> None:
        importlib.import_module("imported")
        linecache.clearcache()
        linecache.getline("shown.py", 1)

    seen = watch(run)
    assert (seen.files, seen.stats, seen.listings) == ({}, {}, {})
    assert seen.environment.keys() == {"MODEL_SIZE"}
    assert names(watch(lambda: pkgutil.get_data("package", "data.txt")).files) == {"package/data.txt"}


def test_what_an_installed_package_does_when_it_is_imported_is_part_of_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("config.txt")
    lines = (
        "import os",
        "open('config.txt').close()",
        "open('made', 'w').close()",
        "os.getenv('PKG_DEBUG')",
        "os.system('true')",
        "def f(): open('config.txt').close(), os.getenv('PKG_SIZE')",
    )
    write("site-packages/pkg_of_mine.py", "\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    seen = watch(lambda: importlib.import_module("pkg_of_mine"))
    assert (seen.files, seen.environment, seen.reasons) == ({}, {}, ())
    seen = watch(sys.modules["pkg_of_mine"].f)
    assert (names(seen.files), set(seen.environment)) == ({"config.txt"}, {"PKG_SIZE"})


def test_a_missing_file() -> None:
    def run() -> None:
        with contextlib.suppress(FileNotFoundError):
            Path("none.txt").read_text()

    assert watch(run).files == {str(Path("none.txt").absolute()): None}


@pytest.mark.parametrize(
    "listing",
    [
        lambda: os.listdir("data"),
        lambda: list(os.scandir("data")),
        lambda: glob.glob("data/*.csv"),
        lambda: list(Path("data").iterdir()),
        lambda: list(Path("data").glob("*.csv")),
        lambda: list(os.walk("data")),
    ],
)
def test_a_folder_that_is_listed(listing: Callable[[], Any]) -> None:
    write("data/a.csv")
    assert "data" in names(watch(listing).listings)


@pytest.mark.parametrize(
    "look",
    [
        lambda: os.path.exists("a.txt"),
        lambda: os.path.isfile("a.txt"),
        lambda: os.stat("a.txt"),
        lambda: os.lstat("a.txt"),
        lambda: os.access("a.txt", os.R_OK),
        lambda: Path("a.txt").exists(),
        lambda: Path("a.txt").stat(),
        lambda: os.path.getsize("a.txt"),
    ],
)
def test_what_is_looked_up(look: Callable[[], Any]) -> None:
    path = write("a.txt")
    assert watch(look).stats == {str(path): "file of 4 bytes"}
    path.unlink()
    with contextlib.suppress(FileNotFoundError):
        assert watch(look).stats == {str(path): "absent"}


# Writing


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda: open("new.txt", "w").close(), "the training writes new.txt"),
        (lambda: open("new.txt", "x").close(), "the training writes new.txt"),
        (lambda: open("old.txt", "a").close(), "the training writes old.txt"),
        (lambda: open("old.txt", "r+").close(), "the training writes old.txt"),
        (lambda: torch.save({}, "new.pt"), "the training writes new.pt"),
        (lambda: safetensors.torch.save_file({"a": torch.ones(1)}, "new.st"), "the training writes new.st"),
        (lambda: safetensors.numpy.save_file({"a": np.ones(1)}, "new.st"), "the training writes new.st"),
        (lambda: os.mkdir("folder"), "the training makes the folder folder"),
        (lambda: os.makedirs("folder/sub"), "the training makes the folder folder"),
        (lambda: os.rename("old.txt", "new.txt"), "the training writes new.txt"),
        (lambda: os.truncate("old.txt", 0), "the training writes old.txt"),
        (lambda: os.symlink("old.txt", "new.txt"), "the training writes new.txt"),
        (lambda: os.link("old.txt", "new.txt"), "the training writes new.txt"),
        (lambda: os.remove("old.txt"), "the training removes old.txt"),
        (lambda: shutil.copy("old.txt", "new.txt"), "the training writes new.txt"),
        (lambda: shutil.rmtree("old"), "the training removes old"),
        (lambda: os.rmdir("empty"), "the training removes empty"),
    ],
)
def test_what_is_left_behind(run: Callable[[], Any], reason: str) -> None:
    write("old.txt")
    write("old/a/b.txt")
    os.mkdir("empty")
    assert any(said.startswith(reason + ", ") for said in watch(run).reasons)


def _checkpoint() -> None:
    torch.save({"a": torch.ones(1)}, "best.pt")
    torch.load("best.pt")
    os.remove("best.pt")


def _temporary() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sub" / "a.txt"
        path.parent.mkdir()
        path.write_text("")
        path.read_text()
        os.listdir(folder)
        path.exists()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("")
        open(file.name).close()


def _folder() -> None:
    os.mkdir("passing")
    os.rmdir("passing")


def _existing_folder() -> None:
    os.makedirs("sub", exist_ok=True)


@pytest.mark.parametrize("run", [_checkpoint, _temporary, _folder, _existing_folder])
def test_what_comes_and_goes_is_nothing(run: Callable[[], Any]) -> None:
    os.mkdir("sub")
    seen = watch(run)
    assert seen.reasons == ()
    assert {path for path in seen.files if Path(path).exists()} == set()
    assert seen.listings == {}


def test_what_the_run_wrote_itself_is_no_dependency() -> None:
    def run() -> None:
        Path("a.txt").write_text("1")
        Path("a.txt").read_text()
        Path("a.txt").write_text("2")

    seen = watch(run)
    assert (seen.files, seen.unstable) == ({}, ())


def test_a_file_that_changes_meanwhile() -> None:
    path = write("a.txt")

    def run() -> None:
        path.read_text()
        os.utime(path, (1, 1))

    seen = watch(run)
    assert seen.reasons == seen.unstable == ("a.txt changed while the training ran",)


def test_a_file_written_by_somebody_else_before_it_is_read() -> None:
    with Watch() as seen:
        time.sleep(0.02)
        library = ctypes.CDLL(None)
        library.close(library.open(b"a.txt", os.O_CREAT | os.O_WRONLY, 0o644))
        open("a.txt").close()
    assert seen.unstable == ("a.txt was written while the training ran",)


# The environment


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SIZE", "3")
    monkeypatch.delenv("MODEL_DEPTH", raising=False)

    def run() -> None:
        os.getenv("MODEL_SIZE")
        os.environ.get("MODEL_DEPTH")
        assert "MODEL_WIDTH" not in os.environ
        os.environ["MODEL_SET"] = "1"
        assert os.environ["MODEL_SET"] == "1"
        del os.environ["MODEL_SET"]
        os.getenv("COLUMNS")

    seen = watch(run)
    assert seen.environment.keys() == {"MODEL_SIZE", "MODEL_DEPTH", "MODEL_WIDTH"}
    assert [name for name, value in seen.environment.items() if value is None] == ["MODEL_DEPTH", "MODEL_WIDTH"]
    assert seen.environment["MODEL_SIZE"] != "3"
    assert seen.reasons == ()


@posix
def test_variables_as_bytes() -> None:
    assert watch(lambda: os.getenvb(b"MODEL_SIZE")).environment == {"MODEL_SIZE": None}


@pytest.mark.parametrize(
    "read", [lambda: dict(os.environ), lambda: os.environ.copy(), lambda: list(os.environ), lambda: repr(os.environ)]
)
def test_the_whole_environment(read: Callable[[], Any]) -> None:
    assert watch(read).reasons == ("all environment variables were read, of which some differ in every run",)


# What cannot be seen


def _connect() -> None:
    with socket.socket() as connection, contextlib.suppress(OSError):
        connection.connect(("127.0.0.1", 9))


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _process(method: str) -> Callable[[], None]:
    def run() -> None:
        process = multiprocessing.get_context(method).Process(target=time.time)
        with contextlib.suppress(Exception):
            process.start()
            process.join()

    return run


@posix
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda: subprocess.run(["true"], check=True), "another process was started (subprocess: true)"),
        (lambda: os.system("true"), "another process was started (os.system)"),
        (lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0), "(os.posix_spawn: /bin/true)"),
        (_fork, "another process was started (fork)"),
        (_process("fork"), "another process was started (multiprocessing)"),
        (_process("spawn"), "another process was started (multiprocessing)"),
        (lambda: list(torch.utils.data.DataLoader([1, 2], num_workers=1)), "another process was started"),
        (_connect, "the network was used (connect: 127.0.0.1)"),
        (lambda: socket.getaddrinfo("localhost", 80), "the network was used (look-up: localhost)"),
        (lambda: sqlite3.connect(":memory:").close(), "a database was opened (sqlite3: :memory:)"),
    ],
)
def test_what_nobody_can_see(run: Callable[[], Any], reason: str) -> None:
    assert any(reason in said for said in watch(run).reasons)


@pytest.mark.parametrize(
    ("event", "arguments", "reason"),
    [
        ("os.exec", ("/bin/true", ["true"], None), "another process was started (os.exec: /bin/true)"),
        ("os.spawn", (0, "true.exe", [], None), "another process was started (os.spawn: true.exe)"),
        ("os.startfile", ("a.txt", "open"), "another process was started (os.startfile: a.txt)"),
        ("os.forkpty", (), "another process was started (forkpty)"),
        ("pty.spawn", (["sh"],), "another process was started (pty.spawn)"),
        ("_winapi.CreateProcess", ("true.exe", "", None), "another process was started (CreateProcess: true.exe)"),
        ("socket.bind", (None, ("127.0.0.1", 1)), "the network was used (bind: 127.0.0.1)"),
        ("socket.sendto", (None, ("127.0.0.1", 1)), "the network was used (sendto: 127.0.0.1)"),
        ("socket.sendmsg", (None, "/tmp/socket"), "the network was used (sendmsg: /tmp/socket)"),
        ("socket.gethostbyname", ("localhost",), "the network was used (look-up: localhost)"),
        ("urllib.Request", ("http://x", None, {}, "GET"), "the network was used (urllib: http://x)"),
    ],
)
def test_events_that_are_told_as_the_interpreter_would(event: str, arguments: tuple[Any, ...], reason: str) -> None:
    assert [said.partition(",")[0] for said in watch(lambda: sys.audit(event, *arguments)).reasons] == [reason]


@posix
def test_a_process_that_runs_already() -> None:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(30,), name="worker")
    process.start()
    try:
        assert watch(lambda: None).reasons == (
            "another process was running already (worker), whose work cannot be seen",
        )
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize(
    ("module", "source", "call", "reader"),
    [
        ("cv2", "def imread(path): pass", "import cv2\ndef f(): cv2.imread('a')", "cv2.imread"),
        ("lmdb", "def open(path): pass", "import lmdb\ndef f(): lmdb.open('a')", "lmdb.open"),
        ("safetensors", "", "from safetensors import safe_open\ndef f(): safe_open", "safetensors.safe_open"),
    ],
)
def test_native_readers_by_name(
    module: str, source: str, call: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module not in sys.modules:
        stub = ModuleType(module)
        exec(source, vars(stub))
        monkeypatch.setitem(sys.modules, module, stub)
    assert watch(load("user_of_it", call).f).reasons == (f"{reader} reads files by native code, which cannot be seen",)


def test_a_name_of_the_users_own_is_no_native_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))
    assert watch(load("own", "def imread(): pass\ndef f(): imread()").f).reasons == ()


def test_native_readers_by_their_python_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("site-packages/h5py/__init__.py", "def File(path): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    import h5py  # type: ignore[import-not-found]

    seen = watch(lambda: h5py.File("a.h5"))
    assert "h5py reads files by native code, which cannot be seen" in seen.reasons
    assert seen.distributions.keys() == {"h5py"}


# Code


def test_code_that_ran() -> None:
    module = load("code_of", "def f(): return g()\ndef g(): return [x for x in (1,)]\ndef h(): pass\n")
    for _ in range(2):  # a second watch sees it anew
        seen = {code.co_name for code in watch(module.f).code if code.co_filename == module.__file__}
        assert {"f", "g"} <= seen
        assert "h" not in seen


def test_the_tracer_looks_up_places_unseen() -> None:
    module = load("placed", "def f(): pass\n")
    place.cache_clear()
    assert watch(module.f).stats == {}


def test_code_in_another_thread() -> None:
    module = load("threaded", "def f(): pass\n")

    def run() -> None:
        thread = threading.Thread(target=module.f)
        thread.start()
        thread.join()

    assert module.f.__code__ in watch(run).code


def test_a_generator_that_began_before() -> None:
    generator = load("generating", "def f():\n    yield 1\n    yield 2\n").f()
    next(generator)
    assert generator.gi_code in watch(lambda: next(generator)).code


def test_distributions_whose_code_ran() -> None:
    import yaml

    assert watch(lambda: yaml.safe_load("a: 1")).distributions.keys() >= {"pyyaml"} or yaml.__version__
    assert {name.lower() for name in watch(lambda: yaml.safe_load("a: 1")).distributions} >= {"pyyaml"}


def test_after_the_first_epoch() -> None:
    module = load("epochs", "def f(): pass\ndef g(): pass\n")
    with Watch() as seen:
        module.f()
        seen.first_epoch_over()
        assert sys.getprofile() is None
        module.g()
        seen.first_epoch_over()
    assert module.f.__code__ in seen.code
    assert (module.g.__code__ in seen.code) == (sys.version_info >= (3, 12))


def test_an_active_profiler_is_kept() -> None:
    def profile(frame: Any, event: str, argument: Any) -> None:
        pass

    sys.setprofile(profile)
    try:
        seen = watch(lambda: None)
        assert sys.getprofile() is profile
    finally:
        sys.setprofile(None)
    expected = (
        () if sys.version_info >= (3, 12) else ("another profiler is active, so that it cannot be seen which code ran",)
    )
    assert seen.reasons == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring")
def test_tool_ids_in_use() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    module = load("tools", "def f(): pass\n")
    taken = []
    try:
        for tool in (4, 3):
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, "test")
                taken.append(tool)
        assert module.f.__code__ in watch(module.f).code
        for tool in (0, 5):
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, "test")
                taken.append(tool)
        assert watch(module.f).reasons == (
            "every tool id of sys.monitoring is in use, so that it cannot be seen which code ran",
        )
    finally:
        for tool in taken:
            monitoring.free_tool_id(tool)


def test_coverage_and_debuggers_keep_their_trace() -> None:
    traced = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        traced.append(frame.f_code.co_name)

    before = sys.gettrace()
    module = load("tracing", "def f(): pass\n")
    sys.settrace(trace)
    try:
        with Watch() as seen:
            module.f()
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert "f" in traced
    assert module.f.__code__ in seen.code


# Several at once, and nothing left


def test_nested_watches_both_see_what_happens_inside() -> None:
    module = load("nested", "def before(): pass\ndef inside(): pass\ndef after(): pass\n")
    for name in ("a", "b", "c"):
        write(name)
    with Watch() as outer:
        open("a").close()
        module.before()
        module.inside()
        with Watch() as inner:
            open("b").close()
            os.getenv("MODEL_SIZE")
            module.inside()
        open("c").close()
        module.after()
    assert names(outer.files) == {"a", "b", "c"}
    assert names(inner.files) == {"b"}
    assert outer.environment == inner.environment == {"MODEL_SIZE": None}
    assert {code.co_name for code in outer.code} >= {"before", "inside", "after"}
    assert {"before", "after"} & {code.co_name for code in inner.code} == set()
    assert module.inside.__code__ in inner.code


def test_watches_in_threads() -> None:
    module = load("parallel", "def f(path): open(path).close()\n")
    for number in range(4):
        write(f"{number}.txt")
    barrier, seen = threading.Barrier(4), {}

    def run(number: int) -> None:
        with Watch() as watched:
            barrier.wait()
            module.f(f"{number}.txt")
            barrier.wait()
        seen[number] = watched

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert f"{number}.txt" in names(seen[number].files)
        assert module.f.__code__ in seen[number].code


def state() -> tuple[Any, ...]:
    tools = [sys.monitoring.get_tool(i) for i in range(6)] if sys.version_info >= (3, 12) else []
    sets = [
        set(s) for s in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids)
    ]
    return (
        type(os.environ), os.stat, os.lstat, os.access, os.open, builtins.open, sets, tools,
        sys.getprofile(), threading.getprofile(), importlib.import_module, multiprocessing.process.BaseProcess.start,
        torch.from_file, torch.serialization._open_zipfile_writer, "from_file" in vars(torch.UntypedStorage),
        safetensors.safe_open, safetensors.torch.safe_open, watching._active, executed._listeners,
        len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None,
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["well", "by an error", "by an interrupt", "after the first epoch"])
def test_nothing_stays(ending: str) -> None:
    watch(lambda: None)
    before = state()
    error = {"by an error": ValueError, "by an interrupt": KeyboardInterrupt}.get(ending)
    with contextlib.suppress(ValueError, KeyboardInterrupt), Watch() as seen, Watch():
        assert type(os.environ).__name__ == "RecordingEnviron"
        if ending == "after the first epoch":
            seen.first_epoch_over()
        if error is not None:
            raise error
    assert state() == before


def test_the_profilers_of_new_threads_stay() -> None:
    def profile(frame: Any, event: str, argument: Any) -> None:
        pass

    threading.setprofile(profile)
    try:
        watch(lambda: None)
        assert threading.getprofile() is profile
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]


def test_nothing_stays_when_it_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    before = state()

    def fail(tell: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(watching.stand_ins, "StandIns", fail)
        with pytest.raises(RuntimeError):
            Watch().__enter__()
    assert state() == before


def test_modules_first_imported_in_a_run_find_everything_in_place() -> None:
    """shutil asks for `os.stat in os.supports_dir_fd` when it is imported."""
    script = "import sys; sys.path[:0] = {path!r}\nfrom pytest_modelgate.runtime.cache.watching import Watch\n"
    script += "import os\nfor name in ('shutil', 'tempfile'): sys.modules.pop(name, None)\n"
    script += "with Watch():\n    import shutil\nprint(shutil._use_fd_functions)"
    run = [sys.executable, "-c", script.format(path=sys.path)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == str(
        getattr(shutil, "_use_fd_functions", None)
    )


def test_the_idle_hook_notes_nothing() -> None:
    seen = watch(lambda: None)
    open(write("later.txt")).close()
    os.getenv("MODEL_SIZE")
    assert (seen.files, seen.environment, seen.reasons) == ({}, {}, ())
