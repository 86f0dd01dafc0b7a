"""The files of the page: their size, their checksums, and rules that keep the page safe."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

import lupis_instrument

STATIC = Path(lupis_instrument.__file__).parent / "_viewer" / "static"
VENDOR = STATIC / "vendor"
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js" and VENDOR not in path.parents]
MAX_BYTES = 150_000


def test_all_files_together_are_small():
    """The page has at most 150 kB, licences included."""
    assert MAX_BYTES >= sum(path.stat().st_size for path in FILES)


def test_vendored_files_are_unchanged():
    """Each vendored file has the checksum that the list gives, and the list names all files."""
    lines = (VENDOR / "CHECKSUMS.sha256").read_text().splitlines()
    listed = {name: checksum for checksum, name in (line.split() for line in lines)}
    actual = {
        path.relative_to(VENDOR).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in FILES
        if VENDOR in path.parent.parents
    }
    assert listed == actual


def test_vendored_packages_have_their_licences():
    """The folder of each vendored package has a licence."""
    folders = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert folders
    assert all(list(folder.glob("LICENSE*")) for folder in folders)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_text_only(path):
    """No script writes markup, runs text as code, or names another server."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|eval\(|https?://"
    )
    assert not re.findall(forbidden, path.read_text(encoding="utf-8"))


def test_page_has_nothing_inline():
    """The page has no script, style or handler of its own, which its policy would refuse."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|<script>|https?://", text)


def test_page_names_all_modules():
    """The browser loads all modules at once, for the page names each of them."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:href|src)="/static/(.*?\.js)"', text))
    assert {path.relative_to(STATIC).as_posix() for path in FILES if path.suffix == ".js"} == named
