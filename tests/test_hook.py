"""`import incgen.hook`: specs as modules, what they cost, and what their tracebacks show."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module, reload
from pathlib import Path
from types import ModuleType

import pytest

from incgen import api
from incgen.base import cache
from incgen.base.diagnostics import SpecError
from incgen.compiling import compile_spec
from incgen.importing import caching, finding
from incgen.importing.places import with_places

UNITS = """\
unit conv_bn = conv bias=false -> bn -> relu
"""
NET = """\
numerics torch

use conv_bn from "parts.inc"

block part(n) {
    concat {
        left: conv_bn 1x1 n
        right: { conv_bn 1x1 n -> conv_bn 3x3 n }
    }
}

network net(classes = 10) {
    input 32x32 3
    stem: conv_bn 3x3 8
    body: part 4
    global_avg_pool
    dense classes
}
"""


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for caches; the tables of the grammar are made once in it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder on the path of modules with specs in it; forget all imports afterwards."""
    (tmp_path / "project" / "nets").mkdir(parents=True)
    (tmp_path / "project" / "nets" / "net.inc").write_text(NET, "utf-8")
    (tmp_path / "project" / "nets" / "parts.inc").write_text(UNITS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "project")
    monkeypatch.setenv("INCGEN_CACHE", str(cached))
    cache._folder.cache_clear()
    before, finders = set(sys.modules), list(sys.meta_path)
    finding.install()
    yield tmp_path / "project"
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("nets", "net", "parts"):
            del sys.modules[name]
    cache._folder.cache_clear()


def module(name: str) -> ModuleType:
    return import_module(name)


# ---------------------------------------------------------------- what is found


def test_a_spec_is_a_package_with_a_module_for_each_target() -> None:
    import torch

    net = module("nets.net")
    code = module("nets.net.torch")

    assert net.torch is code
    model = code.Net(classes=3).eval()
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert dir(net) == ["flax", "keras", "network", "torch"]
    assert net.network.shapes["body"].sizes == (8, 32, 32)
    assert net.network is net.network
    assert net.__file__.endswith("net.inc")


def test_every_form_of_import_works() -> None:
    scope: dict[str, object] = {}
    exec("from nets.net.torch import Net\nfrom nets.net import torch as code", scope)
    exec("from nets import net\nimport nets.net.torch\nfrom nets.net import network", scope)

    assert scope["code"] is module("nets.net.torch")
    assert scope["Net"] is scope["code"].Net  # type: ignore[attr-defined]
    assert scope["net"] is module("nets.net")
    assert scope["network"] is module("nets.net").network


def test_a_spec_at_the_top_of_the_path_is_found_too(project: Path) -> None:
    (project / "net.inc").write_text("network net {\n    input 8x8 3\n    relu\n}\n", "utf-8")

    assert module("net").network.name == "net"
    assert module("net.torch").Net is not None


def test_whatever_has_the_name_already_comes_first(project: Path) -> None:
    (project / "nets" / "net.py").write_text("here = True\n", "utf-8")

    assert module("nets.net").here


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nets.other", "No module named 'nets.other'"),
        ("nets.net.tourch", "No module named 'nets.net.tourch'"),
        ("nets.net.torch.more", "No module named 'nets.net.torch.more'"),
    ],
)
def test_what_is_no_spec_is_not_found(name: str, message: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=message):
        module(name)


def test_an_unknown_name_of_a_spec_is_answered_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"`net\.inc` has network, torch, keras, flax, not"):
        _ = module("nets.net").tourch


def test_it_is_installed_once() -> None:
    import incgen.hook

    before = list(sys.meta_path)
    reload(incgen.hook)
    finding.install()

    assert sys.meta_path == before
    assert sum(isinstance(finder, finding.SpecFinder) for finder in before) == 1


def test_a_model_can_be_pickled() -> None:
    net = module("nets.net.torch").Net()

    assert type(pickle.loads(pickle.dumps(net))) is type(net)
    assert type(net).__module__ == "nets.net.torch"


# ---------------------------------------------------------------- faults


def test_a_faulty_spec_is_an_import_error_with_the_report(project: Path) -> None:
    path = project / "nets" / "net.inc"
    path.write_text(NET.replace("part 4", "prat 4"), "utf-8")

    with pytest.raises(ImportError) as caught:
        module("nets.net.torch")
    assert isinstance(caught.value, SpecError)
    assert str(caught.value).startswith(
        f"{path.as_posix()}:15:11: error[unknown-op]: no op, unit or block named `prat`\n"
    )
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames.count("exec_module") == 1
    assert caught.value.__suppress_context__

    with pytest.raises(ImportError, match="named `prat`"):
        _ = module("nets.net").network

    path.write_text(NET, "utf-8")
    assert module("nets.net.torch").Net is not None


