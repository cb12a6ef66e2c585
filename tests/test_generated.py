"""The text of generated code: what it must look like, and that no change goes unnoticed.

`pytest --update-goldens` rewrites tests/golden; read the diff before committing it.
"""

from __future__ import annotations

import ast
import difflib
import subprocess
import sys
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from flax import nnx

import incgen
from incgen.output import sealed
from incgen.targets import TARGETS
from incgen.targets.shared.render import Printer

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
SPECS = [*sorted((ROOT / "specs").glob("*.inc")), *sorted((ROOT / "tests/agreement").glob("*.inc"))]
#: The cases whose text is kept: one for each form of code.
KEPT = [
    "batch_norms",
    "bn_inception",
    "conditions",
    "decay",
    "heads",
    "kinds",
    "merges",
    "mixed_ranks",
    "repeats",
    "same_pool",
    "separable",
    "skips",
    "units",
    "windows",
    "word_cases",
]
#: The number of lines of the same network written by hand (benchmarks/reference).
HAND_WRITTEN = {"torch": 154, "keras": 152, "flax": 200}
#: The targets whose frameworks have types; the errors of mypy that their files leave out.
TYPED = {"torch": "no-any-return", "flax": "no-any-return, no-untyped-call"}

#: The Unicode categories of characters that cannot be shown.
KINDS = ("Cc", "Cf", "Zs", "Zl", "Zp")


#: What is deployed: something for each pass.
DEPLOYED = ROOT / "tests" / "deploy" / "everything.inc"


