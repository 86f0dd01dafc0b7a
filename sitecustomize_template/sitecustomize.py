"""Starts Lupis Instrument in this process, then runs the sitecustomize that this one shadows."""

import os
import sys


def _start(folder):
    """Start ours; whatever goes wrong is one line on stderr."""
    borrowed = False
    try:
        try:
            from lupis_instrument._runtime import bootstrap as _bootstrap
        except ImportError:
            borrowed = _borrow()
            if not borrowed:
                return
            from lupis_instrument._runtime import bootstrap as _bootstrap
        _bootstrap.leave_children_alone(folder, os.environ)
        _bootstrap.start(borrowed=borrowed)
    except Exception as fault:
        _say("cannot start (%s); the program runs uninstrumented" % type(fault).__name__)


def _borrow():
    """Append the launcher's own packages to sys.path, last, if this interpreter can use them."""
    tag, _, places = os.environ.get("LUPIS_LAUNCHER_SITE", "").partition(":")
    mine = "%s-%d.%d" % ((sys.implementation.name,) + sys.version_info[:2])
    if tag == mine and places:
        sys.path += [place for place in places.split(os.pathsep) if place not in sys.path]
        return True
    text = "%s has no lupis_instrument; to instrument it: %s -m pip install lupis-instrument"
    _say(text % (sys.executable, sys.executable))
    return False


def _say(message):
    try:
        sys.stderr.write("lupis: warning: %s\n" % message)
    except Exception:
        pass  # no stderr: nowhere to say it


def _chain(folder):
    """Run the next sitecustomize on sys.path as Python would have done without ours."""
    sys.path[:] = [place for place in sys.path if os.path.normpath(place) != folder]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as fault:
        if getattr(fault, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        # The import system looks for this module once more when it has run.
        sys.modules.setdefault("sitecustomize", ours)


_folder = os.path.dirname(os.path.abspath(__file__))
_start(_folder)
_chain(_folder)
