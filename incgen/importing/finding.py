"""Find specs on the path of modules, and import what is generated from them.

A spec is a package, and each target a module in it: `specs/net.inc` is `specs.net`, and its PyTorch
code `specs.net.torch`. Everything else is found first: only a name that nothing else has can be a
spec.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from incgen.base.diagnostics import SpecError
from incgen.base.modules import needs
from incgen.importing.caching import source_of
from incgen.targets import TARGETS


class SpecImportError(SpecError, ImportError):
    """A spec cannot be imported, because it has errors; its text is the report."""


def install() -> None:
    """Let `import` find specs, after everything else."""
    if not any(isinstance(finder, SpecFinder) for finder in sys.meta_path):
        sys.meta_path.append(SpecFinder())


class SpecFinder(MetaPathFinder):
    """Finds specs beside modules, and targets in specs."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a name is imported; None if it is neither a spec nor a target of one."""
        parent, _, name = fullname.rpartition(".")
        package = getattr(sys.modules.get(parent), "__loader__", None)
        if isinstance(package, SpecLoader):
            if name not in TARGETS:
                return None
            loader = CodeLoader(package.file, package.root, name)
            return ModuleSpec(fullname, loader, origin=loader.title)
        for place in sys.path if path is None else path:
            folder = Path(os.path.abspath(place))
            file = folder / f"{name}.inc"
            if file.is_file():
                root = folder.parents[parent.count(".")] if parent else folder
                spec_loader = SpecLoader(file, root)
                return ModuleSpec(fullname, spec_loader, origin=str(file), is_package=True)
        return None


@dataclass(frozen=True, slots=True)
class SpecLoader(Loader):
    """Makes the package of a spec; nothing is generated until a target is imported."""

    file: Path
    root: Path  #: The folder on the path of modules

    def exec_module(self, module: ModuleType) -> None:
        """Give a package what can be imported from a spec."""
        names = ["network", *TARGETS]

        def get(name: str) -> Any:
            if name in TARGETS:
                return import_module(f"{module.__name__}.{name}")
            if name == "network":
                from incgen.notebooks.network import Network

                try:
                    module.__dict__[name] = Network(self.file)
                except SpecError as error:
                    raise SpecImportError(error.diagnostics) from None
                return module.__dict__[name]
            raise AttributeError(f"the spec `{self.file.name}` has {', '.join(names)}, not {name}")

        module.__file__ = str(self.file)
        module.__dict__.update(__getattr__=get, __dir__=lambda: names)


@dataclass(frozen=True, slots=True)
class CodeLoader(InspectLoader):
    """Imports the generated code of a spec for one target."""

    file: Path
    root: Path
    target: str

    @property
    def title(self) -> str:
        """Return the name of code that has no file: as if the spec were a folder."""
        return str(self.file / f"{self.target}.py")

    def is_package(self, fullname: str) -> bool:
        """Return that generated code is not a package."""
        return False

    def get_source(self, fullname: str) -> str:
        """Return the source, from which tracebacks show lines if there is no file.

        Raises:
            SpecError: The spec has errors, or the target cannot express it.
        """
        return source_of(self.file, self.target, self.root)[0]

    def exec_module(self, module: ModuleType) -> None:
        """Run the generated code.

        Raises:
            SpecImportError: The spec has errors, or the target cannot express it.
            ModuleNotFoundError: The framework is not installed.
        """
        try:
            source, path = source_of(self.file, self.target, self.root)
        except SpecError as error:
            raise SpecImportError(error.diagnostics) from None
        module.__file__ = str(path or self.title)
        try:
            exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)
        except ModuleNotFoundError as error:
            message = f"the target `{self.target}` {needs(error, self.target)}"
            raise ModuleNotFoundError(message, name=error.name) from error
