"""The pages: the reference has every public module, and what they refer to is there."""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path

import pytest
from programs import ROOT

import wtransport

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

# What the reference shows as a whole elsewhere: the root is a table in its index, the version one of its facts.
WITHOUT_PAGE = {"version"}


def test_the_reference_has_every_public_module() -> None:
    described = set()
    for page in (DOCS / "reference").glob("*.md"):
        described |= set(re.findall(r"^\.\. (?:auto|py:)module:: wtransport\.(\S+)$", page.read_text(), re.MULTILINE))
    public = {each.name for each in pkgutil.iter_modules(wtransport.__path__) if not each.name.startswith("_")}
    assert described == public - WITHOUT_PAGE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_shows_only_what_is_there(page: Path) -> None:
    # The build finds these as well; here they are found without Sphinx.
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"^```\{literalinclude\} (\S+)$", text, re.MULTILINE):
        assert (page.parent / target).is_file(), target
    for target in re.findall(r"\{doc\}`(?:[^<`]*<)?([^>`]+)>?`", text):
        assert (page.parent / f"{target}.md").is_file(), target
    shown = re.findall(r"^```\{literalinclude\} (\S+)\n:language: \S+\n:pyobject: (\S+)$", text, re.MULTILINE)
    for target, name in shown:
        source = (page.parent / target).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async def|def|class) {name}\b", source, re.MULTILINE), f"{name} in {target}"


def test_every_example_is_shown_by_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for example in (DOCS / "examples").rglob("*.py"):
        assert f"examples/{example.relative_to(DOCS / 'examples')}" in text, example


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_python_on_a_page_is_python(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
