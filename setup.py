"""Builds the compiled kernels where that is possible; everything else about the package is in pyproject.toml.

A kernel that cannot be compiled (no compiler, no Python headers, no Cython) must not stop an install: the pure Python
twins do the same work. It is all or nothing, so after one failure none is kept, and one line says so. With
WTRANSPORT_REQUIRE_EXTENSIONS set the same failure ends the build; with WTRANSPORT_NO_EXTENSIONS nothing is compiled.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError, ExecError, LinkError, PlatformError

_ROOT = Path(__file__).parent
# The kernels with pure twins, and the compiled QUIC data path, whose twin is aioquic.
_SOURCE_DIRECTORIES = (Path("wtransport", "_speedups", "_compiled"), Path("wtransport", "_quic", "_compiled"))

# The same reading of the same switches as at import; by path, since nothing is installed yet.
_SWITCHES = runpy.run_path(str(_ROOT / "wtransport" / "_speedups" / "_switches.py"))

# What "cannot be compiled here" looks like: no compiler or headers, a failing compiler, no write access.
_BUILD_ERRORS = (BaseError, CCompilerError, CompileError, ExecError, LinkError, PlatformError, OSError)


def _extensions() -> list[Extension]:
    if _SWITCHES["pure_requested"]():
        return []
    # `optional` keeps setuptools from copying, in an editable install, what could not be built.
    return [
        Extension(".".join((*directory.parts, path.stem)), [str(directory / path.name)], optional=True)
        for directory in _SOURCE_DIRECTORIES
        for path in sorted((_ROOT / directory).glob("*.pyx"))
    ]


def _translate() -> dict[str, list[str]]:
    """Translate the kernels to C, outside the source tree, and return each extension's C files.

    Raises:
        ImportError: Cython is not installed.
        CompileError: Cython refused a kernel.
    """
    from Cython.Build import cythonize  # only needed when something is compiled, and may be missing
    from Cython.Compiler.Errors import CompileError as CythonError

    try:
        translated = cythonize(_extensions(), build_dir="build/cython", quiet=True)  # type: ignore[no-untyped-call]
    except CythonError as error:
        raise CompileError(str(error)) from error
    return {extension.name: extension.sources for extension in translated}


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
            sources = _translate()
            for extension in self.extensions:
                extension.sources = sources[extension.name]
            super().run()
        except (ImportError, *_BUILD_ERRORS) as error:
            self._fall_back(error, in_place=in_place)

    def build_extension(self, ext: Any) -> None:
        """Compile one kernel; ``optional`` is for setuptools' copying, an error here has to reach `run`."""
        ext.optional = False
        super().build_extension(ext)
        ext.optional = True

    def _fall_back(self, error: Exception, *, in_place: bool) -> None:
        names = ", ".join(extension.name.rpartition(".")[2] for extension in self.extensions)
        reason = " ".join(str(error).split()) or type(error).__name__
        if _SWITCHES["compiled_required"]():
            required = _SWITCHES["REQUIRE_EXTENSIONS"]
            raise SystemExit(f"wtransport: {required} is set, but not compiled: {names} ({reason})") from error
        self._remove_compiled(in_place=in_place)
        self.extensions = []
        print(f"wtransport: not compiled: {names} ({reason}); pure Python is used instead", file=sys.stderr, flush=True)

    def _remove_compiled(self, *, in_place: bool) -> None:
        """Remove what an earlier build left: it would be imported although this one failed."""
        roots = [Path(self.build_lib)]
        if in_place:
            roots.append(_ROOT)
        for directory in (root / each for root in roots for each in _SOURCE_DIRECTORIES):
            for pattern in ("*.so", "*.pyd"):
                for path in directory.glob(pattern):
                    path.unlink()


setup(ext_modules=_extensions(), cmdclass={"build_ext": BuildKernels})
