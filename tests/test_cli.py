"""The commands: what they print where, and their exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from incgen import __version__, api, compiling, inference
from incgen.cli import main as cli
from incgen.cli import terminal as cli_terminal
from incgen.cli.reports import coloured
from incgen.diff import comparing
from incgen.draw import drawing
from incgen.graph.nodes import Graph
from incgen.starting import projects
from incgen.syntax import format as layout
from incgen.syntax import shipped
from incgen.syntax.loader import MAX_BYTES
from incgen.targets import TARGETS
from incgen.targets.shared.analysis import Analysis

SPEC = """\
network net(classes = 10) {
    input 8x8 3
    a: conv 1x1 4
    global_avg_pool
    b: dense classes
}
"""
FAULTY = SPEC.replace("dense", "dens")
UNNAMED = SPEC.replace("a: conv", "conv")


@dataclass(frozen=True)
class Fake:
    """A target whose code needs no framework."""

    name: str
    aliases: tuple[str, ...] = ()
    module: str = ""

    def emit(self, graph: Graph) -> str:
        """Emit two lines, one of them not ASCII."""
        return f"name = '{self.name} é'\nclasses = {graph.parameters.get('classes')}\n"

    def check(self, graph: Graph, analysis: Analysis | None = None) -> None:
        """Refuse what `emit` refuses."""
        self.emit(graph)


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str


class Runner:
    """Runs commands in this process."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch) -> None:
        self.capture, self.patch = capture, patch

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Done:
        """Run one command to its end."""
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "ascii"))
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        out, err = self.capture.readouterr()
        assert isinstance(caught.value.code, int)
        return Done(caught.value.code, out.decode(), err.decode())


@pytest.fixture
def incgen(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Runner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "fake", Fake("fake"))  # type: ignore[arg-type]
    monkeypatch.setitem(TARGETS, "second", Fake("second"))  # type: ignore[arg-type]
    Path("net.inc").write_text(SPEC)
    Path("faulty.inc").write_text(FAULTY)
    Path("unnamed.inc").write_text(UNNAMED)
    return Runner(capfdbinary, monkeypatch)


# ---------------------------------------------------------------- build


def test_build_writes_says_so_and_writes_no_more_than_needed(incgen: Runner) -> None:
    arguments = ("build", "net.inc", "-t", "fake", "--target", "second")

    assert incgen(*arguments) == Done(
        0, "", "wrote generated/net_fake.py\nwrote generated/net_second.py\n"
    )
    assert incgen(*arguments, "--set", "classes=3").code == 0
    assert "classes = 3\n" in Path("generated/net_second.py").read_text("utf-8")
    assert incgen(*arguments, "--set", "classes=3").err.startswith("unchanged generated/")


