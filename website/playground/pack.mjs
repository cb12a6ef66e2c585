// Pack incgen for the browser: compile it with the Python that will run it there, and fill its cache.
//
//     node pack.mjs SOURCES.zip OUT.zip STDLIB.zip
//
// SOURCES.zip holds packages. OUT.zip is unpacked at the root of the browser's file system. STDLIB.zip
// is compiled in place: pyodide has it as source, and starting Python took twice as long.

import { readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [sources, output, library] = process.argv.slice(2);
const python = await loadPyodide();
const site = python.runPython("import sysconfig; sysconfig.get_path('purelib')");
python.unpackArchive(new Uint8Array(readFileSync(sources)), "zip", { extractDir: site });
python.globals.set("site", site);
python.runPython(`
import compileall, pathlib, shutil, sys

# Whatever a first build computes is cached, and travels with the program.
from incgen.syntax import shipped
from website.playground.session import Session

session = Session()
for name in ("bn_inception", "inception_resnet_v2"):
    path = pathlib.Path(site, "incgen", "specs", f"{name}.inc")
    session.check(path.read_text())
    for kind in ("torch", "keras", "flax", "table", "drawing"):
        session.result(kind, "light")
text = path.read_text()
session.check(pathlib.Path(site, "incgen", "specs", "bn_inception.inc").read_text(), "", "x5")
for kind in ("torch", "keras", "flax"):
    session.result(kind, "light")
session.complete(text, text.index("network "))
session.hover(text, text.index("network "))

for folder in pathlib.Path(site).rglob("__pycache__"):
    shutil.rmtree(folder)
compileall.compile_dir(site, legacy=True, quiet=1, optimize=2)
for path in pathlib.Path(site).rglob("*.py"):
    if path.with_suffix(".pyc").exists():
        path.unlink()

pack = pathlib.Path("/pack")
shutil.copytree(site, pack / site.lstrip("/"))
cache = pathlib.Path.home() / ".cache"
shutil.copytree(cache, pack / str(cache).lstrip("/"))
shutil.make_archive("/packed", "zip", pack)
`);
writeFileSync(output, python.FS.readFile("/packed.zip"));

python.unpackArchive(new Uint8Array(readFileSync(library)), "zip", { extractDir: "/library" });
python.runPython(`
place = f"/lib/python{sys.version_info.major}{sys.version_info.minor}.zip"
compileall.compile_dir("/library", legacy=True, quiet=1, stripdir="/library", prependdir=place)
for path in pathlib.Path("/library").rglob("*.py"):
    if path.with_suffix(".pyc").exists():
        path.unlink()
shutil.make_archive("/compiled", "zip", "/library")
`);
writeFileSync(library, python.FS.readFile("/compiled.zip"));
