"""Starts Lupis Instrument in this process, then runs the sitecustomize that this one shadows.

Any Python below `lupis-run` runs this file, even one that cannot run the package: the file uses
only syntax that Python 2.7 can read.
"""

import os
import sys


def _start_instrument(folder):
    """Start instrumentation; an error becomes one line on stderr, and the program runs on."""
    borrowed = False
    try:
        try:
            from lupis_instrument._runtime import bootstrap
        except ImportError:
            borrowed = _borrow_packages()
            if not borrowed:
                return
            from lupis_instrument._runtime import bootstrap
        bootstrap.leave_children_alone(folder, os.environ)
        bootstrap.start(lent=borrowed)
    except Exception as error:
        _write_warning("cannot start (%s); the program runs uninstrumented" % type(error).__name__)


def _borrow_packages():
    """Make the launcher's package importable; returns whether this is possible.

    Only an interpreter of the launcher's kind and version can import it.
    """
    tag, _, folders = os.environ.get("LUPIS_LAUNCHER_SITE", "").partition(":")
    own_tag = "%s-%d.%d" % ((sys.implementation.name,) + sys.version_info[:2])
    if tag == own_tag and folders:
        folders = folders.split(os.pathsep)
        sys.path.append(folders[0])
        try:
            from lupis_instrument._process import lending
        finally:
            sys.path.pop()
        lending.lend_packages(folders)
        return True
    text = "%s has no lupis_instrument; to instrument it: %s -m pip install lupis-instrument"
    _write_warning(text % (sys.executable, sys.executable))
    return False


def _write_warning(message):
    try:
        sys.stderr.write("lupis: warning: %s\n" % message)
    except Exception:
        pass  # stderr is closed or full


def _run_shadowed(own_folder):
    """Run the next sitecustomize on sys.path, as Python would have done without this one."""
    sys.path[:] = [folder for folder in sys.path if os.path.normpath(folder) != own_folder]
    own_module = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        # The import system looks the module up again after it has run, so some module has to be
        # there under this name.
        sys.modules.setdefault("sitecustomize", own_module)


_folder = os.path.dirname(os.path.abspath(__file__))
_start_instrument(_folder)
_run_shadowed(_folder)
