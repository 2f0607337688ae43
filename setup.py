"""Builds the compiled kernels where that is possible; everything else about the package is in pyproject.toml.

Each kernel is a module of its own, and all kernels of a package are in one shared library: code that runs together lies
together. `wtransport/_speedups/_library.py` finds them there.

A kernel that cannot be compiled (no compiler, no Python headers, no Cython) must not stop an install: the pure Python
twins do the same work. It is all or nothing, so after one failure none is kept, and one line says so. With
WTRANSPORT_REQUIRE_EXTENSIONS set the same failure ends the build; with WTRANSPORT_NO_EXTENSIONS nothing is compiled.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError, ExecError, LinkError, PlatformError
from setuptools.modified import newer

_ROOT = Path(__file__).parent
# The kernels with pure twins, and the compiled QUIC data path, whose twin is aioquic.
_SOURCE_DIRECTORIES = (Path("wtransport", "_speedups", "_compiled"), Path("wtransport", "_quic", "_compiled"))
# The module in each of them that is the library.
_LIBRARY = "kernels"

# The same reading of the same switches as at import; by path, since nothing is installed yet.
_SWITCHES = runpy.run_path(str(_ROOT / "wtransport" / "_speedups" / "_switches.py"))

# What "cannot be compiled here" looks like: no compiler or headers, a failing compiler, no write access.
_BUILD_ERRORS = (BaseError, CCompilerError, CompileError, ExecError, LinkError, PlatformError, OSError)


def _libraries() -> list[Extension]:
    if _SWITCHES["pure_requested"]():
        return []
    # `optional` keeps setuptools from copying, in an editable install, what could not be built.
    return [
        Extension(
            ".".join((*directory.parts, _LIBRARY)),
            [str(directory / path.name) for path in sorted((_ROOT / directory).glob("*.pyx"))],
            optional=True,
        )
        for directory in _SOURCE_DIRECTORIES
    ]


def _translate(library: Any) -> list[str]:
    """Translate the kernels of a library to C, outside the source tree, and return the C files.

    Raises:
        ImportError: Cython is not installed.
        CompileError: Cython refused a kernel.
    """
    from Cython.Build import cythonize  # only needed when something is compiled, and may be missing
    from Cython.Compiler.Errors import CompileError as CythonError

    package = library.name.rpartition(".")[0]
    modules = [
        Extension(f"{package}.{Path(source).stem}", [source]) for source in (*library.sources, _list_kernels(library))
    ]
    try:
        translated = cythonize(modules, build_dir="build/cython", quiet=True)  # type: ignore[no-untyped-call]
    except CythonError as error:
        raise CompileError(str(error)) from error
    return [source for module in translated for source in module.sources]


def _list_kernels(library: Any) -> str:
    """Write the module that the library is named after and that lists its kernels, where the list is another one."""
    path = Path("build", "libraries", *library.name.split(".")).with_suffix(".pyx")
    names = tuple(Path(source).stem for source in library.sources)
    text = f'"""The shared library of the kernels: which there are."""\n\nNAMES = {names!r}\n'
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(path)


class BuildKernels(build_ext):  # type: ignore[misc]  # setuptools' base is Cython's class, which has no types
    """``build_ext`` that compiles all kernels or none."""

    extensions: list[Any]
    parallel: int | None

    def finalize_options(self) -> None:
        """Let the C compiler run on all cores, unless ``--parallel`` says otherwise: a build is mostly its time."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count() or 1

    def run(self) -> None:
        """Translate and compile; in place for a development install."""
        if not self.extensions:
            return
        in_place = bool(self.inplace or self.editable_mode)  # setuptools clears it while it builds
        try:
            for library in self.extensions:
                library.sources = _translate(library)
            self._remove_compiled(in_place=in_place, keep=_LIBRARY)
            super().run()
        except (ImportError, *_BUILD_ERRORS) as error:
            self._fall_back(error, in_place=in_place)

    def build_extensions(self) -> None:
        """Compile the C files of all libraries side by side, then link what is older than one of its objects."""
        with ThreadPoolExecutor(max(1, self.parallel or 1)) as threads:
            list(threads.map(self._compile, [source for library in self.extensions for source in library.sources]))
        for library in self.extensions:
            objects = [self._object_of(source) for source in library.sources]
            library.sources, library.extra_objects, library.depends = [], objects, objects
            self.build_extension(library)

    def _compile(self, source: str) -> None:
        if self.force or newer(source, self._object_of(source)):
            self.compiler.compile([source], output_dir=self.build_temp, debug=self.debug)

    def _object_of(self, source: str) -> str:
        names: list[str] = self.compiler.object_filenames([source], output_dir=self.build_temp)
        return names[0]

    def _fall_back(self, error: Exception, *, in_place: bool) -> None:
        names = ", ".join(library.name for library in self.extensions)
        reason = " ".join(str(error).split()) or type(error).__name__
        if _SWITCHES["compiled_required"]():
            required = _SWITCHES["REQUIRE_EXTENSIONS"]
            raise SystemExit(f"wtransport: {required} is set, but not compiled: {names} ({reason})") from error
        self._remove_compiled(in_place=in_place)
        shutil.rmtree(self.build_temp, ignore_errors=True)  # the next build may have another compiler, or other flags
        self.extensions = []
        print(f"wtransport: not compiled: {names} ({reason}); pure Python is used instead", file=sys.stderr, flush=True)

    def _remove_compiled(self, *, in_place: bool, keep: str | None = None) -> None:
        """Remove what an earlier build left, except for libraries named `keep`.

        It would be imported although this build failed; and a kernel that was a library of its own, although another
        one has it now.
        """
        roots = [Path(self.build_lib)]
        if in_place:
            roots.append(_ROOT)
        for directory in (root / each for root in roots for each in _SOURCE_DIRECTORIES):
            for path in (*directory.glob("*.so"), *directory.glob("*.pyd")):
                if path.name.partition(".")[0] != keep:
                    path.unlink()


setup(ext_modules=_libraries(), cmdclass={"build_ext": BuildKernels})
