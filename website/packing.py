"""Put the playground into a built site: its page, its programs, and incgen for the browser."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from incgen.highlighting.patterns import patterns
from website.gallery import SPECS
from website.landing import first
from website.offline import MissingError, module
from website.places import ROOT

HERE = ROOT / "website" / "playground"
#: What incgen needs, and what the help at the cursor does. All of them are Python alone, or can do
#: without their compiled parts.
LIBRARIES = ("attr", "attrs", "jinja2", "lark", "lsprotocol", "markupsafe")
_FORMATTER = "@astral-sh/ruff-wasm-web/ruff_wasm_bg.wasm"
#: Parts of incgen that run models, read weights or serve editors, which a browser does not.
_LEFT_OUT = ("cli", "diff", "notebooks", "onnx", "quantization", "starting", "verify", "weights")
#: The files beside a shipped spec, which in the browser come with incgen.
_USED = re.compile(r'(?<=\bfrom )"(?!incgen:)')
_ADDRESS = re.compile(r"https?://(?!www\.w3\.org/)[^\s\"'`)<>\\]+")


def write(pages: Path) -> None:
    """Fill in the page of the playground: its examples, and the colours of its editor."""
    shipped = {path.stem: _USED.sub('"incgen:', path.read_text("utf-8")) for path in SPECS}
    examples = {"first": first()} | shipped
    colours = [{"regex": each.regex, "scopes": each.scopes} for each in patterns()]
    data = json.dumps({"examples": examples, "patterns": colours}).replace("</", "<\\/")
    path = pages / "playground.md"
    path.write_text(path.read_text("utf-8").replace("{data}", data), "utf-8")


def add(site: Path) -> None:
    """Add the programs of the playground to a site."""
    folder = site / "playground"
    _bundle(folder)
    names = ("pyodide/pyodide.asm.wasm", "pyodide/python_stdlib.zip", _FORMATTER)
    files = [folder / Path(name).name for name in names]
    for name, file in zip(names, files, strict=True):
        shutil.copy(module(name), file)
    sources, packed = folder / "sources.zip", folder / "incgen.zip"
    pack(sources)
    _run(["node", str(HERE / "pack.mjs"), *map(str, (sources, packed, files[1]))])
    sources.unlink()
    _write_files(folder, [packed, *files])


def _write_files(folder: Path, files: Sequence[Path]) -> None:
    """Write all that the worker needs as a script, for a page that is opened from a folder."""
    texts = {"program": (folder / "worker.js").read_text("utf-8")}
    for file in files:
        texts[file.name] = b64encode(gzip.compress(file.read_bytes(), mtime=0)).decode()
    script = f"self.playgroundFiles = {json.dumps(texts)};\n"
    (folder / "files.js").write_text(script, "utf-8")


def pack(path: Path) -> None:
    """Write an archive of incgen and of the libraries that it needs, as source."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, name in _packed():
            archive.write(file, name)


def _packed() -> Iterator[tuple[Path, str]]:
    """Yield each file to pack, with its name in the archive."""
    folders = [(ROOT / "incgen", "incgen")]
    folders += [(ROOT / name, f"incgen/{name}") for name in ("grammar", "specs", "templates")]
    for library in LIBRARIES:
        found = find_spec(library)
        assert found is not None and found.origin is not None
        folders.append((Path(found.origin).parent, library))
    for folder, place in folders:
        for file in sorted(folder.rglob("*")):
            inside = file.relative_to(folder)
            out = place == "incgen" and inside.parts[0] in _LEFT_OUT
            if file.is_file() and file.suffix not in (".pyc", ".so", ".pyd") and not out:
                yield file, f"{place}/{inside.as_posix()}"
    for name in ("website/__init__.py", "website/playground/__init__.py"):
        yield ROOT / name, name
    yield HERE / "session.py", "website/playground/session.py"


def _bundle(folder: Path) -> None:
    """Bundle the programs of the page and of its worker."""
    tool = module(".bin/esbuild")
    programs = [str(HERE / name) for name in ("main.js", "worker.js")]
    options = [
        "--bundle",
        "--format=iife",
        "--minify",
        "--external:node:*",
        "--define:import.meta.url=self.location.href",
        "--log-level=warning",
        "--legal-comments=none",
    ]
    _run([str(tool), *programs, *options, f"--outdir={folder}"])
    for path in folder.glob("*.js"):
        path.write_text(_ADDRESS.sub("about:blank", path.read_text("utf-8")), "utf-8")


def _run(command: list[str]) -> None:
    """Run a program of Node.

    Raises:
        MissingError: It fails.
    """
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(done.stdout[-3000:] + done.stderr[-3000:])
