"""Names that users choose do not clash with names that generated code has itself.

Every identifier of generated code, of Python and of the frameworks' modules is tried as the name of
something, and by `make test-slow` as the name of everything that has one. It is refused as a
reserved name, or all models are built with it and have its keys, and those of PyTorch and Keras
agree. Many names are tried in one spec; if that fails, bisection finds the culprits.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import pytest
import torch
from flax import nnx
from parity import build, difference, images, keras_variables, precision

import incgen
from incgen.base.diagnostics import Code, Severity, SpecError
from incgen.language.names import class_name, label_fault, parameter_fault
from incgen.language.ops import OPS, WORDS
from incgen.targets import TARGETS

#: Flax's names of tensors, and those of the keys.
FLAX_NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
ROOT = Path(__file__).parent.parent
GRAMMAR = (ROOT / "grammar" / "inc.lark").read_text("utf-8")
KEYWORDS = {*re.findall(r'"([a-z]+)"', GRAMMAR), "concat", "add", "mul"}
SPECS = [ROOT / "specs" / "bn_inception.inc", *sorted((ROOT / "tests/agreement").glob("*.inc"))]

#: One of everything that generated code names: helpers, loops, flags, parts, parameters.
EVERYTHING = """
    own_a: own_unit 3x3 4
    own_b: conv 3x3/2 4 pad=same init=truncated_he_normal l2=1e-3
    if own_deep { own_c: conv 1x1 4 -> bn variance=biased } else { own_c: conv 1x1 4 -> tanh }
    own_d: repeat own_n { conv 1x1 4 -> repeat 2 { conv 3x3 4 groups=2 } }
    own_e: repeat 2 { concat { identity
        own_f: conv 3x3 2 } }
    own_g: conv 1x1 4 -> bn
    pool own_kind 3x3/1 pad=half ceil=false count_pad=false
    max_pool 3x3/2 pad=1 ceil=true
    avg_pool {own_n}x3/1 pad=half count_pad=false
    max_pool 3x3/1 pad=[2, 0, 1, 1]
    lrn 3 -> leaky_relu 0.1 -> gelu erf -> gelu tanh -> hard_sigmoid -> hard_swish
    scale own_n
    own_h: separable_conv 3x3 4 -> depthwise_conv 3x3
    own_i: concat {
        own_j: conv 1x1 2 -> relu -> conv 1x1 2
        add { identity
            own_k: conv 1x1 4 -> leaky_relu 0.2 }
    }
    own_l: conv 1x1 4
    own_m: { own_n1: conv 1x1 4
        own_n2: from own_l -> conv 3x3 4 -> relu
        add { from own_n1
            from own_l
            own_n3: { global_avg_pool -> dense channels -> sigmoid } } }
