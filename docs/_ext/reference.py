"""What the reference needs beyond autodoc: fields of configurations, plain constants, docstrings taken as meant.

``.. config-fields:: ClientConfig`` describes each field of a configuration class, inherited ones as well, with its
type, default and meaning; autodoc leaves out inherited fields whose default is made by a factory.

``.. plain-names:: wtransport.constants`` describes the public names of a module that are neither classes nor functions,
numbers and aliases of types, which autodoc leaves out where they come from another module.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import ssl
from abc import ABC
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any, ClassVar, Generic, get_origin

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from wtransport import config

__all__ = ["ConfigFields", "PlainNames", "setup"]


class ConfigFields(SphinxDirective):
    """The fields of one configuration class, those of its own first."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Return one attribute description for each field."""
        kind = getattr(config, self.arguments[0])
        meanings = ModuleAnalyzer.for_module(config.__name__).find_attr_docs()
        lines = []
        for each in fields(kind):
            owner = next(base for base in kind.__mro__ if each.name in inspect.get_annotations(base))
            default = (
                each.default_factory() if each.default is MISSING and callable(each.default_factory) else each.default
            )
            lines += [
                f".. py:attribute:: {kind.__name__}.{each.name}",
                f"   :type: {each.type}",
                f"   :value: {_shown(default)}",
                "",
                *(f"   {line}" for line in meanings[owner.__name__, each.name]),
                "",
            ]
        return _parsed(self, config.__name__, lines)


class PlainNames(SphinxDirective):
    """The numbers, texts and type aliases of a module; of a package those in its modules, too."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Return one description for each name."""
        module = importlib.import_module(self.arguments[0])
        meanings = {}
        for source in (module.__name__, *_submodules(module)):
            for (owner, name), meaning in ModuleAnalyzer.for_module(source).find_attr_docs().items():
                if not owner:
                    meanings[name] = meaning
        lines = []
        for name in module.__all__:
            value = getattr(module, name)
            if getattr(value, "__name__", None) == name and value.__module__.startswith("wtransport."):
                continue  # a class or function of our own: autodoc has it
            lines += [f".. py:data:: {name}", f"   :value: {_shown(value)}", ""]
            lines += [f"   {line}" for line in meanings.get(name, [])] + [""]
        return _parsed(self, module.__name__, lines)


def _submodules(module: ModuleType) -> list[str]:
    return [f"{module.__name__}.{each.name}" for each in pkgutil.iter_modules(getattr(module, "__path__", []))]


def _parsed(directive: SphinxDirective, module: str, lines: list[str]) -> list[nodes.Node]:
    directive.env.ref_context["py:module"] = module
    source, _ = directive.get_source_info()
    holder = nodes.Element()
    directive.state.nested_parse(StringList(lines, source), directive.content_offset, holder)
    return holder.children


def _shown(value: Any) -> str:
    if isinstance(value, ssl.VerifyMode):
        return f"ssl.{value.name}"
    if inspect.isclass(value) and not get_origin(value):
        return value.__name__
    return repr(value).replace("typing.", "").replace("collections.abc.", "")


def keep_first_line(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon in an attribute's first line for its type."""
    if what in {"attribute", "data", "property"} and lines:
        lines.insert(0, "")


def hide_private_bases(app: Sphinx, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Show the public classes behind private ones, which programs cannot use."""
    shown: list[Any] = []

    def add(base: Any) -> None:
        plain = get_origin(base) or base  # of a generic class with its parameters
        if plain.__name__.startswith("_"):
            for each in plain.__bases__:
                add(each)
        elif base not in shown:
            shown.append(base)

    for base in bases:
        add(base)
    bases[:] = [base for base in shown if base not in (object, ABC, Generic)] or [object]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and the hooks."""
    app.setup_extension("sphinx.ext.autodoc")  # whose events the hooks are for
    app.add_directive("config-fields", ConfigFields)
    app.add_directive("plain-names", PlainNames)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)  # before napoleon's, at 500
    app.connect("autodoc-process-bases", hide_private_bases)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
