"""Drafts of layout files: which layer is which, by the shapes and the order of tensors."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import random_arrays, write_npz, write_safetensors, write_torch
from published import imported

import incgen
from incgen.cli.main import commands
from incgen.graph.nodes import Graph
from incgen.weights import layout_file, layouts
from incgen.weights.checkpoint import Checkpoint, Stored
from incgen.weights.drafting import Draft, draft, draft_layout
from incgen.weights.generalising import Row, generalised
from incgen.weights.layout import Layout
from incgen.weights.matching import Names

ROOT = Path(__file__).parent.parent
OWN = Path(__file__).parent / "own"

Shapes = dict[str, tuple[int, ...]]


def checkpoint(shapes: Mapping[str, tuple[int, ...]], form: str = "PyTorch") -> Checkpoint:
    """Return tensors with names and shapes only, in this order."""

    def nothing() -> Any:
        raise AssertionError("a draft reads no values")

    return Checkpoint(form, {n: Stored(n, shape, "F32", nothing) for n, shape in shapes.items()})


def conv(name: str, outputs: int, inputs: int, size: int = 1) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, size, size)}


def bn(name: str, channels: int) -> Shapes:
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return {f"{name}.{leaf}": () if leaf[0] == "n" else (channels,) for leaf in leaves}


def graph_of(body: str) -> Graph:
    head = "numerics torch\ndefault conv bias=false\nunit conv_bn = conv -> bn -> relu\n"
    return incgen.compile_spec("net.inc", text=f"{head}network net {{\n input 9x9 3\n{body}\n}}\n")


def drafted(body: str, *tensors: Shapes) -> tuple[Draft, list[str]]:
    """Return a draft, and the lines of its rules with their comments."""
    whole: Shapes = {}
    for shapes in tensors:
        whole |= shapes
    made = draft(graph_of(body), checkpoint(whole), "theirs.pth", {})
    return made, made.text.partition("[layers]\n")[2].splitlines()


# ---------------------------------------------------------------- which layer is which


def test_equal_shapes_are_told_apart_by_order() -> None:
    made, rules = drafted(
        "a: conv_bn 1x1 3\n b: conv_bn 1x1 3\n c: conv_bn 1x1 3",
        *(conv("x", 3, 3), bn("p", 3), conv("y", 3, 3), bn("q", 3), conv("w", 3, 3), bn("r", 3)),
    )

    assert rules == [
        *('"a.conv" = "x"', '"a.bn" = "p"', '"b.conv" = "y"'),
        *('"b.bn" = "q"', '"c.conv" = "w"', '"c.bn" = "r"'),
    ]
    assert (made.layers, made.doubtful, made.missing, made.left) == (6, 0, (), ())


def test_normalisations_may_be_registered_behind_all_convolutions() -> None:
    _, rules = drafted(
        "a: conv_bn 1x1 4\n b: conv_bn 1x1 4",
        *(conv("c1", 4, 3), conv("c2", 4, 4), bn("b1", 4), bn("b2", 4)),
    )

    assert rules == ['"a.conv" = "c1"', '"a.bn" = "b1"', '"b.conv" = "c2"', '"b.bn" = "b2"']


BRANCHES = "concat {\n left: conv 1x1 4\n right: conv 1x1 4\n }"


def test_branches_of_equal_shapes_are_doubtful() -> None:
    made, rules = drafted(BRANCHES, conv("p", 4, 3), conv("q", 4, 3))

    assert rules == [
        *("# doubtful: `q` has the same shapes", '"left" = "p"'),
        *("# doubtful: `p` has the same shapes", '"right" = "q"'),
    ]
    assert made.doubtful == 2


def test_a_normalisation_moves_with_its_convolution() -> None:
    """Theirs lists the shortcut last, and all normalisations have the same shape."""
    made, rules = drafted(
        "add {\n short: { c: conv 1x1 4 -> bn }\n body: conv_bn 3x3 4 -> conv_bn 3x3 4\n }",
        *(conv("conv1", 4, 3, 3), bn("bn1", 4), conv("conv2", 4, 4, 3), bn("bn2", 4)),
        *(conv("down.0", 4, 3), bn("down.1", 4)),
    )

    assert made.doubtful == 0
    assert rules == [
        '"short.c.{i}" = "down.{i}"',
        *('"body.{i}.conv" = "conv{i+1}"', '"body.{i}.bn" = "bn{i+1}"'),
    ]


def test_branches_whose_names_are_alike_are_not() -> None:
    made, rules = drafted(BRANCHES, conv("right_conv", 4, 3), conv("left_conv", 4, 3))

    assert (rules, made.doubtful) == (['"left" = "left_conv"', '"right" = "right_conv"'], 0)


def test_a_branch_that_other_blocks_tell_apart_is_not_doubtful() -> None:
    """Theirs lists the shortcut last. From the first block alone, it could be the other branch."""
    block = (
        " b{n}: {{\n add {{\n shortcut: conv 1x1 {c}\n body: conv 1x1 {m} -> conv 1x1 {c}\n }}\n }}"
    )
    body = "\n".join(block.format(n=n, c=c, m=m) for n, c, m in ((0, 8, 3), (1, 16, 4), (2, 32, 8)))
    shapes = ((0, 3, 8, 3), (1, 8, 16, 4), (2, 16, 32, 8))
    made, rules = drafted(
        body,
        *(
            conv(f"{n}.conv1", m, i) | conv(f"{n}.conv2", c, m) | conv(f"{n}.down", c, i)
            for n, i, c, m in shapes
        ),
    )

    assert made.doubtful == 0
    assert rules == ['"b{i}.shortcut" = "{i}.down"', '"b{i}.body.{j}" = "{i}.conv{j+1}"']


def test_what_has_no_counterpart_is_listed() -> None:
    made, rules = drafted(
        "a: conv 1x1 4\n b: conv 3x3 5", conv("a", 4, 3), bn("aux.bn", 7), conv("aux.conv", 9, 9)
    )

    assert (made.missing, made.left) == (("b",), ("aux.bn", "aux.conv"))
    assert rules == [
        '"a" = "a"',
        "# doubtful: no remaining layer of the checkpoint has the shapes of these",
        '# "b" = "?"  # 5 x 4 x 3 x 3',
    ]
    assert '#   "aux.conv"  9 x 9 x 1 x 1\n# ignore = ["aux*"]\n' in made.text


def test_one_of_theirs_that_is_left_and_fits_as_well_makes_a_doubt() -> None:
    _, rules = drafted("a: conv 1x1 3", conv("p", 3, 3), conv("q", 3, 3))

    assert rules == ["# doubtful: `q` has the same shapes, and is left", '"a" = "p"']


def test_a_file_that_is_sorted_says_so() -> None:
    body = "a: conv 1x1 3\n b: conv 1x1 3"
    made, rules = drafted(body, conv("one", 3, 3), conv("two", 3, 3))

    assert "The file lists tensors by name, so its order says little" in made.text
    assert [line for line in rules if line[0] == "#"] == [
        "# doubtful: `two` has the same shapes",
        "# doubtful: `one` has the same shapes",
    ]
    made, _ = drafted(body, {"a.num_batches_tracked": ()}, conv("one", 3, 3), conv("two", 3, 3))
    assert "so its order says little" in made.text  # counters, of another type, come first
    made, _ = drafted(body, *(conv(f"x.{n}", 3, 3) for n in (10, 9)))
    assert '"a" = "x.9"\n"b" = "x.10"' in made.text  # in numeric, not alphabetical order


@pytest.mark.parametrize(
    ("form", "theirs", "text"),
    [
        (
            "TensorFlow",
            {
                "s/depthwise_weights": (3, 3, 3, 2),
                "s/pointwise_weights": (1, 1, 6, 5),
                "s/BatchNorm/beta": (5,),
                "s/BatchNorm/moving_mean": (5,),
                "s/BatchNorm/moving_variance": (5,),
                "fc/weights": (5, 4),
                "fc/biases": (4,),
            },
            'convention = "slim"\nmissing_gamma = true\n\n[layers]\n"s" = "s"\n'
            '"b" = "s/BatchNorm"\n"fc" = "fc"\n',
        ),
        (
            "Keras",
            {
                "separable_conv2d_7/depthwise_kernel": (3, 3, 3, 2),
                "separable_conv2d_7/pointwise_kernel": (1, 1, 6, 5),
                "batch_normalization_9/gamma": (5,),
                "batch_normalization_9/beta": (5,),
                "batch_normalization_9/moving_mean": (5,),
                "batch_normalization_9/moving_variance": (5,),
                "predictions/kernel": (5, 4),
                "predictions/bias": (4,),
            },
            'convention = "keras"\nnumbered = true\n\n[layers]\n"s" = "separable_conv2d_0"\n'
            '"b" = "batch_normalization_0"\n"fc" = "predictions"\n',
        ),
        (
            "Caffe",
            {
                "dw/weight": (6, 1, 3, 3),
                "pw/weight": (5, 6, 1, 1),
                "norm/mean": (5,),
                "norm/variance": (5,),
                "norm/factor": (1,),
                "scale/scale": (5,),
                "scale/shift": (5,),
                "ip/weight": (4, 5),
                "ip/bias": (4,),
            },
            'convention = "caffe"\n\n[layers]\n"s.depthwise" = "dw"\n"s.pointwise" = "pw"\n'
            '"b" = ["norm", "scale"]\n"fc" = "ip"\n',
        ),
    ],
    ids=["slim", "keras", "caffe"],
)
def test_every_convention(form: str, theirs: Shapes, text: str) -> None:
    graph = graph_of(
        "s: separable_conv 3x3 5 multiplier=2 bias=false\n b: bn\n global_avg_pool\n fc: dense 4"
    )

    made = draft(graph, checkpoint(theirs, form), "x", {})

    lines = [line for line in made.text.splitlines() if not line.startswith("#")]
    assert "\n".join(lines) + "\n" == text
    assert (made.doubtful, made.missing, made.left) == (0, (), ())


#: Shipped layouts that are hard in different ways. All of them would take some minutes.
HARD = [
    "googlenet_bn/torchvision",
    "googlenet/caffe",
    "inception_v1_slim/slim",
    "xception/keras1",
    "xception/timm",
]
PACKAGED = [
    pytest.param(name, id=name, marks=() if name in HARD else pytest.mark.slow)
    for path in sorted((ROOT / "specs" / "layouts").rglob("*.toml"))
    for name in [f"{path.parent.name}/{path.stem}"]
]


@pytest.mark.parametrize("name", PACKAGED)
def test_a_draft_for_a_checkpoint_in_our_order_is_its_layout(name: str) -> None:
    network, _, kind = name.partition("/")
    known = layout_file.read(ROOT / "specs" / "layouts" / network / f"{kind}.toml", kind)
    graph = incgen.compile_spec(ROOT / "specs" / f"{network}.inc", dict(known.settings))
    theirs = listed(graph, known)
    form = {"keras": "Keras", "slim": "TensorFlow", "caffe": "Caffe"}
    convention = known.convention.name

    made = draft(graph, checkpoint(theirs, form.get(convention, "PyTorch")), "x", {})

    layout = layout_file.of_content(tomllib.loads(made.text), "draft", "draft")
    assert listed(graph, layout, theirs) == theirs
    assert (made.missing, made.left, layout.missing_gamma) == ((), (), known.missing_gamma)


def listed(graph: Graph, layout: Layout, among: Collection[str] = ()) -> Shapes:
    """Return the tensors of a checkpoint under a layout, in the order of the network."""
    names = Names(graph, layout)
    shapes: Shapes = {}
    for node in graph.nodes:
        for tensor in node.tensors:
            if layout.missing_gamma and node.op == "bn" and tensor.name == "weight":
                continue
            places = [place for place in names.of(node, tensor.name) if "_or_" not in place[0]]
            places = [place for place in places if place[0] in among] or places
            # Caffe has a normalisation in two layers, of which the second has what is trained
            second = layout.convention.name == "caffe" and node.op == "bn" and tensor.trained
            name, slot = places[-1 if second else 0]
            shape = tensor.shape
            match slot.axes.value, shape:
                case "inputs first", (outputs, inputs, *size):
                    shape = (*size, inputs, outputs)
                case "multiplier last", (outputs, _, *size):
                    shape = (*size, 1, outputs)
            shapes[name] = shape
    return shapes


# ---------------------------------------------------------------- rules


def rules_of(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    made = generalised([Row(ours, (theirs,)) for ours, theirs in rows], ".")
    assert not made.parts
    return {rule.left: rule.right[0] for rule in made.rules}


def test_rows_that_differ_in_numbers_are_one_rule() -> None:
    rows = [(f"s{s}.{i}.conv", f"x.{s - 1}.{2 * i + 1}") for s in (1, 2) for i in range(3)]

    assert rules_of(rows) == {"s{i}.{j}.conv": "x.{i-1}.{j*2+1}"}


@pytest.mark.parametrize("mark", "-_")
def test_a_name_may_have_several_numbers_between_its_dots(mark: str) -> None:
    rows = [(f"s{i}.{j}.a", f"s{i}.b{i}{mark}{j + 1}{mark}a") for i in (1, 2) for j in range(3)]

    assert rules_of(rows) == {"s{i}.{j}.a": f"s{{i}}.b{{i}}{mark}{{j+1}}{mark}a"}


def test_a_sum_of_two_numbers() -> None:
    rows = [(f"s{s}.rest.{i}", f"x{s + i + 1}") for s in (0, 3, 6) for i in range(3)]

    assert rules_of(rows) == {"s{i}.rest.{j}": "x{i+j+1}"}


def test_exceptions_have_rows_of_their_own() -> None:
    rows = [(f"a{i}", f"x{i + 3}") for i in range(5)] + [("a5", "x9"), ("a6", "x11")]

    assert rules_of(rows) == {"a{i}": "x{i+3}", "a5": "x9", "a6": "x11"}


def test_rows_without_a_sum_are_split_by_one_number() -> None:
    rows = [(f"s{s}.{i}", f"x{first + i}") for s, first in ((1, 4), (2, 6), (3, 9)) for i in (0, 1)]

    assert rules_of(rows) == {"s1.{i}": "x{i+4}", "s2.{i}": "x{i+6}", "s3.{i}": "x{i+9}"}


def test_numbers_with_zeros_in_front_are_text() -> None:
    rows = [(f"a{i}", f"x0{i}") for i in range(1, 4)]

    assert rules_of(rows) == {"a1": "x01", "a2": "x02", "a3": "x03"}


def test_ends_that_units_share_become_parts() -> None:
    rows = [
        Row(f"{unit}.{end}", (f"{theirs}.{number}",))
        for unit, theirs in (("a", "p"), ("b", "q"), ("c", "r"))
        for number, end in enumerate(("conv", "bn"))
    ]

    made = generalised(rows, ".")

    assert made.parts == {".conv": "{layer}.0", ".bn": "{layer}.1"}
    assert {rule.left: rule.right for rule in made.rules} == {"a": ("p",), "b": ("q",), "c": ("r",)}
    assert made.rules[0].layers == ("a.conv", "a.bn")


# ---------------------------------------------------------------- whole networks, and the command


def test_what_is_too_large_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incgen.weights.aligning.MOST_PAIRS", 3)

    with pytest.raises(incgen.WeightsError, match="2 layers here and 2 there are too many"):
        drafted("a: conv 1x1 3\n b: conv 1x1 3", conv("p", 3, 3), conv("q", 3, 3))


def test_a_name_that_no_layout_can_say_is_told() -> None:
    with pytest.raises(incgen.WeightsError, match=r"`\{x\}` contains a brace"):
        drafted("a: conv 1x1 3", conv("{x}", 3, 3))


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        "mobilenet_v3_small",
        pytest.param("mobilenet_v2", marks=pytest.mark.slow),
        pytest.param("resnet18", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_a_network_of_ones_own_is_torchvisions(name: str, tmp_path: Path) -> None:
    """The draft needs no corrections."""
    import torch
    from safetensors.torch import load_file

    torch.manual_seed(0)
    theirs = getattr(imported("torchvision.models"), name)(weights=None).double().eval()
    random = torch.Generator().manual_seed(1)
    for key, value in theirs.state_dict().items():  # each statistic with distinct numbers
        if key.endswith(("running_mean", "running_var")):
            least = 0.5 if key.endswith("var") else -0.5
            value.copy_(torch.rand(value.shape, generator=random) + least)
    spec = tmp_path / f"{name}.inc"
    spec.write_bytes((OWN / spec.name).read_bytes())
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")

    draft_layout(tmp_path / "theirs.pth", spec, tmp_path / "layouts" / name / "theirs.toml")
    output = tmp_path / "w.safetensors"
    manifest = incgen.import_weights(tmp_path / "theirs.pth", spec, output, dtype="float64")

    assert manifest["layout"]["name"] == "theirs"
    module = incgen.load(spec, "torch")
    ours = next(v for k, v in vars(module).items() if k.lower() == name.replace("_", ""))()
    ours.load_state_dict(load_file(output), strict=False)
    x = torch.randn(2, 3, 65, 79, generator=random, dtype=torch.float64)
    with torch.no_grad():
        expected, actual = theirs(x), ours.double().eval()(x)
    assert expected.std() > 1e-6
    assert float((actual - expected).abs().max() / expected.abs().max()) < 1e-12


def test_the_draft_in_the_documentation() -> None:
    import torch

    with torch.device("meta"):
        theirs = imported("torchvision.models").resnet50(weights=None).state_dict()
    graph = incgen.compile_spec(OWN / "resnet50.inc")

    made = draft(graph, checkpoint({n: (*v.shape,) for n, v in theirs.items()}), "resnet50.pth", {})

    page = (ROOT / "docs" / "weights.md").read_text("utf-8")
    section = page.partition("## Your own networks\n")[2]
    assert made.text == section.partition("```toml\n")[2].partition("```")[0]
    assert f"({made.layers} layers, nothing doubtful)" in section and not made.doubtful


SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes=4) {
    input 8x8 3
    a: conv_bn 3x3 8
    b: conv_bn 3x3 9
    global_avg_pool
    logits: dense classes
}
"""
THEIRS = {
    **conv("f.0", 8, 3, 3),
    **{k: s for k, s in bn("f.1", 8).items() if s},
    **conv("f.2", 9, 8, 3),
    **{k: s for k, s in bn("f.3", 9).items() if s},
    "fc.weight": (4, 9),
    "fc.bias": (4,),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(SPEC, "utf-8")
    write_torch(Path("theirs.pth"), random_arrays(THEIRS))
    return tmp_path


def run(*arguments: str) -> int:
    return int(commands.main(["weights", *arguments], standalone_mode=False) or 0)


def test_the_refusal_names_the_command(folder: Path) -> None:
    with pytest.raises(incgen.MismatchError) as caught:
        incgen.import_weights("theirs.pth", "net.inc", "w.safetensors")

    command = "incgen weights layout theirs.pth net.inc -o layouts/net/NAME.toml"
    assert str(caught.value).splitlines()[-1] == (
        f"help: `{command}` drafts a layout for a file whose layers no layout knows"
    )


def test_the_command_in_a_refusal_can_be_typed(folder: Path) -> None:
    theirs = Path("my file.pth")
    Path("theirs.pth").rename(theirs)
    Path("a b").mkdir()
    for spec, said, output in (
        ("a b/net.inc", "'a b/net.inc'", "'a b/layouts/net/NAME.toml'"),
        ("<stdin>", "-", "layouts/net/NAME.toml"),
    ):
        with pytest.raises(incgen.MismatchError) as caught:
            incgen.import_weights(theirs, spec, "w.safetensors", {"classes": 4}, text=SPEC)

        command = f"incgen weights layout 'my file.pth' {said} -o {output} --set classes=4"
        assert f"help: `{command}` drafts a layout" in str(caught.value)


def test_parameters_can_be_numpys(folder: Path) -> None:
    made = draft_layout("theirs.pth", "net.inc", "x.toml", {"classes": np.int64(4)})

    assert "[set]\nclasses = 4\n" in made.text


def test_a_draft_has_no_more_placeholders_than_a_rule_may_have() -> None:
    rows = []
    for n in (1, 2, 3):
        numbers = ".".join(f"x{n}" for _ in range(9))
        rows.append(Row(numbers, (numbers.replace("x", "y"),)))

    rules = generalised(rows, ".").rules

    assert all(rule.left.count("{") <= 8 for rule in rules)


def test_the_command_writes_what_an_import_finds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("layout", "theirs.pth", "net.inc", "-o", "layouts/net/theirs.toml")
    assert run(*command) == 0
    assert run("import", "theirs.pth", "net.inc", "-o", "w.safetensors") == 0

    assert capsys.readouterr().err.splitlines() == [
        "wrote layouts/net/theirs.toml (5 layers, nothing doubtful)",
        "wrote w.safetensors (12 tensors, layout theirs)",
    ]
    assert Path("layouts/net/theirs.toml").read_text("utf-8") == (
        '# A draft by `incgen weights layout`, from the shapes and the order of "theirs.pth".\n'
        "# Check what is marked as doubtful against the program that wrote the file.\n"
        'convention = "torch"\n\n[layers]\n"a.conv" = "f.0"\n"a.bn" = "f.1"\n"b.conv" = "f.2"\n'
        '"b.bn" = "f.3"\n"logits" = "fc"\n'
    )
    with pytest.raises(incgen.OutputError, match="exists: overwrite it with --force"):
        run(*command)
    assert run(*command, "--force") == 0


def test_the_command_counts_what_is_left_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes = {name: shape for name, shape in THEIRS.items() if not name.startswith("f.2")}
    write_npz(Path("x.npz"), random_arrays(shapes | {"aux.weight": (7, 7), "aux.bias": (7,)}))

    assert run("layout", "x.npz", "net.inc", "-o", "x.toml", "--set", "classes=4") == 0

    assert capsys.readouterr().err.splitlines()[-2:] == [
        "note: 1 layer here has no counterpart; see the file",
        "note: 1 layer of theirs has no counterpart; see the file",
    ]
    assert "[set]\nclasses = 4\n" in Path("x.toml").read_text("utf-8")


def test_what_cannot_be_drafted_is_told(folder: Path) -> None:
    write_npz(Path("x.npz"), random_arrays({"aux.weight": (7, 7)}))
    with pytest.raises(incgen.WeightsError, match="has no layer with the shapes of `net`"):
        draft_layout("x.npz", "net.inc", "x.toml")
    with pytest.raises(incgen.OutputError, match=r"a layout file ends in `\.toml`"):
        draft_layout("x.npz", "net.inc", "x.json")
    Path("x.toml").symlink_to("net.inc")
    with pytest.raises(incgen.OutputError, match="is a symbolic link"):
        draft_layout("theirs.pth", "net.inc", "x.toml", force=True)


def test_names_that_toml_has_to_escape(folder: Path) -> None:
    odd = 'f"\\\n\x7f\u00e9'
    shapes = {name.replace("f.", f"{odd}."): shape for name, shape in THEIRS.items()}
    write_safetensors(Path("x.safetensors"), random_arrays(shapes))
    draft_layout("x.safetensors", "net.inc", "layouts/net/odd.toml")

    manifest = incgen.import_weights("x.safetensors", "net.inc", "w.safetensors")

    assert manifest["tensors"]["a.conv.weight"] == {"from": [f"{odd}.0.weight"]}


# ---------------------------------------------------------------- copies under another name


def test_a_copy_under_another_name_keeps_its_layouts(folder: Path) -> None:
    draft_layout("theirs.pth", "net.inc", "layouts/net/theirs.toml")
    Path("copy.inc").write_text(SPEC.replace("network net", "network copy"), "utf-8")

    manifest = incgen.import_weights("theirs.pth", "copy.inc", "w.safetensors")

    assert manifest["layout"]["name"] == "net/theirs"
    incgen.import_weights("theirs.pth", "copy.inc", "w.safetensors", layout="net/theirs")
    for key, stored in random_arrays(THEIRS).items():
        ours = manifest["tensors"]
        assert [key] in [entry["from"] for entry in ours.values()], stored.shape


def test_a_layout_of_its_own_goes_before_those_of_other_networks(folder: Path) -> None:
    """Even before one that takes other tensors."""
    draft_layout("theirs.pth", "net.inc", "layouts/net/theirs.toml")
    draft_layout("theirs.pth", "net.inc", "layouts/another/first.toml")
    two = random_arrays(THEIRS | {k.replace("f.", "g."): s for k, s in THEIRS.items()})
    write_torch(Path("two.pth"), two)
    other = Path("layouts/another/first.toml")
    other.write_text(f'ignore = ["f.*"]\n{other.read_text("utf-8").replace("f.", "g.")}', "utf-8")
    own = Path("layouts/net/theirs.toml")
    own.write_text(f'ignore = ["g.*"]\n{own.read_text("utf-8")}', "utf-8")

    manifest = incgen.import_weights("two.pth", "net.inc", "w.safetensors")

    assert manifest["layout"]["name"] == "theirs"


def test_an_edited_copy_is_told_which_layers_no_layout_has(folder: Path) -> None:
    draft_layout("theirs.pth", "net.inc", "layouts/net/theirs.toml")
    text = SPEC.replace("network net", "network copy").replace(
        "    global", "    c: bn\n    global"
    )
    Path("copy.inc").write_text(text, "utf-8")

    with pytest.raises(incgen.MismatchError) as caught:
        incgen.import_weights("theirs.pth", "copy.inc", "w.safetensors")

    assert "under the layout `net/theirs`, which is the closest of 4" in str(caught.value)
    assert "c.weight: 9, the layout net/theirs has no rule for it" in str(caught.value)


def test_a_layout_of_another_network_that_is_faulty_is_its_own_affair(folder: Path) -> None:
    draft_layout("theirs.pth", "net.inc", "layouts/net/theirs.toml")
    Path("layouts/other").mkdir()
    Path("layouts/other/bad.toml").write_text("convention = 3\n", "utf-8")

    incgen.import_weights("theirs.pth", "net.inc", "w.safetensors")


def test_a_few_layers_that_are_called_alike_make_no_copy(tmp_path: Path) -> None:
    known = layouts.find(tmp_path / "x.inc", "x", ["conv1.conv", "conv1.bn", "logits"])

    assert [layout.name for layout in known] == ["incgen", "incgen-keras", "incgen-flax"]


def test_a_copy_of_a_shipped_spec_has_its_layouts(tmp_path: Path) -> None:
    graph = incgen.compile_spec(ROOT / "specs" / "bn_inception.inc")
    layers = [node.path for node in graph.nodes if node.tensors]

    names = [layout.name for layout in layouts.find(tmp_path / "mine.inc", "mine", layers)]

    assert names[:3] == ["incgen", "incgen-keras", "incgen-flax"]
    assert {"bn_inception/cadene", "bn_inception/caffe"} <= set(names)
    assert not any("v4" in name or "xception" in name for name in names)
