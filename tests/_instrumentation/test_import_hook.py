"""The import hook calls back when a module has been imported, and changes nothing else."""

import importlib
import importlib.util
import sys
import threading
import traceback
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec

import pytest

from lupis_instrument._instrumentation import import_hook
from lupis_instrument._instrumentation.import_hook import ImportHook

NAME = "lupis_test_client"
OTHER = "lupis_test_other"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder from which modules are imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("lupis_test_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def hook(monkeypatch):
    """Installs a hook and returns the list of modules that it called back with."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    called = []

    def install(*names):
        ImportHook(dict.fromkeys(names or (NAME,), called.append)).install()
        return called

    return install


def write(folder, name=NAME, text="value = 1"):
    """Write the source of a module."""
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()


def test_calls_back_with_the_loaded_module(folder, hook):
    """The module has been executed by then."""
    write(folder)
    (module,) = hook() or [importlib.import_module(NAME)]
    assert (sys.modules[NAME], 1) == (module, module.value)


def test_calls_back_after_each_execution(folder, hook):
    """A program may drop a module and import it again."""
    write(folder)
    called = hook()
    first = importlib.import_module(NAME)
    assert first is importlib.import_module(NAME)
    del sys.modules[NAME]
    assert [first, importlib.import_module(NAME)] == called
    assert called[0] is not called[1]


def test_finders_that_wrap_the_hook_find_the_module(folder, hook):
    """The hook does not ask the finder that asks it."""

    class Around:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, path=None, target=None):
            return self.finder.find_spec(name, path, target)

    write(folder)
    called = hook()
    before = sys.meta_path[:]
    sys.meta_path[:] = [Around(finder) for finder in before]
    try:
        module = importlib.import_module(NAME)
    finally:
        sys.meta_path[:] = before
    assert [module] == called


def test_other_modules_are_not_watched(folder, hook):
    """A module that is not named calls nothing back."""
    write(folder, OTHER)
    called = hook()
    importlib.import_module(OTHER)
    assert [] == called


def test_calls_back_at_once_for_a_loaded_module(folder, hook):
    """The program may have imported it before."""
    write(folder)
    module = importlib.import_module(NAME)
    assert [module] == hook()


def test_missing_module_is_an_import_error(folder, hook):
    """The import fails as it does without the hook."""
    hook()
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)


def test_finding_a_spec_does_not_call_back(folder, hook):
    """The module may never be imported."""
    write(folder)
    called = hook()
    assert NAME == importlib.util.find_spec(NAME).name
    assert [] == called
    importlib.import_module(NAME)
    assert 1 == len(called)


def test_loader_is_restored(folder, hook):
    """It has its own class and method after the import."""
    write(folder)
    hook()
    loader = importlib.import_module(NAME).__spec__.loader
    assert "exec_module" not in vars(loader)
    assert "_frozen_importlib_external" == type(loader).__module__


def import_traceback():
    """Return the traceback of a failing import."""
    try:
        __import__(NAME)
    except Exception:
        return traceback.format_exc()
    return None


@pytest.mark.parametrize("text", ["import nowhere", "1 / 0", "1 +"])
def test_failing_module_has_the_same_traceback(folder, hook, text):
    """The hook calls back when the module loads at last."""
    write(folder, text=text)
    without_hook = import_traceback()
    called = hook()
    assert (without_hook, []) == (import_traceback(), called)
    write(folder, text="value = 'loaded'")
    importlib.import_module(NAME)
    assert ["loaded"] == [module.value for module in called]


def test_calls_back_with_the_replacement_of_a_module(folder, hook):
    """A module may put another object into `sys.modules`."""
    write(folder, text=f"import sys, types\nsys.modules[{NAME!r}] = types.SimpleNamespace(value=2)")
    called = hook()
    importlib.import_module(NAME)
    assert [2] == [module.value for module in called]


def test_module_that_removes_itself_calls_nothing_back(folder, hook):
    """The import system raises the same error as without the hook."""
    write(folder, text=f"import sys\ndel sys.modules[{NAME!r}]")
    without_hook = import_traceback()
    called = hook()
    assert (without_hook, []) == (import_traceback(), called)


def test_module_imported_by_a_watched_module_calls_back(folder, hook):
    """Both are watched, and the inner one is loaded first."""
    write(folder, text=f"import {OTHER}")
    write(folder, OTHER)
    called = hook(NAME, OTHER)
    importlib.import_module(NAME)
    assert [OTHER, NAME] == [module.__name__ for module in called]


def test_modules_in_a_zip_file_call_back(folder, hook, monkeypatch):
    """All modules of a zip file share one loader."""
    with zipfile.ZipFile(folder / "lib.zip", "w") as archive:
        archive.writestr(f"{NAME}.py", f"import {OTHER}")
        archive.writestr(f"{OTHER}.py", "")
    monkeypatch.syspath_prepend(str(folder / "lib.zip"))
    called = hook(NAME, OTHER)
    importlib.util.find_spec(OTHER)
    loader = importlib.import_module(NAME).__spec__.loader
    assert [OTHER, NAME] == [module.__name__ for module in called]
    assert {} == {name: value for name, value in vars(loader).items() if callable(value)}


def test_lazily_loaded_module_calls_back_when_it_is_used(folder, hook):
    """`importlib.util.LazyLoader` loads it at the first access of an attribute."""
    write(folder)
    called = hook()
    spec = importlib.util.find_spec(NAME)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    assert [] == called
    assert (1, [module]) == (module.value, called)


def test_withheld_module_is_missing_in_one_thread(folder, hook, monkeypatch):
    """Another thread finds it."""
    write(folder)
    hook()
    monkeypatch.setattr(import_hook, "withheld_modules", {(threading.get_ident(), NAME)})
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)
    with ThreadPoolExecutor() as other:
        assert 1 == other.submit(importlib.import_module, NAME).result().value


class Finder:
    """Finds the test's modules for one of the loaders below."""

    def __init__(self, loader):
        self.loader = loader

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self.loader) if name.startswith("lupis_test_") else None