def test_build_to_standard_output_gives_the_bytes_of_the_file(
    incgen: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    incgen("build", "net.inc", "-t", "fake", "-o", "x.py")

    done = incgen("build", "-", "-t", "fake", "-o", "-", stdin=SPEC.encode())

    assert (done.code, done.err) == (0, "")
    assert done.out == Path("x.py").read_text("utf-8")


def test_build_check_prints_a_diff(incgen: Runner) -> None:
    arguments = ("build", "net.inc", "-t", "fake", "-o", "out/", "--check")

    missing = incgen(*arguments)
    assert missing.code == 1
    assert missing.out.startswith("--- /dev/null\n+++ out/net_fake.py\n")
    assert not Path("out").exists()
    incgen(*arguments[:-1])
    assert incgen(*arguments) == Done(0, "", "")
    differs = incgen(*arguments, "--set", "classes=3")
    why = "was written before its spec or settings changed"
    assert (differs.code, differs.err) == (1, f"out/net_fake.py {why}\n")
    assert "\n-classes = 10\n" in differs.out
    assert "\n+classes = 3\n" in differs.out


def test_build_takes_several_specs(incgen: Runner) -> None:
    Path("other.inc").write_text(SPEC.replace("network net", "network other"))
    Path("parts.inc").write_text("block part(n) {\n    a: conv 1x1 n\n}\n")
    arguments = ("build", "net.inc", "parts.inc", "other.inc", "-t", "fake", "-o", "out/")

    assert incgen(*arguments) == Done(
        0, "", "parts.inc defines no network\nwrote out/net_fake.py\nwrote out/other_fake.py\n"
    )
    assert incgen(*arguments, "--check") == Done(0, "", "parts.inc defines no network\n")
    Path("other.inc").write_text(SPEC.replace("network net", "network other") + "# changed\n")
    assert incgen(*arguments, "--check").code == 0
    differs = incgen(*arguments, "--check", "--set", "classes=3")
    assert differs.code == 1
    assert differs.out.count("+classes = 3\n") == 2


def test_build_of_several_specs_writes_all_or_nothing(incgen: Runner) -> None:
    done = incgen("build", "faulty.inc", "net.inc", "-t", "fake", "-o", "out/")
    assert done.code == 1 and "faulty.inc:5:8: error[unknown-op]" in done.err
    assert incgen("build", "net.inc", "missing.inc", "-t", "fake", "-o", "out/").code == 2
    same = incgen("build", "net.inc", "unnamed.inc", "-t", "fake", "-o", "out/")
    assert same.code == 2
    assert "two specs would be written to `out/net_fake.py`" in same.err
    one = incgen("build", "net.inc", "unnamed.inc", "-t", "fake", "-o", "-")
    assert one.code == 2 and "2 specs need files" in one.err
    assert not Path("out").exists()


def test_a_file_of_a_network_that_has_another_name_now_is_left_over(incgen: Runner) -> None:
    renamed = SPEC.replace("network net", "network other")
    arguments = ("build", "net.inc", "-t", "torch", "-o", "out/")
    incgen(*arguments)
    incgen(*arguments[:-1], "out/my_torch.py")  # a user's own name for the same network
    Path("out/mine_torch.py").write_text("class Mine(object): ...\n")
    Path("net.inc").write_text(renamed)
    what = "the network of net.inc is called `other` now; if so, remove it\n"
    said = f"out/net_torch.py may be left over: {what}"

    assert incgen(*arguments).err == f"wrote out/other_torch.py\n{said}"
    assert incgen(*arguments, "--check") == Done(0, "", said)
    text = Path("out/net_torch.py").read_bytes()  # as a checkout on another system has it
    Path("out/net_torch.py").write_bytes(text.replace(b"\n", b"\r\n"))
    assert incgen(*arguments, "--check") == Done(0, "", said)
    assert incgen("build", "net.inc", "-t", "keras", "-o", "out/").err.endswith(what)
    Path("out/net_torch.py").unlink()
    assert incgen(*arguments, "--check") == Done(0, "", "")
    # a file that was named explicitly says nothing about others in its folder
    incgen("build", "unnamed.inc", "-t", "torch", "-o", "out/")
    assert incgen("build", "net.inc", "-t", "torch", "-o", "out/x.py", "--check").err == (
        "out/x.py does not exist\n"
    )


def test_a_script_of_a_recipe_that_has_another_name_now_is_left_over(incgen: Runner) -> None:
    recipe = "recipe slow for net { batch 8; steps 9; optimizer sgd; rate 0.1 }\n"
    spec = SPEC.replace("8x8 3", "8x8 3 range=[0, 1]") + recipe
    build = ("build", "net.inc", "-t", "torch", "-o", "out/")
    script = "out/train_net_slow_torch.py may be left over: "
    Path("net.inc").write_text(spec)
    assert incgen(*build, "--recipe", "slow").code == 0
    Path("out/train_net_mine_torch.py").write_text('"""Train net by the recipe mine."""\n')

    Path("net.inc").write_text(spec + recipe.replace("slow", "fast"))
    assert incgen(*build, "--recipe", "fast").err.endswith("out/train_net_fast_torch.py\n")
    assert incgen(*build).err == "unchanged out/net_torch.py\n"
    Path("net.inc").write_text(spec.replace("slow", "swift"))
    done = incgen(*build, "--recipe", "swift")
    assert done.err.endswith(f"{script}net.inc has no recipe `slow` now; if so, remove it\n")
    assert "fast" in incgen(*build).err
    Path("net.inc").write_text(spec.replace(" net", " other"))
    what = f"{script}the network of net.inc is called `other` now; if so, remove it\n"
    assert what in incgen(*build, "--check").err


def test_a_script_of_a_recipe_in_a_file_of_its_own_is_not_said_to_be_left_over(
    incgen: Runner,
) -> None:
    recipe = "recipe slow for net { batch 8; steps 9; optimizer sgd; rate 0.1 }\n"
    Path("net.inc").write_text(SPEC.replace("8x8 3", "8x8 3 range=[0, 1]") + recipe)
    Path("own.inc").write_text('use net, slow from "net.inc"\nrecipe fast from slow { batch 9 }\n')
    build = ("build", "own.inc", "--recipe", "fast", "-o", "out/", "-t")
    assert incgen(*build, "torch").code == 0
    script = Path("out/train_net_fast_torch.py").read_text()
    assert "Generated by incgen from own.inc; edit the spec, not this file." in script

    again = incgen(*build, "keras")
    assert again.err == "wrote out/net_keras.py\nwrote out/train_net_fast_keras.py\n"
    assert incgen("build", "net.inc", "-o", "out/").err == "unchanged out/net_torch.py\n"


def test_files_of_other_specs_of_the_same_name_are_not_said_to_be_left_over(
    incgen: Runner,
) -> None:
    """A file names its spec without folders, and standard input always by the same name."""
    renamed = SPEC.replace("network net", "network other")
    for folder, text in (("a", SPEC), ("b", renamed)):
        Path(folder).mkdir()
        Path(folder, "net.inc").write_text(text)
    both = ("build", "a/net.inc", "b/net.inc")

    assert incgen(*both).err == "wrote generated/net_torch.py\nwrote generated/other_torch.py\n"
    assert incgen(*both, "--check") == Done(0, "", "")
    assert incgen("build", "b/net.inc", "--check").code == 0  # it may be, and is not wrong
    incgen("build", "-", "-o", "out/", stdin=SPEC.encode())
    done = incgen("build", "-", "-o", "out/", stdin=renamed.encode())
    assert done == Done(0, "", "wrote out/other_torch.py\n")


def test_what_is_no_file_does_not_stop_a_build(incgen: Runner) -> None:
    Path("generated/x_torch.py").mkdir(parents=True)
    os.mkfifo("generated/y_torch.py")

    assert incgen("build", "net.inc") == Done(0, "", "wrote generated/net_torch.py\n")


@pytest.mark.parametrize("command", ["check", "build", "show", "format"])
def test_a_spec_that_comes_with_incgen_is_named(incgen: Runner, command: str) -> None:
    Path("bn_inception").mkdir()  # is not a spec
    options = {"build": ["-t", "fake", "-o", "-"], "format": ["--check"]}.get(command, [])
    incgen.patch.setattr(Fake, "emit", lambda target, graph: f"{graph.program.file}\n")

    done = incgen(command, "bn_inception", *options)

    assert done.code == 0
    if command == "build":
        assert done.out.endswith("\nbn_inception.inc\n")


def test_a_file_of_that_name_comes_first(incgen: Runner) -> None:
    Path("bn_inception").write_text(SPEC)

    assert incgen("show", "bn_inception").out.startswith("net")


@pytest.mark.parametrize(
    ("given", "help_"),
    [
        ("specs/bn_inception.inc", "`bn_inception` comes with incgen: give its name alone"),
        ("bn_inceptoin", "did you mean `bn_inception`"),
        ("incgen:bn_inception", "`bn_inception` comes with incgen: give its name alone"),
    ],
)
def test_a_spec_that_is_not_there_may_come_with_incgen(
    incgen: Runner, given: str, help_: str
) -> None:
    done = incgen("build", given)

    assert done.code == 2
    assert f"{given}: error[unreadable]: the file cannot be read: no such file" in done.err
    assert f"\nhelp: {help_}" in done.err


def test_parts_that_come_with_incgen_are_used_from_anywhere(incgen: Runner) -> None:
    text = """numerics tf
use conv_bn from "incgen:parts/inception.inc"
use convs from "sub/mine.inc"
network net {
    input 32x32 3
    a: conv_bn 3x3 8
    b: convs
}
"""
    Path("sub").mkdir()
    Path("net.inc").write_text(text)
    Path("sub/mine.inc").write_text(
        'use conv_bn from "incgen:parts/inception.inc"\n'
        "block convs() {\n    a: conv_bn 1x1 4 -> conv_bn 1x1 4\n}\n"
    )

    assert incgen("check", "net.inc") == Done(0, "", "no problems in 1 spec\n")
    Path("net.inc").write_text(text.replace("numerics tf\n", ""))
    assert incgen("check", "net.inc").err.startswith("incgen:parts/inception.inc:7:")
    # the files that a copied spec uses are where it came from
    Path("net.inc").write_text(text.replace("incgen:", ""))
    help_ = 'help: write `"incgen:parts/inception.inc"` for the file that comes with incgen\n'
    assert help_ in incgen("check", "net.inc").err
    Path("net.inc").write_text(text.replace("inception.inc", "inceptoin.inc"))
    missing = incgen("check", "net.inc").err
    assert 'incgen comes with no file called "incgen:parts/inceptoin.inc"' in missing
    assert "help: did you mean `incgen:parts/inception.inc`" in missing
    for path in ("incgen:../setup.py", "incgen:", "incgen:/etc/passwd", "incgen:parts/../x.inc"):
        Path("net.inc").write_text(text.replace("incgen:parts/inception.inc", path))
        assert f'incgen comes with no file called "{path}"' in incgen("check", "net.inc").err


def test_build_refuses_until_forced(incgen: Runner) -> None:
    Path("x.py").write_text("mine\n")
    arguments = ("build", "net.inc", "-t", "fake", "-o", "x.py")

    done = incgen(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: `x.py` was not generated by incgen: ")
    assert incgen(*arguments, "--force").code == 0


def test_build_of_a_faulty_spec_writes_nothing(incgen: Runner) -> None:
    done = incgen("build", "faulty.inc", "-t", "fake")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "faulty.inc:5:8: error[unknown-op]: no op, unit or block named `dens`\n"
    )
    assert not Path("generated").exists()


def test_build_says_warnings(incgen: Runner) -> None:
    done = incgen("build", "unnamed.inc", "-t", "fake", "-o", "-")

    assert done.code == 0
    assert done.err.startswith("unnamed.inc:3:5: warning[unnamed]: ")
    assert done.out.startswith("# incgen ")
    assert "name = " in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-t", "fak"), "Error: there is no target `fak`: did you mean `fake`?"),
        (("-t", "fake", "--set", "clases=1"), "no constant `clases`: did you mean `classes`?"),
        (("--set", "classes"), "`classes` is not of the form name=value"),
        (("--set", "classes="), "is not of the form name=value"),
        (("--set", "classes=1 2"), "`classes=1 2`: unexpected `2`"),
        (("--set", "classes=2*3"), "a value is a number, `true`, `false` or a word"),
        (("-t", "fake", "-t", "second", "-o", "x.py"), "`x.py` is one file for 2 targets"),
        (("-t", "fake", "-t", "second", "-o", "-"), "2 targets need files"),
        (("-t", "fake", "-o", "-", "--check"), "--check needs files"),
        (("-t", "fake", "-o", "net.inc/x.py"), "the folder `net.inc` cannot be made"),
        (("--frobnicate",), "a parameter of the network is set by `--set frobnicate=VALUE`"),
    ],
)
def test_usage(incgen: Runner, arguments: tuple[str, ...], message: str) -> None:
    done = incgen("build", "net.inc", *arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


# ---------------------------------------------------------------- check


def test_check_of_good_specs(incgen: Runner) -> None:
    Path("library.inc").write_text("unit a = conv\n")

    assert incgen("check", "net.inc", "library.inc") == Done(0, "", "no problems in 2 specs\n")


def test_check_reports_everything(incgen: Runner) -> None:
    done = incgen("check", "faulty.inc", "unnamed.inc", "faulty.inc")

    assert (done.code, done.out) == (1, "")
    assert done.err.count("error[unknown-op]") == 1
    assert done.err.count("warning[unnamed]") == 1
    assert "\n  |\n5 |     b: dens classes\n  |        ^^^^" in done.err
    assert done.err.endswith("\n\n1 error and 1 warning in 3 specs\n")


def test_check_with_only_warnings_is_a_success(incgen: Runner) -> None:
    assert incgen("check", "unnamed.inc").code == 0


def test_check_concise(incgen: Runner) -> None:
    done = incgen("check", "faulty.inc", "--format", "concise")

    assert done == Done(
        1, "", "faulty.inc:5:8: error[unknown-op]: no op, unit or block named `dens`\n"
    )


def test_check_json(incgen: Runner) -> None:
    done = incgen("check", "-", "net.inc", "--format", "json", stdin=FAULTY.encode())

    (fault,) = json.loads(done.out)
    assert (done.code, done.err) == (1, "")
    assert (fault["file"], fault["line"], fault["column"]) == ("<stdin>", 5, 8)
    assert fault["code"] == "unknown-op"
    assert json.loads(incgen("check", "net.inc", "--format", "json").out) == []


@pytest.mark.parametrize("command", ["check", "build", "show", "format"])
@pytest.mark.parametrize(
    ("name", "why"), [("nowhere.inc", "no such file or directory"), (".", "is a directory")]
)
def test_a_spec_that_is_not_there(incgen: Runner, command: str, name: str, why: str) -> None:
    done = incgen(command, name)

    assert (done.code, done.out) == (2, "")
    assert f"{name}: error[unreadable]: the file cannot be read: {why}\n" in done.err


@pytest.mark.parametrize("name", ["small", "small.inc"])
def test_a_spec_that_is_somewhere_else(incgen: Runner, name: str) -> None:
    Path("specs").mkdir()
    Path("specs/small.inc").write_text(SPEC)
    if name == "small":
        Path(name).mkdir()

    for typed in (name, "specs/small"):
        assert "\nhelp: write `specs/small.inc`\n" in incgen("check", typed).err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("smal.inc", "help: did you mean `small.inc`?"),
        ("small.py", "help: write `small.inc`"),
        ("small_torch.py", "help: write `small.inc`"),
        ("small.safetensors", "the file is a weights file by its name, and a spec ends in `.inc`"),
        ("net.onnx", "the file is an ONNX file by its name, and a spec ends in `.inc`"),
        ("folder", "help: it holds `folder/a.inc` and `folder/b.inc`: give one of them"),
    ],
)
def test_a_spec_that_is_something_else(incgen: Runner, typed: str, said: str) -> None:
    Path("folder").mkdir()
    for name in ("small.inc", "folder/a.inc", "folder/b.inc"):
        Path(name).write_text(SPEC)
    for name in ("small.safetensors", "net.onnx"):
        Path(name).write_bytes(b"\xff\x00")

    for command in ("check", "format"):
        done = incgen(command, typed)

        assert done.code == 2
        assert f"{said}\n" in done.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("chekc net.inc", "there is no command `chekc`: did you mean `check`?"),
        ("summary net.inc", "there is no command `summary`: here it is `incgen show`"),
        ("train net.inc", "there is no command `train`: here it is `incgen build --recipe NAME`"),
        ("nonsense", "there is no command `nonsense`"),
        ("weights load a b", "there is no command `load`: here it is `incgen weights import`"),
        ("build net.inc --onnx", "there is no option `--onnx`: write `--target onnx`"),
        ("build net.inc --tf", "there is no option `--tf`: write `--target tf`"),
        ("build net.inc -t torch keras", "`keras` is no spec: write `--target keras`"),
        ("build net.inc classes=3", "`classes=3` is no spec: write `--set classes=3`"),
        ("show net.inc classes=3", "extra argument (classes=3): write `--set classes=3`"),
        ("check net.inc --set classes 3", "write `--set classes=VALUE`, without blanks"),
        ("build net.inc -o net.onnx", "for an ONNX file, write `--target onnx`"),
        ("build net.inc -o net.pth", "is no name of a source file, which ends in .py"),
        ("draw net.inc net.svg", "(net.svg): write `-o net.svg` for the file to write"),
        ("draw net.inc --format png", "the end of the name says it: `-o net.png`"),
        ("verify net.inc a.pth", "extra argument (a.pth): write `--weights a.pth`"),
        ("diff net.inc HEAD~1", "a revision is given by an option: write `--rev HEAD~1`"),
        ("weights init net.inc -o a.pth", "incgen writes .safetensors, and `.pth` is something"),
        ("weights import net.inc a.pth -o b", "the spec comes last: write `a.pth net.inc`"),
    ],
)
def test_a_command_line_of_another_tool(incgen: Runner, typed: str, said: str) -> None:
    done = incgen(*typed.split())

    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())


