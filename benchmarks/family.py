"""The shipped networks: how long their files are, and how long they take to build.

Lines are compared with those of the published implementation that a network equals, in its
installed package: the whole file on either side. What else a published file has (licences, URLs of
weights, other variants) or a generated one (shapes, loading, weight decay) counts too; so lines of
code, without comments, docstrings and blank lines, are printed as well.
"""

from __future__ import annotations

import ast
import io
import statistics
import tempfile
import tokenize
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import incgen
from figures import INCGEN, ROOT, SMALLEST, Figure, at_most, run, run_script, seconds
from incgen.targets import TARGETS

BAR_LINES, BAR_SECONDS = 0.5, 1.0
REPEATED = 1 if SMALLEST else 3
SPECS = sorted((ROOT / "specs").glob("*.inc"))[: 1 if SMALLEST else None]
IGNORED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class Equal:
    """A published implementation that a network equals.

    Attributes:
        spec: The name of the network's spec.
        target: The target of the same framework.
        package: The package that contains it.
        file: The file in the package.
        settings: The settings with which the network is the same.
    """

    spec: str
    target: str
    package: str
    file: str
    settings: dict[str, bool | float | str] = field(default_factory=dict)

    def path(self) -> Path:
        """Return the path of its source; the package is not imported."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{self.package} is not installed")
        return Path(spec.origin).parent / self.file


NO_HEADS: dict[str, bool | float | str] = {"heads": False}
PORT: dict[str, bool | float | str] = {"heads": False, "gamma": True}
XCEPTION_PORT: dict[str, bool | float | str] = {"eps": 1e-5, "pool_pad": "half"}
CADENE = "pretrainedmodels"
EQUAL = [
    Equal("bn_inception", "torch", CADENE, "models/bninception.py"),
    Equal("googlenet_bn", "torch", "torchvision", "models/googlenet.py"),
    Equal("inception_v1_slim", "keras", "tf_slim", "nets/inception_v1.py"),
    Equal("bn_inception_slim", "keras", "tf_slim", "nets/inception_v2.py"),
    Equal("inception_v3", "torch", "torchvision", "models/inception.py"),
    Equal("inception_v3", "torch", "timm", "models/inception_v3.py", NO_HEADS),
    Equal("inception_v3_tf", "keras", "tf_slim", "nets/inception_v3.py"),
    Equal("inception_v3_tf", "keras", "keras", "src/applications/inception_v3.py", NO_HEADS),
    Equal("inception_v4", "torch", "timm", "models/inception_v4.py", PORT),
    Equal("inception_v4", "torch", CADENE, "models/inceptionv4.py", PORT),
    Equal("inception_resnet_v1", "torch", "facenet_pytorch", "models/inception_resnet_v1.py"),
    Equal("inception_resnet_v2", "torch", "timm", "models/inception_resnet_v2.py", PORT),
    Equal("inception_resnet_v2", "torch", CADENE, "models/inceptionresnetv2.py", PORT),
    Equal(
        "inception_resnet_v2", "keras", "keras", "src/applications/inception_resnet_v2.py", NO_HEADS
    ),
    Equal("xception", "keras", "keras", "src/applications/xception.py"),
    Equal("xception", "torch", "timm", "models/xception.py", XCEPTION_PORT),
    Equal("xception", "torch", CADENE, "models/xception.py", XCEPTION_PORT),
]


def measure() -> list[Figure]:
    """Return the time of the slowest build, and the length of each file."""
    return [slowest(), *(length(equal) for equal in (EQUAL[:1] if SMALLEST else EQUAL))]


def slowest() -> Figure:
    """Return how long the slowest spec takes to build for all targets, as a whole process."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for spec in SPECS:
            build = partial(_build, spec, folder)
            times[spec.stem] = statistics.median(seconds(build) for _ in range(REPEATED))
    name = max(times, key=times.__getitem__)
    note = f"s  ({name}; the fastest of {len(times)} {min(times.values()):.2f} s)"
    return at_most("build for all targets, slowest spec", times[name], BAR_SECONDS, note)


def _build(spec: Path, folder: str) -> None:
    targets = [word for target in TARGETS for word in ("--target", target)]
    run(INCGEN, "build", str(spec), *targets, "-o", f"{folder}/", "--force")


def length(equal: Equal) -> Figure:
    """Return how long a generated file is, divided by the length of the published one."""
    spec = ROOT / "specs" / f"{equal.spec}.inc"
    with tempfile.TemporaryDirectory() as folder:
        (made,) = incgen.build(spec, equal.target, f"{folder}/", equal.settings)
        ours, theirs = (path.read_text(encoding="utf-8") for path in (made.path, equal.path()))
    own, other = len(ours.splitlines()), len(theirs.splitlines())
    note = f"({own} / {other}; of code {lines_of_code(ours)} / {lines_of_code(theirs)})"
    what = f"{equal.spec}, {equal.target}: lines / {equal.package} {Path(equal.file).name}"
    return at_most(what, own / other, BAR_LINES, note)


def lines_of_code(source: str) -> int:
    """Count the lines that hold more than comments and docstrings."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            text = node.body[0]
            documented.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in IGNORED:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


if __name__ == "__main__":
    run_script(__doc__, measure)
