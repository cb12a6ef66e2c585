"""The commands of deployed forms: what they print and write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from incgen.cli.main import commands
from incgen.compiling import RequestError
from incgen.weights.errors import WeightsError

SPEC = """\
numerics caffe
network net(classes = 4) {
    input 8x8 3
    a: conv 3x3 6 bias=false -> bn -> relu
    global_avg_pool
    dropout 0.5
    logits: dense classes
}
"""


@pytest.fixture(autouse=True)
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a spec, and return it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.inc").write_text(SPEC, "utf-8")
    return tmp_path / "net.inc"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, standalone_mode=False)


def test_a_deployed_file_stands_beside_that_of_the_training_form(tmp_path: Path) -> None:
    both = ("--target", "torch", "--target", "keras")
    run("build", "net.inc", *both)
    done = run("build", "net.inc", "--deploy", *both)

    assert done.return_value == 0
    names = [
        f"net{form}_{target}.py" for form in ("", "_deployed") for target in ("keras", "torch")
    ]
    assert sorted(path.name for path in (tmp_path / "generated").iterdir()) == sorted(names)
    text = (tmp_path / "generated" / "net_deployed_torch.py").read_text("utf-8")
    assert "from net.inc with classes=4 for inference; edit" in text
    assert run("build", "net.inc", "--deploy", "--check", *both).return_value == 0
    # other passes make another file, and other parameters too
    assert run("build", "net.inc", "--deploy", "--no-pass", "dropout", "--check").return_value == 1
    assert run("build", "net.inc", "--deploy", "--set", "classes=5", "--check").return_value == 1


def test_passes_are_chosen_by_name() -> None:
    def layers(*options: str) -> list[str]:
        shown = json.loads(run("show", "net.inc", "--deploy", "--format", "json", *options).output)
        return [layer["op"] for layer in shown["layers"][1:]]

    assert layers() == ["conv", "relu", "global_avg_pool", "dense"]
    assert layers("--pass", "dropout") == ["conv", "bn", "relu", "global_avg_pool", "dense"]
    assert layers("--no-pass", "dropout", "--no-pass", "heads") == [
        "conv",
        "relu",
        "global_avg_pool",
        "dropout",
        "dense",
    ]


def test_costs_of_each_pass_are_shown() -> None:
    shown = json.loads(run("show", "net.inc", "--deploy", "--format", "json").output)["deployment"]

    # 3 * 6 * 9 = 162 weights, 12 of the normalisation, 4 * 6 + 4 = 28 of the dense layer; a bias
    # of 6 takes the place of the normalisation
    assert shown["training"]["parameters"] == 202
    assert [row["parameters"] for row in shown["passes"]] == [202, 202, 202, 202, 196]
    assert [row["places"] for row in shown["passes"]] == [0, 1, 0, 0, 1]
    assert shown["left"] == []
    table = run("show", "net.inc", "--deploy").output
    assert table.splitlines()[-1].split()[:3] == ["fold-norm", "1", "4"]


def test_what_is_shown_of_a_deployed_network_says_what_it_is_of(spec: Path) -> None:
    shown = json.loads(run("show", "net.inc", "--deploy", "--format", "json").output)

    assert shown["arguments"] == {"classes": 4}
    first, *_ = run("show", "net.inc", "--deploy").output.splitlines()
    assert first == "net(classes = 4)  from net.inc, for inference"
    spec.write_text(SPEC.replace("(classes = 4)", "").replace("dense classes", "dense 4"), "utf-8")
    first, *_ = run("show", "net.inc", "--deploy").output.splitlines()
    assert first == "net  from net.inc, for inference"
    assert run("show", "net.inc").output.splitlines()[0] == "net  from net.inc"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("build net.inc --pass heads", "--pass belongs to --deploy"),
        ("show net.inc --no-pass heads", "--no-pass belongs to --deploy"),
        ("build net.inc --deploy --recipe x", "--recipe trains a network"),
        ("show net.inc --deploy --numerics", "--deploy and --numerics show different things"),
        ("verify net.inc --deploy --rung 0", "deployed forms are compared on rung 1: add it to 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: str, message: str) -> None:
    done = run(*words.split())

    assert done.exception is not None
    assert message in str(getattr(done.exception, "message", done.exception))


def test_an_unknown_pass_is_refused_with_the_nearest() -> None:
    done = run("build", "net.inc", "--deploy", "--no-pass", "drop-out")

    assert isinstance(done.exception, RequestError)
    assert str(done.exception) == "there is no pass `drop-out`: did you mean `dropout`?"


@pytest.mark.parametrize(
    "words",
    [
        "build net.inc -t onnx --weights folded.safetensors -o net.onnx",
        "build net.inc -t onnx --deploy --weights folded.safetensors -o net.onnx",
        "weights export folded.safetensors net.inc --format npz -o net.npz",
        "weights import folded.safetensors net.inc -o net.safetensors",
    ],
)
def test_folded_weights_are_not_folded_again(words: str, spec: Path) -> None:
    """A factor leaves no trace in the keys."""
    factor = SPEC.replace("6 bias=false -> bn -> relu", "6\n    b: scale 0.5")
    spec.write_text(factor, "utf-8")
    run("weights", "init", "net.inc", "-o", "initial.safetensors")
    deployed = ("--deploy", "--format", "safetensors", "-o")
    run("weights", "export", "initial.safetensors", "net.inc", *deployed, "folded.safetensors")

    done = run(*words.split())

    assert isinstance(done.exception, WeightsError)
    assert str(done.exception) == (
        "`folded.safetensors` holds weights that were deployed by `fold-scale`: "
        "take the file that they were exported from"
    )


def test_weights_that_no_pass_changed_are_those_of_the_training_form() -> None:
    run("weights", "init", "net.inc", "-o", "initial.safetensors")
    made = run(
        *("weights", "export", "initial.safetensors", "net.inc", "--deploy", "--pass", "dropout"),
        *("--format", "safetensors", "-o", "same.safetensors"),
    )
    done = run("weights", "export", "same.safetensors", "net.inc", "--format", "npz", "-o", "x.npz")

    assert made.exception is None and done.exception is None