@pytest.mark.parametrize("command", ["check", "build", "show", "format"])
def test_standard_input_that_is_no_text(incgen: Runner, command: str) -> None:
    message = "standard input is not UTF-8 text: this is the byte 0xff"
    for text, place in ((b"net\n\xff", "2:1"), ("\ufeff# éé".encode() + b"\xff", "1:5")):
        done = incgen(command, "-", stdin=text)

        assert (done.code, done.out) == (1, "")
        assert f"<stdin>:{place}: error[not-utf8]: {message}\n" in done.err


@pytest.mark.parametrize("command", ["check", "build", "show", "format"])
def test_files_and_standard_input_are_read_alike(incgen: Runner, command: str) -> None:
    wide = SPEC.encode("utf-16")
    Path("wide.inc").write_bytes(wide)
    for name, which in (("-", "standard input"), ("wide.inc", "the file")):
        done = incgen(command, name, stdin=wide)
        assert done.code == 1
        assert f"error[not-utf8]: {which} is UTF-16 text, but a spec is UTF-8\n" in done.err
        assert "help: save the file as UTF-8\n" in done.err
    large = b"#" * (MAX_BYTES + 1)
    Path("large.inc").write_bytes(large)
    for name, which in (("-", "standard input"), ("large.inc", "the file")):
        done = incgen(command, name, stdin=large)
        assert done.code == 1
        assert f"error[too-large]: {which} is larger than {MAX_BYTES} bytes\n" in done.err


