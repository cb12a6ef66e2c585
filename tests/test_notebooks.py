"""Networks in notebooks: what objects show, cells that define networks, a notebook as a whole."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

import incgen
from incgen.base.diagnostics import SpecError
from incgen.notebooks.display import Source

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "notebooks.md"
SPEC = """\
numerics torch

block part(n) {
    concat { a: conv 1x1 n; b: { conv 1x1 n -> relu } }
}

network net(classes = 10) {
    input 16x12 3
    stem: conv 3x3 4 -> bn
    body: part 6
    aux side { global_avg_pool -> dense 5 }
    global_avg_pool
    logits: dense classes
}
"""


@pytest.fixture(scope="module")
def net() -> incgen.Network:
    return incgen.Network("net.inc", text=SPEC)


# ---------------------------------------------------------------- the object


def test_a_network_says_what_it_is(net: incgen.Network) -> None:
    assert repr(net) == (
        "<Network net: 3 x 16 x 12 -> logits 10, side 5; 375 parameters, 30.1 k multiply-adds>"
    )
    assert net.name == "net"
    assert net.input.sizes == (3, 16, 12)
    assert {name: shape.sizes for name, shape in net.outputs.items()} == {
        "logits": (10,),
        "side": (5,),
    }
    # stem 3 * 4 * 9 + 4 + 2 * 4; body 2 * (4 * 6 + 6); side 12 * 5 + 5; logits 12 * 10 + 10
    assert net.trained == 120 + 60 + 65 + 130
    assert str(net).startswith("net(classes = 10)  from net.inc\n")
    assert "\nbody " in str(net)
    assert "a" not in [line.split()[0] for line in str(net).splitlines() if line]


def test_shapes_are_those_after_layers_units_blocks_and_chains(net: incgen.Network) -> None:
    shapes = {key: shape.sizes for key, shape in net.shapes.items()}

    assert shapes["input"] == (3, 16, 12)
    assert shapes["stem.0"] == shapes["stem.1"] == shapes["stem"] == (4, 16, 12)
    assert shapes["body.a"] == shapes["body.b"] == shapes["body.b.1"] == (6, 16, 12)
    assert shapes["body"] == (12, 16, 12)
    assert shapes["side"] == (5,)
    assert shapes["logits"] == (10,)


def test_parameters_and_forms_are_those_of_the_api() -> None:
    other = incgen.Network("net.inc", {"classes": 3}, text=SPEC)
    deployed = incgen.Network("net.inc", text=SPEC, deploy=True)

    assert other.outputs["logits"].sizes == (3,)
    assert not any(node.op == "bn" for node in deployed.graph.nodes)
    with pytest.raises(incgen.RequestError, match="no parameter and no constant `class`"):
        incgen.Network("net.inc", {"class": 3}, text=SPEC)
    with pytest.raises(SpecError, match="no op, unit or block named `prat`"):
        incgen.Network("net.inc", text=SPEC.replace("body: part", "body: prat"))


def test_warnings_are_kept() -> None:
    spec = "numerics torch\nnetwork n {\n    input 8x8 3\n    conv 3x3 8\n}\n"

    assert [w.code.value for w in incgen.Network("n.inc", text=spec).warnings] == ["unnamed"]


def test_code_is_that_of_the_api(net: incgen.Network) -> None:
    source = net.source("flax")

    assert isinstance(source, Source)
    assert source == incgen.generate("net.inc", "flax", text=SPEC)
    assert source._repr_markdown_() == f"```python\n{source.rstrip()}\n```"
    assert net.module("torch") is incgen.load("net.inc", "torch", text=SPEC)
    with pytest.raises(incgen.RequestError, match="there is no target `caffe`"):
        net.source("caffe")


def test_models_of_pytorch(net: incgen.Network, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    model = net.torch(classes=3)
    assert isinstance(model, net.module("torch").Net)
    assert model.eval()(torch.zeros(2, 3, 16, 12)).shape == (2, 3)

    save_file(net.torch().state_dict(), tmp_path / "w.safetensors")
    for deploy in (False, True):
        other = incgen.Network(
            "net.inc", text=SPEC, weights=tmp_path / "w.safetensors", deploy=deploy
        )
        first, second = other.torch().eval(), other.torch().eval()
        image = torch.rand(1, 3, 16, 12)
        assert torch.equal(first(image), second(image))


@pytest.mark.slow
def test_models_of_keras_and_flax_load_the_same_weights(
    net: incgen.Network, tmp_path: Path
) -> None:
    import numpy as np
    import torch
    from flax import nnx
    from safetensors.torch import save_file

    model = net.torch().eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    weighted = incgen.Network("net.inc", text=SPEC, weights=tmp_path / "w.safetensors")
    image = np.random.default_rng(1).random((2, 16, 12, 3), np.float32)
    expected = model(torch.from_numpy(image.transpose(0, 3, 1, 2))).detach().numpy()

    of_keras = weighted.keras()(image)["logits"]
    of_flax = weighted.flax()
    of_flax.eval()
    np.testing.assert_allclose(np.asarray(of_keras), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(of_flax(image)), expected, rtol=1e-5, atol=1e-6)
    assert weighted.keras(name="other").name == "other"
    one, same, other = net.flax(), net.flax(), net.flax(rngs=nnx.Rngs(1))
    kernels = [model.logits.kernel[...] for model in (one, same, other)]
    assert (kernels[0] == kernels[1]).all() and (kernels[0] != kernels[2]).any()
    assert net.flax(classes=3).logits.kernel.shape == (12, 3)


# ---------------------------------------------------------------- what notebooks show


def images(html: str) -> list[str]:
    encoded = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return [base64.b64decode(data).decode("utf-8") for data in encoded]


def test_a_network_is_shown_as_its_drawing_and_a_table(net: incgen.Network) -> None:
    bundle = net._repr_mimebundle_()

    assert list(bundle) == ["text/plain", "text/html"]
    assert bundle["text/plain"] == repr(net)
    (svg,) = images(bundle["text/html"])
    assert svg == incgen.drawing("net.inc", text=SPEC).decode("utf-8")
    table = bundle["text/html"][bundle["text/html"].index("<table") :].partition("</table>")[0]
    rows = [
        [cell.text or "" for cell in row]
        for row in ElementTree.fromstring(f"{table}</table>").iter("tr")
    ]
    head = ["layer", "op", "output", "parameters", "multiply-adds", "% of multiply-adds"]
    assert rows[0] == head
    assert rows[1] == ["input", "", "3 x 16 x 12", "", "", ""]
    assert rows[3] == ["body", "part", "12 x 16 x 12", "60", "9,216", "30.6"]
    assert rows[-1] == ["total", "", "", "375", f"{20736 + 9216 + 60 + 120:,}", ""]
    # the longest bar is that of the stem; the body has 9216 of its 20736
    assert re.findall(r"0\.4\) ([0-9.]+)%", table) == ["100.0", "44.4", "0.3", "0.6"]


def test_a_table_has_the_columns_and_the_order_of_the_command(net: incgen.Network) -> None:
    table = net.table(None, columns=["key", "parameters"], sort="parameters", targets=["torch"])

    assert str(table) == repr(table) == table.text
    lines = [line.split() for line in table.text.splitlines()]
    assert ["logits", "logits", "130", "nn.Linear"] in lines
    cells = re.findall(r"<t[hd] [^>]*>([^<]*)<", table._repr_html_())
    assert cells[:4] == ["layer", "key", "parameters", "torch"]
    assert cells[4:8] == ["logits", "logits", "130", "nn.Linear"]
    assert net.table(columns="+stride").text.splitlines()[2].split()[-1] == "stride"
    assert "padding-left: 16px" in net.table(2).html
    with pytest.raises(incgen.RequestError, match="there is no column `color`"):
        net.table(columns="color")
    with pytest.raises(incgen.RequestError, match="there is no target `caffe`"):
        net.table(targets=["caffe"])


def test_only_what_is_asked_for_is_shown(net: incgen.Network) -> None:
    svg = net._repr_mimebundle_(include=["image/svg+xml"])

    assert list(svg) == ["text/plain", "image/svg+xml"]
    assert svg["image/svg+xml"] == net.draw().svg
    assert list(net._repr_mimebundle_(exclude=["text/html"])) == ["text/plain"]


def test_drawings_and_pages_are_shown_and_saved(net: incgen.Network, tmp_path: Path) -> None:
    drawing = net.draw(opened=["body"], heat="parameters", theme="dark", direction="right")
    page = net.explore()

    assert images(drawing._repr_html_()) == [drawing.svg]
    assert 'data-key="body.a"' in drawing.svg
    assert drawing.save(tmp_path / "net.svg").read_text("utf-8") == drawing.svg
    assert page.save(tmp_path / "net.html").read_text("utf-8") == page.html
    frame = page._repr_html_()
    assert frame.startswith('<iframe title="net" ')
    assert frame.count('"') == 6  # nothing in the page ends the attribute
    assert (repr(drawing), repr(page)) == ("Drawing(title='net')", "Page(title='net')")
    with pytest.raises(incgen.DrawError, match="no unit or block `bodi`"):
        net.draw(opened=["bodi"])


# ---------------------------------------------------------------- cells


class Shell:
    """IPython as a kernel runs it, without a history of its own."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        self.shell = InteractiveShell.instance(config=config)
        self.printed = ""

    def run(self, cell: str) -> ExecutionResult:
        """Run a cell; what it prints, errors included, is in `printed`."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            result = self.shell.run_cell(cell, store_history=True)
        self.printed = re.sub("\x1b\\[[0-9;]*m", "", out.getvalue())
        return result

    @property
    def names(self) -> dict[str, Any]:
        """Return the variables of the notebook."""
        return self.shell.user_ns


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    hooked = sys.displayhook, sys.excepthook
    shell = Shell()
    shell.run("%load_ext incgen")
    yield shell
    InteractiveShell.clear_instance()
    sys.displayhook, sys.excepthook = hooked


def test_a_cell_defines_a_network_and_shows_it(shell: Shell) -> None:
    result = shell.run(f"%%inc\n{SPEC}")

    assert result.success
    assert result.result is shell.names["net"]
    assert isinstance(result.result, incgen.Network)
    assert shell.printed == f"Out[2]: {result.result!r}\n"
    assert shell.names["net"].graph.nodes[1].span.line == 10  # of the cell, whose first is %%inc


def test_a_cell_can_name_its_network_and_set_parameters(shell: Shell) -> None:
    shell.run(f"%%inc other --set classes=3 --quiet\n{SPEC}")

    assert shell.printed == ""
    assert shell.names["other"].outputs["logits"].sizes == (3,)
    assert "net" not in shell.names


def test_a_cell_can_give_a_model(shell: Shell) -> None:
    import torch

    result = shell.run(f"%%inc model -t pytorch\n{SPEC}")

    assert isinstance(result.result, incgen.Network)
    assert isinstance(shell.names["model"], torch.nn.Module)


def test_a_cell_uses_the_files_beside_the_notebook(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "parts.inc").write_text("block part() {\n    relu\n}\n", "utf-8")

    shell.run('%%inc -q\nuse part from "parts.inc"\nnetwork n {\n    input 8x8 3\n    part\n}')

    assert shell.names["n"].name == "n"


def test_an_error_is_shown_at_the_line_of_the_cell_and_nothing_else(shell: Shell) -> None:
    result = shell.run("%%inc\nnetwork n {\n    input 8x8 3\n    rellu\n}")

    assert isinstance(result.error_in_exec, SpecError)
    assert shell.printed == (
        "In[2]:4:5: error[unknown-op]: no op, unit or block named `rellu`\n"
        "  |\n"
        "4 |     rellu\n"
        "  |     ^^^^^\n"
        "help: did you mean `relu` or `relu6`?\n"
    )
    assert "n" not in shell.names


def test_an_error_in_a_file_is_shown_as_its_report(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bad.inc").write_text("network n {\n    rellu\n}\n", "utf-8")

    result = shell.run('import incgen\n\nincgen.Network("bad.inc")')

    assert isinstance(result.error_in_exec, SpecError)
    assert shell.printed.startswith("bad.inc:1:9: error[no-input]: ")
    assert "Traceback" not in shell.printed


def test_a_warning_is_printed_and_the_network_defined(shell: Shell) -> None:
    shell.run("%%inc -q\nnumerics torch\nnetwork n {\n    input 8x8 3\n    conv 3x3 8\n}")

    assert shell.printed.startswith("In[2]:5:5: warning[unnamed]: `conv` has parameters but")
    assert shell.names["n"].trained == 224


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--target caffe2", "there is no target `caffe2`"),
        ("--set q=1", "the spec has no parameter and no constant `q`"),
        ("--set q", "`q` is not of the form name=value"),
        ("--set q={", "`q={`: "),
        ("my-net", "`my-net` cannot name a variable"),
        ("--quite", "unrecognized arguments: --quite"),
    ],
)
def test_a_mistake_in_the_first_line_is_one_line(
    line: str, message: str, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shell.run(f"%%inc {line}\nnetwork n {{\n    input 8x8 3\n    relu\n}}")

    assert not result.success
    said = (shell.printed + capsys.readouterr().err).strip()
    assert said.startswith(f"UsageError: {message}")
    assert "\n" not in said
    assert "n" not in shell.names


def test_the_magic_is_documented(shell: Shell) -> None:
    shell.run("print(get_ipython().magics_manager.magics['cell']['inc'].__doc__)")

    assert "Define a network by the spec in this cell, and show it." in shell.printed
    assert "--target" in shell.printed


_FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_cells_of_the_page_run(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep as text behind each cell what the cell shows."""
    monkeypatch.delitem(sys.modules, "incgen.hook", raising=False)  # another test has taken it out
    (tmp_path / "specs").mkdir()
    shutil.copy(ROOT / "specs" / "bn_inception.inc", tmp_path / "specs")
    sys.path.insert(0, str(tmp_path))
    before, finders = set(sys.modules), list(sys.meta_path)
    shell = Shell()
    try:
        fences = _FENCE.findall(PAGE.read_text("utf-8"))
        for number, (kind, text) in enumerate(fences):
            said = fences[number + 1][1] if fences[number + 1 :] else ""
            if kind == "python":
                result = shell.run(text)
                wrong = isinstance(result.error_in_exec, SpecError)
                assert result.success or wrong, shell.printed
                if wrong:
                    assert re.sub(r"In\[\d+\]", "In[6]", shell.printed) == said
        assert type(shell.names["model"]).__module__ == "specs.bn_inception.torch"
    finally:
        sys.path.remove(str(tmp_path))
        sys.meta_path[:] = finders
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "specs":
                del sys.modules[name]


# ---------------------------------------------------------------- a whole notebook


@pytest.mark.slow
def test_the_notebook_of_the_examples_runs(tmp_path: Path) -> None:
    """In a kernel of its own, as Jupyter runs it."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    nbformat.validate(book)
    assert not any(cell.get("outputs") for cell in book.cells)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")

    client = NotebookClient(book, timeout=300, allow_errors=True)
    client.execute(cwd=str(tmp_path))

    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    errors = [
        (cell.source, output)
        for cell in codes
        for output in cell.outputs
        if output.output_type == "error"
    ]
    (wrong,) = errors
    assert wrong[1].ename == "CellError"
    plain = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(wrong[1].traceback))
    assert re.match(r"In\[\d+\]:6:11: error\[unknown-op\]: .*`convv`\n", plain), plain
    assert "Traceback" not in plain
    shown = [set(output.get("data", {})) for cell in codes for output in cell.outputs]
    assert {"text/plain", "text/html"} in shown
    assert {"text/plain", "text/markdown"} in shown