"""
HEAD = "numerics torch\nunit own_unit = conv bias=false -> bn -> relu\n"
INPUT = "    input 12x12 3  order=bgr range=[0, 1] mean=[0.5] std=[2]\n"
OWN = "own_n = 3, own_kind = max, own_deep = true"
END = "    global_avg_pool\n    own_out: dense 2\n"


def lines(form: str, names: list[str]) -> str:
    return "".join(f"{form.replace('NAME', name)}\n" for name in ["own_first", *names])


def network(body: str, head: str = "", parameters: str = OWN) -> str:
    """Return a network that has everything, plus some lines."""
    return f"{HEAD}{head}network own({parameters}) {{\n{INPUT}{EVERYTHING}{body}{END}}}\n"


def block(parameters: list[str], form: str) -> str:
    """Return the same as a block with extra parameters, all of them used."""
    formals = ", ".join(["own_first", *parameters, OWN])
    given = " ".join("2" for _ in ["own_first", *parameters])
    body = f"{EVERYTHING}{lines(form, parameters)}"
    head = f"{HEAD}block own_block({formals}) {{\n{body}}}\n"
    return f"{head}network own {{\n{INPUT}    own_use: own_block {given}\n{END}}}\n"


def with_defaults(parameters: list[str]) -> str:
    return ", ".join([*(f"{name} = 2" for name in ["own_first", *parameters]), OWN])


#: The roles of names, and a spec that uses some names in that role.
ROLES: dict[str, Callable[[list[str]], str]] = {
    "label": lambda names: network(lines("NAME: conv 1x1 2", names)),
    "label in a body": lambda names: network(f"own_x: {{\n{lines('NAME: conv 1x1 2', names)}}}\n"),
    "branch": lambda names: network(
        f"own_x: concat {{\nidentity\n{lines('NAME: conv 1x1 1', names)}}}\n"
    ),
    "label that `from` names": lambda names: network(
        f"{lines('NAME: conv 1x1 2', names)}add {{\nidentity\n{lines('from NAME', names)}}}\n"
    ),
    "label that an inner `from` names": lambda names: network(
        f"{lines('NAME: conv 1x1 2', names)}own_x: {{\nrelu\nown_y: add {{\nidentity\n"
        f"{lines('from NAME -> conv 1x1 2', names)}}}\n}}\n"
    ),
    "head": lambda names: network(lines("aux NAME { global_avg_pool -> dense 2 }", names)),
    "parameter of a block": lambda names: block(names, "conv 1x1 channels=NAME"),
    "parameter of a block that `forward` reads": lambda names: block(names, "scale NAME"),
    "parameter of a block that decides": lambda names: block(
        names, "if NAME > 1 { repeat NAME { identity } }"
    ),
    "parameter of a network": lambda names: network(
        lines("conv 1x1 channels=NAME", names), parameters=with_defaults(names)
    ),
    "parameter of a network that `forward` reads": lambda names: network(
        lines("scale NAME", names), parameters=with_defaults(names)
    ),
    "block": lambda names: network(
        lines("NAME", names), lines("block NAME() { own_y: conv 1x1 2 }", names)
    ),
    "block with parts": lambda names: network(
        lines("NAME", names),
        lines("block NAME() { own_y: { own_z: conv 1x1 2\nadd { identity\ntanh } } }", names),
    ),
    "unit": lambda names: network(
        lines("NAME", names), lines("unit NAME = conv 1x1 2 -> relu", names)
    ),
}
#: Roles in which all names are branches of one join, which has at most 256, or layers one after
#: another, of which Keras takes not quite a thousand.
SPLIT = (
    *("branch", "label that `from` names", "label that an inner `from` names"),
    *("block", "block with parts", "unit"),
)


# ---------------------------------------------------------------- names


@cache
def tried() -> list[str]:
    """Return every name that could mean something to generated code.

    Names in the specs are not among them, since users choose those.
    """
    names, written = set[str](), set(re.findall(r"\w+", "".join(r([]) for r in ROLES.values())))
    for target in TARGETS:
        for path in SPECS:
            names.update(identifiers(incgen.generate(path, target)))
        for role in ROLES.values():
            names.update(identifiers(incgen.generate("own.inc", target, text=role([]))))
        files = sorted((ROOT / "templates" / target).glob("helpers*/*.jinja"))
        helpers = "".join(path.read_text("utf-8") for path in files)
        names.update(re.findall(r"[A-Za-z_]\w*", re.sub(r"\{%.*?%\}|\{#.*?#\}", "", helpers)))
    for path in SPECS:
        written.update(re.findall(r"\w+", path.read_text("utf-8")))
    names -= (written | {class_name(word) for word in written}) - {*OPS, *WORDS}
    modules = (torch.nn.Module(), torch.nn.Sequential(), torch.nn.ModuleDict())
    for thing in (*modules, nnx.Module, nnx.List, (1,)):
        names.update(dir(thing))
    names.update(keyword.kwlist, keyword.softkwlist, dir(builtins), ("cls",))
    return sorted(name for name in names - KEYWORDS if not name.startswith(("__", "own_")))


def identifiers(source: str) -> Iterator[str]:
    """Yield every identifier in Python source."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.alias(name=name, asname=other):
                yield from name.split(".")
                if other:
                    yield other


def refused(names: list[str], role: Callable[[list[str]], str]) -> set[str]:
    """Return the names for which a spec is refused, each because it is reserved."""
    reserved: set[str] = set()
    for start in range(0, len(names), 40):  # a check stops after 100 errors
        part = names[start : start + 40]
        while faults := errors(role([name for name in part if name not in reserved])):
            new = [fault for fault in faults if fault.code is Code.RESERVED_NAME]
            assert new, faults[0].render()
            for fault in new:
                assert fault.span is not None and f"`{fault.span.text}`" in fault.message
                reserved.add(fault.span.text)
    return reserved


def errors(text: str) -> list[incgen.Diagnostic]:
    try:
        incgen.compile_spec("own.inc", text=text)
    except SpecError as error:
        return [d for d in error.diagnostics if d.severity is Severity.ERROR]
    return []


# ---------------------------------------------------------------- trials


def fault_of(text: str, folder: Path) -> str | None:
    """Return what is wrong with the generated code of a spec, if anything."""
    spec = folder / "own.inc"
    spec.write_text(text, "utf-8")
    try:
        for target in TARGETS:
            (folder / f"own_{target}.py").write_text(incgen.generate(spec, target), "utf-8")
        models = build(spec, folder)
        expected = set(models.graph.tensors())
        state = {k for k in models.torch_model.state_dict() if not k.endswith("_batches_tracked")}
        assert state == expected, f"PyTorch's keys: {state ^ expected}"
        keys = set(keras_variables(models.keras_model))
        assert keys == expected, f"Keras' keys: {keys ^ expected}"
        assert difference(*models.evaluation(images(models.graph, (12, 12)))) <= 1e-9
        assert flax_keys(spec) == expected, f"Flax' keys: {flax_keys(spec) ^ expected}"
    except Exception as error:  # whatever the failure is, the names caused it
        return f"{type(error).__name__}: {error}"
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(folder)]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else None