def test_a_spec_cannot_steer_the_terminal(incgen: Runner) -> None:
    text = FAULTY.replace("dens classes", "dens classes # \x1b[2J\u202e")

    done = incgen("check", "-", stdin=text.encode())

    assert "dens classes # \ufffd[2J\ufffd\n" in done.err


@pytest.mark.parametrize(
    ("terminal", "variables", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_colour(
    incgen: Runner,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    plain, table = incgen("check", "faulty.inc").err, incgen("show", "net.inc").out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)

    shown = incgen("check", "faulty.inc").err

    assert ("\x1b[31m\x1b[1merror[unknown-op]" in shown) is coloured
    more = "`incgen explain unknown-op` says more about this error\n"
    assert cli.click.unstyle(shown).replace(more, "") == plain
    assert (more in shown) is terminal
    monkeypatch.setenv("COLUMNS", "200")
    printed = incgen("show", "net.inc").out
    assert ("██████████\x1b[0m" in printed) is coloured
    assert cli.click.unstyle(printed) == table


def test_reports_are_coloured_as_those_of_compilers() -> None:
    """The place and message are bold, the gutter blue; the marks have the severity's colour."""
    report = "\n".join(
        [
            "a.inc:6:8: warning[even-window]: an even window",
            "  |",
            "6 | x: a | b",
            "  |    ^ here",
            "note: a fact",
            "help: write `c`",
        ]
    )

    blue, yellow = "\x1b[34m\x1b[1m", "\x1b[33m\x1b[1m"
    assert coloured(report).split("\n") == [
        "\x1b[1ma.inc:6:8: \x1b[0m"
        f"{yellow}warning[even-window]\x1b[0m\x1b[1m: an even window\x1b[0m",
        f"{blue}  |\x1b[0m",
        f"{blue}6 |\x1b[0m x: a | b",
        f"{blue}  |\x1b[0m{yellow}    ^ here\x1b[0m",
        "\x1b[32m\x1b[1mnote: \x1b[0ma fact",
        "\x1b[36m\x1b[1mhelp: \x1b[0mwrite `c`",
    ]


#: Commands, what is slow in them, and what they say meanwhile.
SLOW = [
    ("check net.inc", (api, "check"), "checking net.inc"),
    ("show net.inc", (compiling, "compile_spec"), "compiling net.inc"),
    ("show net.inc --deploy", (inference, "deployed"), "making the table of net.inc"),
    ("format net.inc", (layout, "format_text"), "formatting net.inc"),
    ("draw net.inc", (drawing, "drawn"), "drawing net.inc"),
    ("diff net.inc --set-b classes=3", (comparing, "compare"), "comparing"),
    ("new other", (projects.Project, "files"), "writing the source"),
]


@pytest.mark.parametrize(("command", "part", "said"), SLOW, ids=[row[0] for row in SLOW])
@pytest.mark.parametrize("terminal", [True, False])
def test_what_takes_long_says_so_on_a_terminal(
    incgen: Runner,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    part: tuple[Any, str],
    said: str,
    terminal: bool,
) -> None:
    """After a second; here, at once. The line is gone before anything else is printed."""
    quick = getattr(*part)

    def slow(*given: Any, **named: Any) -> Any:
        time.sleep(0.2)
        return quick(*given, **named)

    monkeypatch.setattr(*part, slow)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(cli_terminal, "_PATIENCE", 0.01)

    done = incgen(*command.split())

    assert done.code == 0
    assert (f"\r\x1b[K{said} ... 0 s\r" in done.err) is terminal
    assert all(rest.startswith("\r\x1b[K") for rest in done.err.split("... 0 s")[1:])


def test_what_is_quick_says_nothing(incgen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    assert incgen("show", "net.inc").err == ""


# ---------------------------------------------------------------- show


def test_show(incgen: Runner) -> None:
    done = incgen("show", "net.inc", "--set", "classes=3")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("net(classes = 3)  from net.inc\n")
    shown = incgen("show", "-", "--format", "json", stdin=SPEC.encode()).out
    assert json.loads(shown)["file"] == "<stdin>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--columns op,shape", "there is no column `shape`: did you mean `share`?"),
        ("--sort cost", "there is no column `cost`: use `op`, `output`,"),
        ("--format json --sort op", "JSON has every column, in order: leave out --columns"),
        ("--numerics --columns op", "--numerics shows no layers: leave out the options for them"),
        ("--recipe x --target torch", "--recipe shows a recipe: leave out the options for"),
        ("--recipe x --format csv", "a recipe has no form csv: use --format json, or leave it out"),
        ("--examples 3", "--examples belongs to --recipe"),
        ("--deploy --columns training-memory", "the form for inference is not trained"),
        ("--target pytroch", "there is no target `pytroch`"),
    ],
)
def test_options_of_show_that_do_not_go_together(
    incgen: Runner, arguments: str, message: str
) -> None:
    done = incgen("show", "net.inc", *arguments.split())

    assert done.code == 2
    assert message in done.err


