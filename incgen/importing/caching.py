"""The source of a spec for one target, generated once for as long as nothing has changed.

An entry is valid for the texts of all files that it was made from, and for this incgen. The source
is kept as a file too, which tracebacks and debuggers show.
"""

from __future__ import annotations

from functools import cache as once
from pathlib import Path
from typing import Any

import incgen
from incgen.base import cache
from incgen.base.resources import folder
from incgen.syntax import shipped


def source_of(spec: Path, target: str, root: Path) -> tuple[str, Path | None]:
    """Return the annotated source of a spec for a target, and its file if it has one.

    Comments name files from the root; the path of the spec is absolute.

    Raises:
        SpecError: The spec has faults, or the target cannot express it.
    """
    key = "\0".join([str(spec), target, str(root)])
    digest = cache.digest(key.encode("utf-8", "surrogatepass"))
    known = cache.load(f"import-{digest}")
    if known is None or not _valid(known):
        source, files = _generated(spec, target, root)
        known = {"incgen": _stamp(), "files": files, "source": source}
        cache.store(f"import-{digest}", known)
    source = known["source"]
    name = f"{spec.stem}_{target}_{digest[:12]}.py"
    return source, cache.store_file(name, source.encode("utf-8", "surrogatepass"))


def _generated(spec: Path, target: str, root: Path) -> tuple[str, dict[str, str]]:
    """Return the source, and the digests of the files that it is made from."""
    from incgen import api
    from incgen.base.diagnostics import Reporter
    from incgen.compiling import graph_of
    from incgen.importing.places import with_places
    from incgen.syntax.loader import load

    loaded = load(spec)
    graph = graph_of(loaded, {}, Reporter())
    (chosen,) = api.find_targets([target])

    def shown(name: str) -> str:
        return name.removeprefix(f"{root.as_posix().rstrip('/')}/")

    source = with_places(chosen.emit(graph), graph.program, shown)
    files = {file.source.name: _digest_of(file.source.name) for file in loaded.files()}
    return source, files


def _valid(entry: dict[str, Any]) -> bool:
    """Return whether nothing has changed since an entry was made."""
    if entry.get("incgen") != _stamp():
        return False
    return all(_digest_of(name) == digest for name, digest in entry["files"].items())


def _digest_of(name: str) -> str:
    """Return a digest of a file; "" if it cannot be read."""
    path = shipped.file_of(name) if name.startswith(shipped.PREFIX) else Path(name)
    try:
        return cache.digest(path.read_bytes())
    except OSError:
        return ""


@once
def _stamp() -> str:
    """Return what tells this incgen from others, and a checkout from itself after a change."""
    facts = [incgen.__version__]
    package = Path(incgen.__file__).parent
    for place in (package, folder("grammar"), folder("templates")):
        for path in sorted(place.rglob("*")):
            if path.suffix in (".py", ".jinja", ".json", ".lark", ".toml"):
                status = path.stat()
                facts.append(f"{path}\0{status.st_mtime_ns}\0{status.st_size}")
    return cache.digest("\n".join(facts).encode("utf-8", "surrogateescape"))