def flax_keys(spec: Path) -> set[str]:
    """Return the keys of a Flax model, which is made and called without computing anything."""
    network, keys = incgen.load(spec, "flax").Own, set[str]()

    def run(x: jax.Array) -> object:
        model = network(rngs=nnx.Rngs(0))
        for (*parts, name), _ in nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat))):
            keys.add(".".join(map(str, (*parts, FLAX_NAMES.get(name, name)))))
        return model(x)

    channels = incgen.compile_spec(spec).input.channels
    jax.eval_shape(run, jax.ShapeDtypeStruct((2, 12, 12, channels), "float32"))
    return keys


def culprits(names: list[str], trial: Callable[[list[str]], str | None]) -> Iterator[str]:
    """Yield the fewest names that cause a failure, found by bisection, and the failure."""
    fault = trial(names)
    if fault is None:
        return
    half = len(names) // 2
    causes = []
    if half:
        causes = [*culprits(names[:half], trial), *culprits(names[half:], trial)]
    yield from causes or [f"{', '.join(names[:8])}: {fault[:400]}"]


def words_in_roles() -> Iterator[Any]:
    """Yield each word in each role; every run tries each word in one or two."""
    roles = [*ROLES]
    for number, word in enumerate(sorted(KEYWORDS)):
        for role in roles:
            now = (number - roles.index(role)) % len(roles) == 0
            yield pytest.param(word, role, marks=() if now else pytest.mark.slow)


@pytest.mark.parametrize(("word", "role"), [*words_in_roles()])
def test_a_word_of_the_language_is_no_name(word: str, role: str) -> None:
    first, *_ = errors(ROLES[role]([word]))

    assert first.span is not None and word in first.span.text.split()
    assert f"`{word}`" in first.message


@pytest.fixture
def float64() -> Iterator[None]:
    with precision("float64"):
        yield


@pytest.mark.parametrize("role", ROLES)
def test_a_name_is_refused_or_works(role: str, tmp_path: Path, float64: None) -> None:
    """Each name is tried in one role; every name is tried, and every role."""
    check(role, tried()[list(ROLES).index(role) :: len(ROLES)], tmp_path)


@pytest.mark.slow  # above, each name is tried in one role
@pytest.mark.parametrize("role", ROLES)
def test_every_name_is_refused_or_works(role: str, tmp_path: Path, float64: None) -> None:
    check(role, tried(), tmp_path)


def check(role: str, names: list[str], folder: Path) -> None:
    """Check that each name is refused in a role, or works there."""
    rounds = [names]
    if role in SPLIT or role.startswith("parameter"):
        # Keras takes no deeper model, and no list of the language may have 1,000 tokens.
        rounds = [names[start : start + 200] for start in range(0, len(names), 200)]
    faults = []
    for part in rounds:
        out = refused(part, ROLES[role])
        left = [name for name in part if name not in out]
        faults += culprits(left, lambda some: fault_of(ROLES[role](some), folder))
    assert not faults, "\n".join(faults)


#: Names that mean something in generated code, are chosen by it, or belong to Python.
COMMON = (
    *("i", "j", "l", "O", "condition", "module", "residual", "outputs", "kernel", "padding"),
    *("forward", "type", "training", "Ellipsis", "id", "none", "value_error", "lambda", "f", "F"),
    *("nn", "torch", "tensor", "layers", "ops", "keras", "x", "self", "name", "input_shape"),
    *("nnx", "jax", "jnp", "rngs", "partial", "Array", "Named", "Branches", "names", "sow"),
    *("own_output", "Own", "IBlock", "IUnit", "I2", "scale_2d", "Scale", "L2", "load_file"),
    *(f"i_{end}" for end in ("2", "channels", "height", "value", "block", "unit", "1d", "2d")),
)


def everywhere(kind: str, names: tuple[str, ...]) -> str:
    """Return a spec that uses each name in as many roles as it may have at once."""
    head, parameters, uses, origins, inside = [], [], [], [], []
    for number, name in enumerate(dict.fromkeys(names)):
        own = f"own_p{number}" if parameter_fault(name) else name
        label = f"own_l{number}" if label_fault(name) else name
        if kind == "block":
            window = ""
            head.append(f"block {name}({own}) {{\n{label}: conv 1x1 {own} -> scale {own}\n}}")
        else:
            window = "1x1 "
            head.append(f"unit {name} = conv -> relu")
        parameters.append(f"{own}=2")
        uses += [f"{label}: {name} {window}{own}", f"if {own} > 1 {{ scale {own} }}"]
        origins.append(f"from {label}")
        inside.append(f"{label}: {name} {window}2")
    lines = (
        *("numerics torch", *head, f"network own({', '.join(parameters)}) {{", "input 12x12 2"),
        *(*uses, "own_a: repeat 2 {", *inside, "own_b: repeat 2 {", *inside, "}", "}"),
        *("add {", "identity", *origins, "}"),
        *("own_c: {", "relu", "own_d: add {", "identity", *origins, "}", "}", "}"),
    )
    return "\n".join(lines)


@pytest.mark.slow  # what has one name each is tried in every run
@pytest.mark.parametrize("kind", ["block", "unit"])
def test_one_name_for_all_that_it_can_name(kind: str, tmp_path: Path, float64: None) -> None:
    assert fault_of(everywhere(kind, COMMON), tmp_path) is None