def test_every_form_of_every_table(incgen: Runner) -> None:
    def first(*arguments: str) -> str:
        done = incgen("show", "net.inc", *arguments)
        assert (done.code, done.err) == (0, "")
        return done.out.split("\n")[0]

    head = "layer,op,output,parameters,multiply-adds,share,torch"
    assert first("--format", "csv", "--target", "pytorch") == head
    assert first("--format", "csv", "--deploy") == head.removesuffix(",torch")
    assert first("--format", "csv", "--numerics") == "op,argument,value,said by,layers"
    head = "| layer | op | output | parameters | multiply-adds | % of multiply-adds |"
    assert first("--format", "markdown", "--deploy") == head
    assert "\n| pass | places |" in incgen("show", "net.inc", "--format=markdown", "--deploy").out
    head = "| op | argument | value | said by | layers |"
    assert first("--format", "markdown", "--numerics") == head


def test_show_needs_a_network(incgen: Runner) -> None:
    done = incgen("show", "-", stdin=b"unit a = conv\n")

    assert done.code == 1
    assert done.err.startswith("<stdin>: error[no-network]: ")


# ---------------------------------------------------------------- format

UGLY = "unit a=conv\n\n\nunit b=a"
NEAT = "unit a = conv\n\nunit b = a\n"


