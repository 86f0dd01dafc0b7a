"""What a program can import, from either name, and what that loads."""

import subprocess
import sys
from pathlib import Path

import pytest

import lupis_instrument
import lupislabs

NAMES = (
    "LupisBlockOptions",
    "LupisConfig",
    "LupisConfigError",
    "LupisError",
    "LupisLaunchError",
    "LupisMetadata",
    "LupisSDK",
    "LupisUsageError",
    "__version__",
)


def modules_after(code):
    """The modules a fresh interpreter has loaded after `code`."""
    show = f"{code}\nimport sys; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_all_names_what_is_public():
    """No more, no less."""
    assert set(NAMES) == set(lupis_instrument.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_both_imports_give_the_same_object(name):
    """`lupislabs` is another name for the same things."""
    assert getattr(lupis_instrument, name) is getattr(lupislabs, name)


def test_both_packages_name_the_same():
    """Whatever is added to one is added to the other."""
    assert lupis_instrument.__all__ == lupislabs.__all__


def test_dir_lists_names_before_they_are_loaded():
    """Completion in a shell finds them."""
    code = "import lupis_instrument; print(*dir(lupis_instrument))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(NAMES) <= set(done.stdout.split())


def test_an_unknown_name_is_an_attribute_error():
    """With the message any module gives."""
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
def test_importing_loads_no_opentelemetry_and_no_client(code):
    """Neither import is dear, and neither has a side effect."""
    heavy = ("opentelemetry", "requests", "httpx", "aiohttp", "urllib3", "http.client", "click")
    loaded = modules_after(code)
    assert [] == sorted(name for name in loaded if name.split(".")[0] in heavy or name in heavy)


def test_importing_the_package_loads_none_of_it():
    """Each name is loaded when it is asked for."""
    loaded = modules_after("import lupis_instrument")
    assert {"lupis_instrument"} == {name for name in loaded if name.startswith("lupis")}


@pytest.mark.parametrize("package", [lupis_instrument, lupislabs])
def test_types_are_for_others_too(package):
    """PEP 561: a marker file says that the package is typed."""
    assert Path(package.__file__).with_name("py.typed").is_file()