class FrozenLoader:
    """A loader that is a class, like the loaders of frozen and built-in modules."""

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        module.value = "frozen"


class InheritingLoader(FrozenLoader):
    """A loader that is a class and inherits its methods."""


class SlottedLoader:
    """A loader that takes no attributes."""

    __slots__ = ()

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.value = "without_hook"


@pytest.mark.parametrize("loader", [FrozenLoader, InheritingLoader])
def test_loader_that_is_a_class_calls_back(folder, hook, monkeypatch, loader):
    """The class is the same as before afterwards."""
    before = dict(vars(loader))
    called = hook()
    sys.meta_path.insert(1, Finder(loader))
    importlib.import_module(OTHER)
    importlib.import_module(NAME)
    assert (["frozen"], before) == ([module.value for module in called], dict(vars(loader)))


def test_loader_without_attributes_loads(folder, hook):
    """Its module is not watched."""
    called = hook()
    sys.meta_path.insert(1, Finder(SlottedLoader()))
    assert ("without_hook", []) == (importlib.import_module(NAME).value, called)


def test_namespace_package_is_imported(folder, hook):
    """It has no module to execute."""
    (folder / NAME).mkdir()
    importlib.invalidate_caches()
    hook()
    assert [str(folder / NAME)] == list(importlib.import_module(NAME).__path__)


def test_finder_without_find_spec_is_skipped(folder, hook):
    """Such finders work with Python before 3.12 only."""
    write(folder)
    called = hook()
    sys.meta_path.insert(1, object())
    importlib.import_module(NAME)
    assert 1 == len(called)


def test_a_loaded_module_of_this_package_is_not_loaded_again(hook):
    """A program may drop modules from `sys.modules`; a second copy would have its own state."""
    hook()
    name = import_hook.__name__
    spec = import_hook.__spec__
    package = sys.modules.pop(name.rpartition(".")[0])
    del sys.modules[name]
    assert import_hook is importlib.import_module(name)
    assert package is sys.modules[package.__name__]
    assert spec is import_hook.__spec__


def test_an_unknown_module_of_this_package_is_not_found(hook):
    """Nor is an attribute that is no module."""
    hook()
    for name in ("lupis_instrument._missing", "lupis_instrument._version.__version__"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