def test_format_in_place(incgen: Runner) -> None:
    Path("a.inc").write_bytes(UGLY.replace("\n", "\r\n").encode())
    Path("a.inc").chmod(0o600)
    Path("link.inc").symlink_to("a.inc")

    assert incgen("format", "link.inc", "net.inc") == Done(0, "", "formatted link.inc\n")
    assert Path("a.inc").read_bytes() == NEAT.replace("\n", "\r\n").encode()
    assert Path("link.inc").is_symlink()
    assert Path("a.inc").stat().st_mode & 0o777 == 0o600
    assert incgen("format", "a.inc") == Done(0, "", "")


def test_format_keeps_what_is_no_text_of_the_spec(incgen: Runner) -> None:
    mark = b"\xef\xbb\xbf"
    Path("a.inc").write_bytes(mark + UGLY.encode())
    os.link("a.inc", "b.inc")

    assert incgen("format", "a.inc").code == 0
    assert Path("b.inc").read_bytes() == mark + NEAT.encode()
    assert incgen("format", "--check", "b.inc").code == 0
    assert incgen("format", "-", stdin=mark + UGLY.encode()).out == "\ufeff" + NEAT


def test_format_leaves_a_read_only_file_and_goes_on(incgen: Runner) -> None:
    for name in ("a.inc", "b.inc"):
        Path(name).write_text(UGLY)
    Path("a.inc").chmod(0o444)

    done = incgen("format", "a.inc", "b.inc")

    assert done.code == 2
    assert done.err.startswith("Error: `a.inc` is read-only: ")
    assert Path("a.inc").read_text() == UGLY
    assert Path("b.inc").read_text() == NEAT