def test_what_a_target_refuses_is_said(project: Path) -> None:
    body = "input 65x65 3\n    s: repeat n { c: conv 3x3/2 8 }\n    d: dense 10"
    spec = f"numerics torch\n\nnetwork net(n = 3) {{\n    {body}\n}}\n"
    (project / "nets" / "net.inc").write_text(spec, "utf-8")

    assert "def net(" in caching.source_of(project / "nets" / "net.inc", "keras", project)[0]
    with pytest.raises(ImportError, match=r"error\[unsupported\]"):
        module("nets.net.torch")


def test_a_missing_framework_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flax", None)
    monkeypatch.setitem(sys.modules, "jax", None)

    with pytest.raises(ModuleNotFoundError, match=r"needs jax: pip install 'incgen\[flax\]'"):
        module("nets.net.flax")


# ---------------------------------------------------------------- the cache


def test_nothing_is_generated_again_until_something_changes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    generate = caching._generated
    monkeypatch.setattr(
        caching, "_generated", lambda *args: made.append(args[1]) or generate(*args)
    )

    def source(target: str = "torch") -> str:
        return caching.source_of(project / "nets" / "net.inc", target, project)[0]

    first = source()
    assert source() == first
    assert made == ["torch"]
    source("flax")
    assert made == ["torch", "flax"]

    parts = project / "nets" / "parts.inc"  # a file that the spec uses
    parts.write_text(UNITS.replace("relu", "tanh"), "utf-8")
    assert ".tanh()" in source()
    assert made == ["torch", "flax", "torch"]

    monkeypatch.setattr(caching, "_stamp", lambda: "another incgen")
    source()
    source()
    assert made == ["torch", "flax", "torch", "torch"]

    parts.unlink()
    with pytest.raises(SpecError, match="there is no file"):
        source()


def test_a_reload_takes_the_spec_as_it_is_now(project: Path) -> None:
    code = module("nets.net.torch")
    path = project / "nets" / "net.inc"
    path.write_text(NET.replace("classes = 10", "classes = 7"), "utf-8")

    assert reload(code).Net().dense.out_features == 7


def test_without_a_cache_lines_are_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCGEN_CACHE", "")
    cache._folder.cache_clear()

    code = module("nets.net.torch")

    assert code.__file__.endswith(os.path.join("nets", "net.inc", "torch.py"))
    assert "class Net(nn.Module):" in inspect.getsource(code.Net)


# ---------------------------------------------------------------- tracebacks


def test_a_traceback_shows_the_generated_line_and_the_line_of_the_spec() -> None:
    import torch

    model = module("nets.net.torch").Net()
    with pytest.raises(RuntimeError) as caught:
        model(torch.zeros(1, 4, 32, 32))

    lines = [
        frame.line
        for frame in traceback.extract_tb(caught.value.__traceback__)
        if frame.filename == module("nets.net.torch").__file__
    ]
    assert lines == [
        "x = self.stem(x)  # (N, 8, 32, 32); nets/net.inc:14",
        "return F.relu(self.bn(self.conv(x)), inplace=True)  # nets/parts.inc:1",
    ]


@pytest.mark.slow
def test_an_uncaught_error_of_a_program_shows_them_too(project: Path) -> None:
    """Python prints such a traceback without asking anybody but the files."""
    program = (
        "import incgen.hook, torch; from nets.net.torch import Net; Net()(torch.zeros(1, 4, 9, 9))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False
    )

    assert "    x = self.stem(x)  # (N, 8, 32, 32); nets/net.inc:14\n" in done.stderr


@pytest.mark.parametrize("target", ["torch", "keras", "flax"])
def test_lines_of_layers_end_in_the_lines_of_the_spec(target: str, project: Path) -> None:
    graph = compile_spec(project / "nets" / "net.inc")
    (chosen,) = api.find_targets([target])
    plain = chosen.emit(graph)

    source = with_places(plain, graph.program, lambda name: name.rpartition("/")[2])

    compile(source, "net.py", "exec")
    for old, new in zip(plain.splitlines(), source.splitlines(), strict=True):
        assert new.startswith(old)
    ends = [line.rpartition("#")[2] for line in source.splitlines() if ".inc:" in line]
    expected = {
        "torch": {
            "self.left = ConvBN(in_channels, n, 1)": "net.inc:7",
            "self.right = nn.Sequential(": "net.inc:8",
            "return torch.cat([self.left(x), self.right(x)], dim=1)": "net.inc:7, net.inc:8",
            "self.body = Part(8, 4)": "net.inc:15",
            "self.dense = nn.Linear(8, classes)": "net.inc:17",
            "self.bn = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)": "parts.inc:1",
        },
        "keras": {
            'x = part(x, 4, name="body")': "net.inc:15",
            'x = layers.Dense(classes, name="dense")(x)': "net.inc:17",
        },
        "flax": {
            "self.left = ConvBN(in_channels, n, 1, rngs=rngs)": "net.inc:7",
            "self.body = Part(8, 4, rngs=rngs)": "net.inc:15",
        },
    }[target]
    assert len(ends) > 8
    for code, place in expected.items():
        (line,) = [line for line in source.splitlines() if line.strip().startswith(code)]
        assert line.endswith(place), line
