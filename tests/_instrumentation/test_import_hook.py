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
    """A folder that modules are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [each for each in sys.modules if each.startswith("lupis_test_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def hook(monkeypatch):
    """Installs a hook, and gives what it called back with."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    called = []

    def install(*names):
        ImportHook(dict.fromkeys(names or (NAME,), called.append)).install()
        return called

    return install


def write(folder, name=NAME, text="value = 1"):
    """Makes a module."""
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()


def test_it_calls_back_with_the_module(folder, hook):
    """When all of it is there."""
    write(folder)
    (module,) = hook() or [importlib.import_module(NAME)]
    assert (sys.modules[NAME], 1) == (module, module.value)


def test_it_calls_back_each_time_that_the_module_is_executed(folder, hook):
    """A program may drop it and import it again."""
    write(folder)
    called = hook()
    first = importlib.import_module(NAME)
    assert first is importlib.import_module(NAME)
    del sys.modules[NAME]
    assert [first, importlib.import_module(NAME)] == called
    assert called[0] is not called[1]


def test_finders_that_wrap_all_there_are_find_the_module(folder, hook):
    """Ours among them, which must not go on asking itself."""

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


def test_it_leaves_other_modules_alone(folder, hook):
    """They are found without it."""
    write(folder, OTHER)
    called = hook()
    importlib.import_module(OTHER)
    assert [] == called


def test_it_calls_back_at_once_for_what_is_loaded(folder, hook):
    """The program may have imported it before."""
    write(folder)
    module = importlib.import_module(NAME)
    assert [module] == hook()


def test_a_module_that_is_not_there_is_not_there(folder, hook):
    """Its import fails as it would."""
    hook()
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)


def test_looking_for_a_module_does_not_call_back(folder, hook):
    """It may never be imported."""
    write(folder)
    called = hook()
    assert NAME == importlib.util.find_spec(NAME).name
    assert [] == called
    importlib.import_module(NAME)
    assert 1 == len(called)


def test_the_loader_is_as_it_was(folder, hook):
    """Nothing of ours stays on it."""
    write(folder)
    hook()
    loader = importlib.import_module(NAME).__spec__.loader
    assert "exec_module" not in vars(loader)
    assert "_frozen_importlib_external" == type(loader).__module__


def failure():
    """The traceback of a failing import."""
    try:
        __import__(NAME)
    except Exception:
        return traceback.format_exc()
    return None


@pytest.mark.parametrize("text", ["import nowhere", "1 / 0", "1 +"])
def test_a_failing_module_fails_the_same(folder, hook, text):
    """With the same traceback; and calls back when it loads at last."""
    write(folder, text=text)
    bare = failure()
    called = hook()
    assert (bare, []) == (failure(), called)
    write(folder, text="value = 'loaded'")
    importlib.import_module(NAME)
    assert ["loaded"] == [module.value for module in called]


def test_a_module_that_replaces_itself_is_what_we_get(folder, hook):
    """As the program does."""
    write(folder, text=f"import sys, types\nsys.modules[{NAME!r}] = types.SimpleNamespace(value=2)")
    called = hook()
    importlib.import_module(NAME)
    assert [2] == [module.value for module in called]


def test_a_module_that_takes_itself_out_is_no_trouble(folder, hook):
    """Its import fails as it would, by the import system's own hand."""
    write(folder, text=f"import sys\ndel sys.modules[{NAME!r}]")
    bare = failure()
    called = hook()
    assert (bare, []) == (failure(), called)


def test_a_module_that_another_imports_calls_back(folder, hook):
    """Also where both are waited for."""
    write(folder, text=f"import {OTHER}")
    write(folder, OTHER)
    called = hook(NAME, OTHER)
    importlib.import_module(NAME)
    assert [OTHER, NAME] == [module.__name__ for module in called]


def test_modules_in_a_zip_file_call_back(folder, hook, monkeypatch):
    """They share one loader."""
    with zipfile.ZipFile(folder / "lib.zip", "w") as archive:
        archive.writestr(f"{NAME}.py", f"import {OTHER}")
        archive.writestr(f"{OTHER}.py", "")
    monkeypatch.syspath_prepend(str(folder / "lib.zip"))
    called = hook(NAME, OTHER)
    importlib.util.find_spec(OTHER)
    loader = importlib.import_module(NAME).__spec__.loader
    assert [OTHER, NAME] == [module.__name__ for module in called]
    assert {} == {name: value for name, value in vars(loader).items() if callable(value)}


def test_a_lazily_loaded_module_calls_back_when_it_is_used(folder, hook):
    """`importlib.util.LazyLoader` loads it with the first attribute."""
    write(folder)
    called = hook()
    spec = importlib.util.find_spec(NAME)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    assert [] == called
    assert (1, [module]) == (module.value, called)


def test_a_withheld_module_is_not_there(folder, hook, monkeypatch):
    """For one thread; for another it is."""
    write(folder)
    hook()
    monkeypatch.setattr(import_hook, "withheld_modules", {(threading.get_ident(), NAME)})
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)
    with ThreadPoolExecutor() as other:
        assert 1 == other.submit(importlib.import_module, NAME).result().value


class Finder:
    """Finds the module, for one of the loaders below."""

    def __init__(self, loader):
        self.loader = loader

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self.loader) if name.startswith("lupis_test_") else None


class Frozen:
    """A loader that is a class, as those of frozen and built-in modules are."""

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        module.value = "frozen"


class Inherited(Frozen):
    """One that has its methods from another class."""


class Bare:
    """A loader that takes no attributes."""

    __slots__ = ()

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.value = "bare"


@pytest.mark.parametrize("loader", [Frozen, Inherited])
def test_a_loader_that_is_a_class_calls_back(folder, hook, monkeypatch, loader):
    """And is as it was."""
    before = dict(vars(loader))
    called = hook()
    sys.meta_path.insert(1, Finder(loader))
    importlib.import_module(OTHER)
    importlib.import_module(NAME)
    assert (["frozen"], before) == ([module.value for module in called], dict(vars(loader)))


def test_a_loader_that_takes_no_attributes_loads(folder, hook):
    """Its module stays unwatched."""
    called = hook()
    sys.meta_path.insert(1, Finder(Bare()))
    assert ("bare", []) == (importlib.import_module(NAME).value, called)


def test_a_namespace_package_is_no_trouble(folder, hook):
    """There is nothing to execute."""
    (folder / NAME).mkdir()
    importlib.invalidate_caches()
    hook()
    assert [str(folder / NAME)] == list(importlib.import_module(NAME).__path__)


def test_finders_of_the_old_kind_are_passed_over(folder, hook):
    """They have no `find_spec`."""
    write(folder)
    called = hook()
    sys.meta_path.insert(1, object())
    importlib.import_module(NAME)
    assert 1 == len(called)