def test_format_of_a_spec_that_comes_with_incgen(incgen: Runner) -> None:
    """The file that is read is the file that is written."""
    Path("shipped").mkdir()
    Path("shipped/ugly.inc").write_text(UGLY)
    incgen.patch.setattr(shipped, "root", lambda: Path("shipped").resolve())

    assert incgen("format", "ugly") == Done(0, "", "formatted incgen:ugly.inc\n")
    assert Path("shipped/ugly.inc").read_text() == NEAT
    assert not Path("ugly").exists()


def test_format_of_standard_input(incgen: Runner) -> None:
    assert incgen("format", "-", stdin=UGLY.encode()) == Done(0, NEAT, "")


def test_format_check_and_diff_write_nothing(incgen: Runner) -> None:
    Path("a.inc").write_text(UGLY)

    assert incgen("format", "--check", "a.inc") == Done(1, "", "would format a.inc\n")
    assert incgen("format", "--check", "net.inc") == Done(0, "", "")
    diff = incgen("format", "--diff", "a.inc")
    assert (diff.code, diff.err) == (0, "")
    assert "-unit a=conv\n+unit a = conv\n" in diff.out
    assert Path("a.inc").read_text() == UGLY


def test_format_of_some_lines(incgen: Runner) -> None:
    Path("a.inc").write_text(UGLY)

    assert incgen("format", "a.inc", "--lines", "2:9").code == 0
    assert Path("a.inc").read_text() == "unit a=conv\n\nunit b = a\n"
    assert incgen("format", "-", "--lines", "1", stdin=UGLY.encode()).out == NEAT.replace(
        "\n\n", "\n\n\n"
    ).replace("b = a\n", "b=a")
    for lines in ("2:1", "0:3", "2-4", "x"):
        done = incgen("format", "a.inc", "--lines", lines)
        assert done.code == 2
        assert f"`{lines}` is not of the form 10:20, or 10 for one line" in done.err
    assert "--lines takes one spec" in incgen("format", "a.inc", "net.inc", "--lines", "1").err


def test_format_reads_the_files_that_a_spec_uses(incgen: Runner) -> None:
    Path("parts.inc").write_text("block wide(n, m) { relu }\nblock narrow(m) { relu }\n")
    Path("a.inc").write_text(
        'use wide, narrow from "parts.inc"\n\nblock all {\n'
        "    # n m\n    a: wide 8 16\n    b: narrow 9\n}\n"
    )

    assert incgen("format", "a.inc").code == 0
    assert Path("a.inc").read_text().split("\n")[3:6] == [
        "    #          n   m",
        "    a: wide    8  16",
        "    b: narrow      9",
    ]


def test_format_goes_on_after_a_fault(incgen: Runner) -> None:
    Path("bad.inc").write_text("unit = \n")
    Path("a.inc").write_text(UGLY)

    done = incgen("format", "bad.inc", "a.inc")

    assert done.code == 1
    assert "bad.inc:1:6: error[" in done.err
    assert Path("bad.inc").read_text() == "unit = \n"
    assert Path("a.inc").read_text() == NEAT


# ---------------------------------------------------------------- diff


def test_diff(incgen: Runner) -> None:
    text = Path("net.inc").read_text()
    assert "classes = 10" in text
    Path("other.inc").write_text(text.replace("classes = 10", "classes = 12"))

    done = incgen("diff", "net.inc", "other.inc")
    assert (done.code, done.err) == (0, "")
    assert "`classes` is `12`, not `10`." in done.out
    assert incgen("diff", "net.inc", "--set-b", "classes=12").out.startswith(
        "net.inc -> net.inc with classes=12\n"
    )
    assert incgen("diff", "net.inc", "other.inc", "--exit-code").code == 1
    assert incgen("diff", "net.inc", "net.inc", "--exit-code").code == 0
    same = incgen("diff", "net.inc", "other.inc", "--set", "classes=3", "--exit-code")
    assert same.out.endswith("\n\nThe networks are the same.\n")
    read = json.loads(incgen("diff", "net.inc", "other.inc", "--format", "json").out)
    assert read["defaults"] == [["classes", "10", "12"]]


def test_diff_of_standard_input(incgen: Runner) -> None:
    spec = Path("net.inc").read_bytes()

    assert incgen("diff", "net.inc", "-", "--exit-code", stdin=spec).code == 0
    assert "only one of the specs" in incgen("diff", "-", "-", stdin=spec).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.inc"], "give a second spec, --rev or --set-b"),
        (["net.inc", "net.inc", "--rev", "HEAD"], "--rev compares A with itself: leave out B"),
        (["git:net.inc", "net.inc"], "`git:net.inc` is not of the form git:REV:path"),
        (["net.inc", "--set-b", "wrong=1"], "no parameter and no constant `wrong`"),
        (["net.inc", "nothing.inc"], "cannot be read"),
    ],
)
def test_diff_that_cannot_be_made(incgen: Runner, arguments: list[str], message: str) -> None:
    done = incgen("diff", *arguments)

    assert done.code == 2
    assert message in done.err


# ---------------------------------------------------------------- weights