def spec_of(name: str) -> Path:
    return next(path for path in SPECS if path.stem == name)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of every spec for every target."""
    folder = tmp_path_factory.mktemp("generated")
    for spec in SPECS:
        incgen.build(spec, list(TARGETS), f"{folder}/")
    incgen.build(DEPLOYED, list(TARGETS), f"{folder}/", deploy=True)
    return folder


def made(spec: str, target: str, *, text: str) -> Any:
    """Return the model of a spec."""
    module = incgen.load(spec, target, text=text)
    model = getattr(module, TARGETS[target].entry(Path(spec).stem))
    return model(rngs=nnx.Rngs(0)) if target == "flax" else model()


def run(*command: str, cwd: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", KEPT)
def test_golden(name: str, target: str, update_goldens: bool) -> None:
    _compare(f"{name}_{target}.py", incgen.generate(spec_of(name), target), update_goldens)


@pytest.mark.parametrize("target", list(TARGETS))
def test_golden_of_a_deployed_form(target: str, update_goldens: bool) -> None:
    source = incgen.generate(DEPLOYED, target, deploy=True)

    _compare(f"everything_deployed_{target}.py", source, update_goldens)


def _compare(name: str, source: str, update_goldens: bool) -> None:
    """Compare a file with the one that is kept."""
    golden = GOLDEN / name
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(source, "utf-8")

    expected = golden.read_text("utf-8")

    diff = "".join(
        difflib.unified_diff(
            expected.splitlines(True), source.splitlines(True), golden.name, "generated"
        )
    )
    assert source == expected, f"{diff}\nto accept it: pytest --update-goldens"


def test_no_golden_is_stale() -> None:
    names = [*KEPT, "everything_deployed"]
    kept = {f"{name}_{target}.py" for name in names for target in TARGETS}

    assert {path.name for path in GOLDEN.glob("*.py")} == kept
    scripts = {f"train_small_r_{target}.py" for target in TARGETS}  # of tests/test_train_*.py
    assert {path.name for path in (GOLDEN / "training").iterdir()} == scripts


def test_ruff_finds_nothing(generated: Path) -> None:
    run("ruff", "check", "--isolated", "--select", "E,F,I,UP,B", ".", cwd=generated)


def test_ruff_would_lay_it_out_the_same(generated: Path) -> None:
    run("ruff", "format", "--isolated", "--diff", ".", cwd=generated)


def test_mypy_finds_nothing(generated: Path, tmp_path: Path) -> None:
    """In one process, which has the types of the frameworks from `make lint`; random networks too.

    Mypy keeps types by its options, so they are those of pyproject.toml, which are strict.
    """
    files = sorted(p.name for target in TYPED for p in generated.glob(f"*_{target}.py"))
    assert len(files) == len(TYPED) * len([*SPECS, DEPLOYED])
    for spec in (ROOT / "tests/random").glob("*.inc"):
        for target in TYPED:
            path = tmp_path / f"{spec.stem}_{target}.py"
            path.write_text(incgen.generate(spec, target), "utf-8")
            files.append(str(path))

    options = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache'}"]
    run("mypy", *options, *files, cwd=generated)


@pytest.mark.parametrize("target", HAND_WRITTEN)
def test_bn_inception_is_about_as_long_as_by_hand(target: str, generated: Path) -> None:
    lines = (generated / f"bn_inception_{target}.py").read_text("utf-8").splitlines()

    assert len(lines) <= 1.3 * HAND_WRITTEN[target]


def test_the_same_text_every_time() -> None:
    script = (
        "import incgen, sys; "
        f"sys.stdout.write(incgen.generate({str(spec_of('merges'))!r}, 'torch'))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(outputs) == 1


@pytest.mark.parametrize("target", list(TARGETS))
def test_nothing_of_a_spec_becomes_code(target: str) -> None:
    spec = '''
## Ends """ the docstring \\""" and \\ goes on; import os; {{ 7 * 7 }} {% raw %}
## \x0cos.system("true")\x0b

## quote at the end"
block part(c) {
    ## a comment \x85import os
    conv1: conv 1x1 c
}

## a word that is very long: LONG
network hostile(classes = 3) {
    input 4x4 3
    one: part 2
    global_avg_pool
    logits: dense classes
}
'''.replace("LONG", "a" * 200)
    source = incgen.generate("hostile.inc", target, text=spec)
    tree = ast.parse(source)

    allowed = {"flax", "jax", "jax.numpy", "keras", "torch", "torch.nn", "safetensors.numpy"}
    allowed |= {"collections", "jax.nn.initializers", "math", "os", "typing", "warnings"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom):
            assert node.module in allowed
        elif isinstance(node, ast.Attribute):
            assert node.attr != "system"
    constants = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)]
    assert constants in ([], ["NHWC = {'data_format': 'channels_last'}"])
    kinds = {type(node) for node in tree.body} - {ast.Assign}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef}
    assert sum(isinstance(node, ast.Expr) for node in tree.body) == 1  # the docstring


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_header_comment_heads_the_generated_file(target: str) -> None:
    head = "#Copyright 2026 Example\n#   SPDX-License-Identifier: MIT\n#\n\n# Of the family.\n"
    spec = f"{head}## A net.\nnumerics torch\nnetwork net {{\n    input 8x8 3\n    relu\n}}\n"
    source = incgen.generate("net.inc", target, text=spec)

    codes = TYPED.get(target)
    checked = f'# mypy: disable-error-code="{codes}"\n\n' if codes else ""
    assert source.startswith(
        "# Copyright 2026 Example\n#   SPDX-License-Identifier: MIT\n\n# Of the family.\n\n"
        f'{checked}"""A net.\n'
    )


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize(
    "line",
    [
        "-*- coding: utf-7 -*-",
        "vim: set fileencoding=latin-1 :",
        "\ufeffcoding:utf-16",
        "\x0c\x0bcoding",
    ],
)
def test_a_header_is_nothing_but_a_comment(target: str, line: str) -> None:
    spec = f"# {line}\nnumerics torch\nnetwork net {{\n    input 8x8 3\n    relu\n}}\n"
    source = incgen.generate("net.inc", target, text=spec)

    assert source.startswith("# ")
    for data in (source.encode(), sealed(source, "0" * 16).encode()):
        assert ast.dump(ast.parse(data)) == ast.dump(ast.parse(source[source.index('"""') :]))


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_comment_of_what_cannot_be_shown_is_none(target: str) -> None:
    """In front of every kind of element, and beside characters that can be shown."""
    shown = (c for c in map(chr, range(0x10000)) if category(c) in KINDS)
    invisible = [c for c in shown if not c.isprintable() and c != "\n"]
    assert len(invisible) > 50
    spec = "## {0}\n\nnumerics torch\n\n## {0}\nunit u = conv -> relu\n\n## {0}{1}\n"
    spec += "block b(n) {{\n    ## {0}\n    c: u 3x3 n\n}}\n\n## {0}\nnetwork net {{\n"
    spec += "    input 8x8 3\n    ## {0}\n    a: b 4\n    relu\n}}\n"
    expected = incgen.generate("net.inc", target, text=spec.format("", ""))

    assert incgen.generate("net.inc", target, text=spec.format("".join(invisible), "")) == expected
    for c in "\ufeff\u200b\x0b\x0c\x1c\x85\u2028\u2029":
        assert incgen.generate("net.inc", target, text=spec.format(c, "")) == expected
        said = incgen.generate("net.inc", target, text=spec.format(c, f"Its{c}title"))
        assert '    """Its title' in said


def test_every_comment_stands_in_front_of_its_statement() -> None:
    """Even if its subject would share the line of another call, or be returned."""
    source = """
network net {
    input 8x8 3
    body: body
}
block body() {
    ## of the pooling
    max_pool 2x2/2 pad=valid ceil=false
    conv: conv 3x3 4
    relu
    ## of dropout
    dropout 0.5
    ## of the last
    relu
}
"""
    code = incgen.generate("net.inc", "torch", text=source)

    forward = code.partition("    def forward")[2].partition("\n\n\n")[0].splitlines()[1:]
    assert [line.strip() for line in forward] == [
        "# of the pooling",
        "x = F.max_pool2d(x, 2, 2)",
        "x = F.relu(self.conv(x))",
        "x = self.dropout(x)",
        "# of the last",
        "return F.relu(x)",
    ]
    assert "        # of dropout\n        self.dropout = nn.Dropout(0.5)\n" in code


