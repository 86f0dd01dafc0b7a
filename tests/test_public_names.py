"""The public names of both packages, and the modules that importing them loads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lupis_instrument
import lupislabs
from lupis_instrument import LupisUsageError

TOP_LEVEL = Path(lupis_instrument.__file__).parent / "_lupislabs" / "top_level"
ALIAS = TOP_LEVEL / "lupislabs.py"

NAMES = (
    "LupisBlockOptions",
    "LupisBudgetError",
    "LupisConfig",
    "LupisConfigError",
    "LupisError",
    "LupisLaunchError",
    "LupisMetadata",
    "LupisSDK",
    "LupisUsageError",
    "__version__",
)


def modules_loaded_by(code):
    """The modules that a fresh interpreter has loaded after `code`."""
    show = f"{code}\nimport sys; print(*sorted(sys.modules), sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_all_has_the_public_names():
    """`__all__` lists these names and no others."""
    assert set(NAMES) == set(lupis_instrument.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_both_packages_have_the_same_objects(name):
    """`lupislabs` is another name for the same objects."""
    assert getattr(lupis_instrument, name) is getattr(lupislabs, name)


def test_both_packages_have_the_same_names():
    """The two packages list the same names in the same order."""
    assert lupis_instrument.__all__ == lupislabs.__all__


def test_dir_lists_names_before_they_are_loaded():
    """Completion in a shell shows names that are not loaded yet."""
    code = "import lupis_instrument; print(*dir(lupis_instrument))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(NAMES) <= set(result.stdout.split())


def test_unknown_name_is_an_attribute_error():
    """The message is the one of every module."""
    with pytest.raises(AttributeError, match="module 'lupis_instrument' has no attribute 'nope'"):
        _ = lupis_instrument.nope


@pytest.mark.parametrize(
    "code",
    [
        "import lupis_instrument",
        "from lupis_instrument import LupisSDK, LupisConfig, LupisMetadata, LupisBlockOptions",
        "import lupis_instrument.sdk",
        "import lupislabs",
        "from lupis_instrument import LupisSDK; LupisSDK.get_instance()",
    ],
)
def test_import_loads_neither_opentelemetry_nor_clients(code):
    """An import is fast and has no side effect."""
    heavy = ("opentelemetry", "requests", "httpx", "aiohttp", "urllib3", "http.client", "click")
    loaded = modules_loaded_by(code)
    assert [] == sorted(name for name in loaded if name.split(".")[0] in heavy or name in heavy)


def test_import_loads_no_module_of_the_package():
    """A name is loaded when it is first used."""
    loaded = modules_loaded_by("import lupis_instrument")
    assert {"lupis_instrument"} == {name for name in loaded if name.startswith("lupis")}


def test_both_names_are_typed():
    """A marker file or a stub says that a package has types (PEP 561)."""
    assert (Path(lupis_instrument.__file__).parent / "py.typed").is_file()
    stub = (TOP_LEVEL / "lupislabs-stubs" / "__init__.pyi").read_text()
    assert [] == [name for name in NAMES if f" import {name} as {name}\n" not in stub]


@pytest.mark.parametrize(("earlier", "file"), [(True, "lupislabs"), (False, "_lupislabs")])
def test_earlier_package_and_this_one_share_no_file(earlier, file, tmp_path):
    """Python takes the folder of the earlier package; without it, the module of this one."""
    shutil.copy(ALIAS, tmp_path)
    if earlier:
        (tmp_path / "lupislabs").mkdir()
        (tmp_path / "lupislabs" / "__init__.py").touch()
    code = "import pathlib, lupislabs; print(pathlib.Path(lupislabs.__file__).parent.name)"
    paths = os.pathsep.join([str(tmp_path), str(ALIAS.parent)])
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": paths}
    result = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert f"{file}\n" == result.stdout


def test_modules_of_the_earlier_package_can_be_imported():
    """They have the names that the earlier package had there."""
    from lupislabs.sdk import LupisSDK
    from lupislabs.types import LupisConfig

    assert (lupis_instrument.LupisSDK, lupis_instrument.LupisConfig) == (LupisSDK, LupisConfig)


@pytest.mark.parametrize("name", ["LupisEvent", "LupisTracer", "SensitiveDataFilter"])
def test_class_that_cannot_work_names_its_replacement(name):
    """It can be imported, but not used."""
    with pytest.raises(LupisUsageError, match=f"lupislabs.{name} is not available: use Lupis"):
        getattr(lupislabs, name)("argument")