def test_weights_init(incgen: Runner) -> None:
    pytest.importorskip("numpy")

    done = incgen("weights", "init", "net.inc", "-o", "w/net.safetensors", "--seed", "3")

    size = Path("w/net.safetensors").stat().st_size
    assert done == Done(0, "", f"wrote w/net.safetensors (4 tensors, {size:,} bytes)\n")
    assert incgen("weights", "init", "net.inc", "-o", "net.inc").code == 2
    assert incgen("weights", "init", "net.inc", "-o", "x", "--seed", "-1").code == 2
    assert Path("net.inc").read_text() == SPEC


# ---------------------------------------------------------------- processes


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "incgen", *arguments]
    return subprocess.run(command, check=False, **{"stderr": subprocess.PIPE, **options})  # type: ignore[call-overload, no-any-return]


def test_version_help_and_no_command(incgen: Runner) -> None:
    assert incgen("--version").out == f"incgen {__version__}\n"
    assert "weights" in incgen("-h").out
    assert incgen().code == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(incgen: Runner) -> None:
    with open("/dev/full", "wb") as full:
        done = run("show", "net.inc", stdout=full)

    assert done.returncode == 2
    assert done.stderr == b"Error: the output cannot be read or written: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")
def test_a_closed_pipe_is_silent(incgen: Runner) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("show", "net.inc", stdout=writer)
    finally:
        os.close(writer)

    assert done.stderr == b""
    assert done.returncode == 1


def test_an_interrupt_is_one_line(incgen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("incgen.compiling.compile_spec", interrupted)

    done = incgen("show", "net.inc")

    assert (done.code, done.out) == (130, "")
    assert done.err.strip() == "incgen: interrupted"


def test_a_fault_of_incgen_is_not_hidden(incgen: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("incgen.compiling.compile_spec", broken)

    with pytest.raises(ZeroDivisionError):
        cli.main(["show", "net.inc"])


# ---------------------------------------------------------------- templates and the project's table


def test_templates_are_listed_printed_and_copied(incgen: Runner) -> None:
    listed = incgen("templates", "pytorch").out.split("\n")
    assert {"module.py.jinja", "macros/ops.jinja", "helpers/Scale.py.jinja"} <= {*listed}

    text = incgen("templates", "torch", "helpers/Scale.py.jinja").out
    assert "class Scale(nn.Module):" in text

    copied = incgen("templates", "torch", "helpers/Scale.py.jinja", "-o", "mine")
    assert copied.err == "wrote mine/torch/helpers/Scale.py.jinja\n"
    assert Path("mine/torch/helpers/Scale.py.jinja").read_text("utf-8") == text

    again = incgen("templates", "torch", "helpers/Scale.py.jinja", "-o", "mine")
    assert (again.code, "exists: overwrite it with --force" in again.err) == (2, True)
    assert incgen("templates", "torch", "Scale").code == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("line_length = 60", "[tool.incgen] has no key `line_length`: use `line-length`"),
        ('line-length = "60"', "`line-length` of [tool.incgen] is not a whole number"),
        ("line-length = true", "`line-length` of [tool.incgen] is not a whole number"),
        ("line-length = 5", "`line-length` of [tool.incgen] is not between 40 and 320"),
        ("templates = 3", "`templates` of [tool.incgen] is not the path of a folder"),
        ("templates = ", "cannot be read: "),
        ('templates = "nowhere"', "there are no templates: none of"),
    ],
)
def test_a_table_of_the_project_that_says_something_else(
    incgen: Runner, table: str, message: str
) -> None:
    Path("pyproject.toml").write_text(f"[tool.incgen]\n{table}\n")

    done = incgen("build", "bn_inception", "-o", "-")

    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    "text",
    [
        "[tool.incgen]\nline-length = 5",
        "[ 'tool' . \"incgen\" ]\nline-length = 5",
        "tool.incgen.line-length = 5",
        "[tool]\nincgen = { line-length = 5 }",
        "tool = { incgen = { line-length = 5 } }",
    ],
)
def test_the_table_of_the_project_is_found_however_it_is_written(incgen: Runner, text: str) -> None:
    Path("pyproject.toml").write_text(f"{text}\n")

    assert "is not between 40 and 320" in incgen("build", "bn_inception", "-o", "-").err


def test_a_project_without_a_table_is_not_read(incgen: Runner) -> None:
    """Reading TOML takes as long as compiling a network."""
    Path("pyproject.toml").write_text("[project]\ndependencies = ['incgen']\nnot TOML\n")

    assert incgen("build", "net.inc", "-t", "fake", "-o", "-").code == 0


def test_the_table_of_the_project_is_used_where_the_command_says_nothing(incgen: Runner) -> None:
    Path("pyproject.toml").write_text("[tool.incgen]\nline-length = 60\ntemplates = 'mine'\n")
    Path("mine/torch").mkdir(parents=True)
    Path("mine/torch/tables.json").write_text('{"bases": {"module": "nn.Own"}}\n')
    Path("inner").mkdir()
    os.chdir("inner")  # the table belongs to a parent folder

    narrow = incgen("build", "bn_inception", "-o", "-").out
    usual, wide = (
        incgen("build", "bn_inception", f"--line-length={columns}", "-o", "-").out
        for columns in (88, 200)
    )

    assert "class BNInception(nn.Own):" in narrow
    assert narrow.count("\n") > usual.count("\n") > wide.count("\n")