def test_a_relu_of_pytorch_overwrites_a_value_only_if_nothing_else_can_see_it() -> None:
    source = """numerics torch

unit plain = conv -> relu

network net {
    input 8x8 3
    a: plain 3x3 4
    sum: {
        add { identity; conv 3x3 4 }
        relu
    }
    b: conv 3x3 4
    relu
    c: max_pool 2x2/2
    relu
    max_pool 2x2/2 -> relu
}
"""
    code = incgen.generate("net.inc", "torch", text=source)

    assert [line.strip() for line in code.splitlines() if "relu(" in line] == [
        "return F.relu(self.conv(x), inplace=True)",
        "return F.relu(x + self.conv(x), inplace=True)",
        "x = F.relu(x)  # (N, 4, 8, 8)",
        "x = F.relu(x)  # (N, 4, 4, 4)",
        "return F.relu(F.max_pool2d(x, 2, 2))  # (N, 4, 2, 2)",
    ]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("torch", "            2 * ((min(q - 1, 2) + 21) // (q - 1) + 1) * (18 // (q - 1) + 1), q"),
        (
            "keras",
            '    x = EdgePadding2D(((1, min(p - 1, 2)), (0, 0)), name=f"{name}-pool-pad")(x)',
        ),
    ],
)
def test_formulas_have_one_constant(target: str, line: str) -> None:
    assert line in incgen.generate(spec_of("ceil_sizes"), target).splitlines()


def test_a_shape_that_is_only_documented_refuses_no_network() -> None:
    """Keras needs no formula of the channels; here they are a sum of 58 terms."""
    branches = "; ".join(f"conv 1x1 (a * {n} // 2)" for n in range(2, 60))
    spec = (
        "network sums(a = 1) {{\n input 4x4 2\n concat {{ {} }}\n if channels > 3 {{ relu }}\n}}\n"
    )

    source = incgen.generate("sums.inc", "keras", text=spec.format(branches))

    assert "maps (N, H, W, 2) to (N, H, W, 870)." in source  # the sum of n // 2


def test_what_every_iteration_adds_is_one_product() -> None:
    source = """
numerics torch
block grown(n) { concat { identity; c: conv 1x1 n } }
network net(n = 4) {
    input 8x8 3
    a: repeat 6 { b: grown n }
    c: conv 1x1 2
}
"""
    code = incgen.generate("net.inc", "torch", text=source)

    assert "        self.c = nn.Conv2d(3 + 6 * n, 2, 1)" in code.splitlines()


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_branch_that_is_not_taken_may_compute_with_a_word(target: str) -> None:
    text = """
    numerics torch
    block part(flag, value) {
        if flag {
            if value > 4 { conv 1x1 3 }
        }
    }
    network net {
        input 8x8 3
        a: part false avg
        b: part true 8
    }
    """
    assert made("net.inc", target, text=text) is not None


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_condition_is_not_computed_where_an_outer_or_earlier_one_rules_it_out(
    target: str,
) -> None:
    text = """
    numerics torch
    block nested(n) {
        if n > 0 {
            if 8 // n > 1 { conv 1x1 3 }
        }
    }
    block chained(n) {
        if n == 0 {
            relu
        } else if 8 // n > 1 {
            conv 1x1 3
        }
    }
    network net {
        input 8x8 3
        a: nested 0
        b: nested 2
        c: chained 0
        d: chained 2
    }
    """
    assert made("net.inc", target, text=text) is not None


def test_set_changes_the_default_of_the_model() -> None:
    source = incgen.generate(spec_of("bn_inception"), "torch", {"classes": 10})

    assert "def __init__(self, classes: int = 10) -> None:" in source


CONTAINERS = """\
numerics torch
network net {
    input 8x8 3
    a: concat {
        left:  conv 1x1 4
        right: conv 3x3 4
    } -> relu
    b: {
        one: conv 1x1 4
        two: relu
    }
    logits: conv 1x1 2
}
"""


def test_a_target_without_containers_gets_classes_with_the_same_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    def model() -> torch.nn.Module:
        namespace: dict[str, Any] = {"__name__": "net"}
        exec(incgen.generate("net.inc", "torch", text=CONTAINERS), namespace)
        network: torch.nn.Module = namespace["Net"]()
        return network

    first, has = model(), Printer.has
    without = ("named", "container")
    monkeypatch.setattr(Printer, "has", lambda self, name: name not in without and has(self, name))
    second = model()

    assert {type(first.a[0]).__name__, type(first.b).__name__} == {"Concat", "Sequential"}
    assert {type(second.a[0]).__name__, type(second.b).__name__} == {"NetA0", "NetB"}
    second.load_state_dict(first.state_dict())
    x = torch.ones(1, 3, 8, 8)
    assert torch.equal(first(x), second(x))
