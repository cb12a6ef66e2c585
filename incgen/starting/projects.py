"""New projects: a spec, its generated code, tests, and what runs these before commits and in CI."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from incgen.base.resources import folder
from incgen.compiling import RequestError, compile_spec
from incgen.starting.specs import name_of, spec_from
from incgen.targets import Target

#: Where each file of `starters/project/` goes.
_PLACES = {
    "README.md.in": "README.md",
    "pyproject.toml.in": "pyproject.toml",
    "gitignore.in": ".gitignore",
    "pre-commit-config.yaml.in": ".pre-commit-config.yaml",
    "workflow.yml.in": ".github/workflows/tests.yml",
    "init.py.in": "<name>/__init__.py",
    "test.py.in": "tests/test_<name>.py",
}
#: Names of folders and packages that a package of the project would be mistaken for.
_TAKEN = frozenset({"incgen", "specs", "tests"}) | sys.stdlib_module_names
#: What generated code imports, by its target; more is needed to test it.
NEEDS = {
    "torch": ("torch",),
    "keras": ("keras", "safetensors", "tensorflow"),
    "flax": ("flax", "jax", "safetensors"),
}


@dataclass(frozen=True, slots=True)
class Project:
    """The choices for a new project."""

    folder: str  #: The name of its folder
    template: str  #: The template of its spec
    targets: Sequence[Target]  #: What code is generated for

    def files(self) -> dict[PurePosixPath, str]:
        """Return the text of every file by its path in the folder.

        Raises:
            RequestError: There is no such template, or the name cannot be used.
            SpecError: A target cannot express the network.
        """
        name = name_of(self.folder)
        if name in _TAKEN:
            raise RequestError(
                f"`{self.folder}` cannot name a project, whose package would be mistaken for "
                f"another `{name}`: try `{name}_net`"
            )
        words = self._words(name)
        texts = dict[str, str]()
        for of, to in _PLACES.items():
            text = (folder("starters") / "project" / of).read_text("utf-8")
            texts[_filled(to, words)] = _filled(text, words)
        texts |= self._network(name)
        return {PurePosixPath(path): text for path, text in sorted(texts.items())}

    def _words(self, name: str) -> dict[str, str]:
        """Return what stands for each word in angle brackets."""
        targets = [target.name for target in self.targets]
        needed = dict.fromkeys(package for target in targets for package in NEEDS[target])
        imports = [
            f"from {name}.{name}_{target.name} import {target.entry(name)}"
            for target in self.targets
        ]
        # gradients, rung 3, are compared between targets only
        rungs = [0, 1, 2, 4] if len(targets) == 1 else [0, 1, 2, 3, 4]
        return {
            "name": name,
            "project": name.replace("_", "-"),
            "import": imports[0],
            "options": " ".join(f"--target {target}" for target in targets),
            "targets": _quoted(targets),
            "dependencies": _quoted(list(needed)),
            "extras": ",".join([*targets, "verify"]),
            "rungs": ", ".join(map(str, rungs)),
        }

    def _network(self, name: str) -> dict[str, str]:
        """Return the spec and the code of each target, by their paths."""
        from incgen.output import sealed

        path, text = f"specs/{name}.inc", spec_from(self.template, name)
        graph = compile_spec(path, text=text)
        codes = {
            f"{name}/{name}_{target.name}.py": sealed(target.emit(graph), graph.digest())
            for target in self.targets
        }
        return {path: text, **codes}


def _filled(text: str, words: dict[str, str]) -> str:
    """Put words where they stand in angle brackets."""
    for name, word in words.items():
        text = text.replace(f"<{name}>", word)
    return text


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
