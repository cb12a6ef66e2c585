"""`incgen weights`: messages, exit codes, and the frameworks' own files."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from checkpoints import Array, random_arrays, write_npz, write_torch
from safetensors.numpy import save_file

import incgen
from incgen.cli.main import main
from incgen.weights import first
from incgen.weights.readers import open_checkpoint

SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes = 4) {
    input 6x6 3
    a: conv_bn 3x3 8
    b: bn shift=false
    c: bn scale=false variance=biased
    d: separable_conv 3x3 5
    aux side { global_avg_pool
        fc: dense 2 }
    e: dense 7 -> bn
    logits: dense classes
}
"""
LAYOUT = 'convention = "torch"\n[layers]\n"{a}" = "their_{a}"\n"{a}.{b}" = "their_{a}_{b}"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a spec, initial weights and a checkpoint made from them."""
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(SPEC, "utf-8")
    first.write(incgen.compile_spec("net.inc"), "ours.safetensors", 3)
    Path("layouts/net").mkdir(parents=True)
    Path("layouts/net/theirs.toml").write_text(LAYOUT, "utf-8")
    write_torch(Path("theirs.pth"), theirs())
    return tmp_path


def theirs() -> dict[str, Array]:
    shapes = {}
    for key, tensor in incgen.compile_spec("net.inc").tensors().items():
        layer, _, name = key.rpartition(".")
        shapes[f"their_{layer.replace('.', '_')}.{name}"] = tensor.shape
    return random_arrays(shapes)


def run(*arguments: str, without: str = "") -> tuple[int, str, str]:
    """Run a command, `without` a library in a process of its own."""
    if not without:
        with (
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as said,
            pytest.raises(SystemExit) as ended,
        ):
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, out.getvalue(), said.getvalue().rstrip("\n")
    lacking = Path("lacking")  # for the process that reads Keras files too
    lacking.mkdir()
    text = f"raise ModuleNotFoundError('no {without}', name='{without}')\n"
    Path(lacking, f"{without}.py").write_text(text, "utf-8")
    script = (
        f"import sys; sys.path.insert(0, '{lacking}')\nfrom incgen.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = [line for line in done.stderr.splitlines() if not line.startswith(("W0", "I0", "WARN"))]
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, "\n".join(words)


def arrays(path: str | Path) -> dict[str, Array]:
    with open_checkpoint(Path(path)) as checkpoint:
        return {name: stored.values().copy() for name, stored in checkpoint.tensors.items()}


# ---------------------------------------------------------------- import


def test_an_import_says_what_it_did(folder: Path) -> None:
    code, out, said = run("weights", "import", "theirs.pth", "net.inc", "-o", "w.safetensors")

    assert (code, out) == (0, "")
    assert said.endswith(f"wrote w.safetensors ({len(theirs())} tensors, layout theirs)")


def test_an_import_says_what_it_found_and_what_it_drew(folder: Path) -> None:
    import torch

    more = {f"loss.{i}": torch.ones(i) for i in range(5)}
    state = {f"net.{k}": torch.from_numpy(v) for k, v in theirs().items()}
    torch.save({"model": state | more, "ema": state | {"more.weight": torch.ones(2)}}, "x.pth")

    command = ("weights", "import", "x.pth", "net.inc", "-o", "w.safetensors")
    options = ("--part", "model", "--fresh", "logits", "--fresh", "s*", "--seed", "3")
    code, _, said = run(*command, *options, "--set", "classes=9", "--ignore", "ema.*")

    assert code == 0
    assert said.splitlines()[-3:] == [
        f"wrote w.safetensors ({len(theirs())} tensors, layout theirs, part model.net)",
        "note: reinitialised: logits, side.fc",
        "note: not of this network: model.loss.0: 0, model.loss.1: 1, model.loss.2: 2 and 2 more",
    ]


def test_an_export_takes_a_part(folder: Path) -> None:
    import torch

    state = {k: torch.from_numpy(v) for k, v in arrays("ours.safetensors").items()}
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"model": state, "ema": other}, "x.pth")
    command = ("weights", "export", "x.pth", "net.inc", "--format", "npz", "-o", "w.npz")

    code, _, said = run(*command)
    assert code == 2
    assert "  `--part ema`: " in said
    assert run(*command, "--part", "ema")[0] == 0
    assert all(np.array_equal(v, other[k].numpy()) for k, v in arrays("w.npz").items())


def test_settings_that_differ_from_the_published_ones_are_told(folder: Path) -> None:
    text = f"{LAYOUT}[set]\nclasses = 5\nheads = false\n"
    Path("layouts/net/theirs.toml").write_text(text, "utf-8")

    command = ("weights", "import", "theirs.pth", "net.inc", "-o", "w.safetensors")
    code, _, said = run(*command)

    assert code == 0
    note = "note: in the published network it is `--set classes=5 --set heads=false`"
    assert said.splitlines()[-1] == note


def test_what_does_not_fit_is_listed_and_the_exit_code_is_1(folder: Path) -> None:
    tensors = theirs()
    del tensors["their_logits.bias"]
    write_torch(Path("theirs.pth"), tensors)

    code, out, said = run("weights", "import", "theirs.pth", "net.inc", "-o", "w.safetensors")

    assert (code, out) == (1, "")
    assert said.splitlines()[-4:] == [
        "Error: `theirs.pth` does not fit `net` under the layout `theirs`, "
        "which is the closest of 4",
        "  missing (1):",
        "    logits.bias: 4, no `their_logits.bias`",
        "help: `--fresh logits` reinitialises the layer as the spec says",
    ]
    assert not Path("w.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gone.pth", "net.inc"], "Error: `gone.pth` cannot be read: no such file or directory"),
        (
            ["net.inc", "net.inc"],
            "Error: `net.inc` cannot be read: it is a spec by its name, not a weights file",
        ),
        (["theirs.pth", "net.inc", "--layout", "their"], "did you mean `theirs`?"),
        (["theirs.pth", "net.inc", "--set", "clases=3"], "did you mean `classes`?"),
        (["theirs.pth", "net.inc", "--dtype", "int8"], "Invalid value for '--dtype'"),
    ],
)
def test_what_cannot_be_done_is_told_and_the_exit_code_is_2(
    folder: Path, arguments: list[str], says: str
) -> None:
    code, _, said = run("weights", "import", *arguments, "-o", "w.safetensors")

    assert code == 2
    assert says in said
    assert not Path("w.safetensors").exists()


@pytest.mark.parametrize(
    ("library", "file", "says"),
    [
        ("numpy", "theirs.pth", "weights need numpy: pip install 'incgen[weights]'"),
        ("torch", "theirs.pth", "PyTorch files need torch: pip install 'incgen[torch]'"),
        ("h5py", "x.h5", "Keras files need h5py: pip install 'incgen[keras]'"),
        ("tensorflow", "x.ckpt", "TensorFlow checkpoints need tensorflow: pip install"),
        ("flax", "x.msgpack", "Flax files need flax: pip install 'incgen[flax]'"),
    ],
)
def test_a_missing_library_is_an_extra_to_install(
    folder: Path, library: str, file: str, says: str
) -> None:
    Path("x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    Path("x.ckpt").write_bytes(bytes.fromhex("57fb808b247547db"))
    Path("x.msgpack").write_bytes(b"\x80")

    command = ("weights", "import", file, "net.inc", "-o", "w.safetensors")
    code, _, said = run(*command, without=library)

    assert code == 2
    assert says in said


def test_a_library_that_an_export_lacks_is_an_extra_to_install(folder: Path) -> None:
    command = ("weights", "export", "ours.safetensors", "net.inc", "--format", "flax")
    code, _, said = run(*command, "-o", "w.msgpack", without="flax")

    assert code == 2
    assert "Flax files need flax: pip install 'incgen[flax]'" in said
    assert not Path("w.msgpack").exists()


def test_names_in_a_file_cannot_steer_the_terminal(folder: Path) -> None:
    write_npz(Path("x.npz"), {"\x1b[2Jevil": np.ones(1)})
    assert "\x1b" not in run("weights", "show", "x.npz")[1]

    code, _, said = run("weights", "import", "x.npz", "net.inc", "-o", "w.safetensors")

    assert code == 1
    assert "\x1b" not in said and "[2Jevil" in said


# ---------------------------------------------------------------- show


def test_show_prints_where_weights_come_from(folder: Path) -> None:
    run("weights", "import", "theirs.pth", "net.inc", "-o", "w.safetensors")

    code, out, _ = run("weights", "show", "w.safetensors")

    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith(f"tensors     {len(theirs())} with ")
    assert "generator   incgen weights import" in lines
    assert "layout      name theirs" in lines
    assert "checkpoint  file theirs.pth" in lines
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["tensor", "shape", "from"]
    assert table[2].split() == [
        *("a.conv.weight", "8", "x", "3", "x", "3", "x", "3", "their_a_conv.weight")
    ]


def test_show_prints_json_for_programs(folder: Path) -> None:
    run("weights", "import", "theirs.pth", "net.inc", "-o", "w.safetensors")

    code, out, _ = run("weights", "show", "w.safetensors", "--format", "json")

    assert code == 0
    shown = json.loads(out)
    assert shown["metadata"]["generator"] == "incgen weights import"
    assert shown["manifest"]["tensors"]["logits.bias"] == {"from": ["their_logits.bias"]}
    assert shown["tensors"]["logits.bias"] == {"shape": [4], "dtype": "F32"}


@pytest.mark.parametrize("file", ["ours.safetensors", "theirs.pth"])
def test_show_takes_any_file_of_weights(folder: Path, file: str) -> None:
    code, out, _ = run("weights", "show", file)

    assert code == 0
    assert out.splitlines()[-1].split()[0].endswith("logits.bias")


def test_show_lists_the_parts_of_a_file(folder: Path) -> None:
    import torch

    state = {"a.weight": torch.ones(2), "b.weight": torch.ones(3)}
    ema = {name: value.clone() for name, value in state.items()}
    torch.save({"model": state, "ema": {"module": ema}, "best": torch.tensor(1)}, "x.pth")

    _, out, _ = run("weights", "show", "x.pth")
    assert [line for line in out.splitlines() if line.startswith("part ")] == [
        "part        model 2 tensors",
        "part        ema.module 2 tensors",
        "part        . 1 tensor",
    ]
    assert json.loads(run("weights", "show", "x.pth", "--format", "json")[1])["parts"] == {
        **{"model": 2, "ema.module": 2, ".": 1}
    }
    assert "part " not in run("weights", "show", "theirs.pth")[1]


def test_show_lists_the_averages_of_tensorflow(folder: Path) -> None:
    write_npz(Path("x.npz"), random_arrays({"a/w": (2,), "a/w/ExponentialMovingAverage": (2,)}))

    lines = run("weights", "show", "x.npz")[1].splitlines()
    assert lines[1:3] == [
        "part        . 1 tensor",
        "part        ExponentialMovingAverage 1 tensor",
    ]


def test_show_survives_a_manifest_of_somebody_else(folder: Path) -> None:
    from safetensors.numpy import save_file

    for manifest in ("[]", "{", '{"tensors": {"a": 3}, "left": 3, "layout": "x"}', "[" * 100000):
        save_file({"a": np.ones(1)}, "x.safetensors", {"manifest": manifest})
        assert run("weights", "show", "x.safetensors")[0] == 0


# ---------------------------------------------------------------- export


def test_a_state_dict_is_one_that_the_generated_module_loads(folder: Path) -> None:
    import torch

    command = ("weights", "export", "ours.safetensors", "net.inc", "--format", "torch")
    assert run(*command, "-o", "out/w.pth")[0] == 0

    state = torch.load("out/w.pth", weights_only=True)
    module = incgen.load("net.inc", "torch").Net()
    assert list(state) == list(module.state_dict())
    module.load_state_dict(state)
    for key, value in arrays("ours.safetensors").items():
        assert np.array_equal(module.state_dict()[key].numpy(), value)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.keras"])
def test_keras_loads_what_is_exported_for_it(folder: Path, name: str) -> None:
    import keras

    command = ("weights", "export", "ours.safetensors", "net.inc", "--format", "keras")
    code, _, said = run(*command, "-o", name)
    assert code == 0, said

    module = incgen.load("net.inc", "keras")
    if name.endswith(".keras"):
        model = keras.models.load_model(name)
    else:
        model = module.net()
        model.load_weights(name)
    expected = module.net()
    module.load_safetensors(expected, "ours.safetensors")
    pairs = list(zip(model.get_weights(), expected.get_weights(), strict=True))
    assert pairs and all(np.array_equal(a, b) for a, b in pairs)


def test_flax_restores_a_state_with_its_own_functions(folder: Path) -> None:
    import jax
    import jax.numpy as jnp
    from flax import nnx, serialization

    command = ("weights", "export", "ours.safetensors", "net.inc", "--format", "flax")
    code, _, said = run(*command, "-o", "w.msgpack")
    assert code == 0, said

    module = incgen.load("net.inc", "flax")
    model, expected = (module.Net(rngs=nnx.Rngs(seed)) for seed in (0, 1))
    module.load_safetensors(expected, "ours.safetensors")
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    content = Path("w.msgpack").read_bytes()
    values = serialization.from_bytes(nnx.to_pure_dict(state), content)
    nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, values))
    nnx.update(model, state)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("f4")
    for train in (True, False):  # the first changes the statistics that the second uses
        for network in (model, expected):
            network.train() if train else network.eval()
        assert jax.tree.all(jax.tree.map(np.array_equal, model(x), expected(x)))


def test_a_flax_state_is_what_flax_would_write_in_the_type_of_the_file(folder: Path) -> None:
    import jax
    from flax import nnx, serialization

    half = {key: values.astype("f2") for key, values in arrays("ours.safetensors").items()}
    write_npz(Path("half.npz"), half)
    incgen.export_weights("half.npz", "net.inc", "w.msgpack", format="flax")

    module = incgen.load("net.inc", "flax")
    model = module.Net(rngs=nnx.Rngs(0))
    module.load_safetensors(model, "ours.safetensors")
    state = nnx.to_pure_dict(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    actual, expected = (
        serialization.msgpack_restore(content)
        for content in (Path("w.msgpack").read_bytes(), serialization.to_bytes(state))
    )
    assert {value.dtype.name for value in jax.tree.leaves(actual)} == {"float16"}
    equal = jax.tree.map(lambda a, b: np.array_equal(a, b.astype("f2")), actual, expected)
    assert jax.tree.all(equal)


def test_arrays_under_our_keys(folder: Path) -> None:
    command = ("weights", "export", "ours.safetensors", "net.inc", "--format", "npz")
    assert run(*command, "-o", "w.npz")[0] == 0

    actual, expected = arrays("w.npz"), arrays("ours.safetensors")
    assert list(actual) == list(expected)
    assert all(np.array_equal(actual[key], expected[key]) for key in actual)


@pytest.mark.parametrize("name", ["w.pth", "w.weights.h5", "w.keras", "w.msgpack", "w.npz"])
def test_what_is_exported_can_be_imported(folder: Path, name: str) -> None:
    form = {"w.pth": "torch", "w.msgpack": "flax", "w.npz": "npz"}.get(name, "keras")
    incgen.export_weights("ours.safetensors", "net.inc", name, format=form)

    incgen.import_weights(name, "net.inc", "again.safetensors")

    actual, expected = arrays("again.safetensors"), arrays("ours.safetensors")
    assert list(actual) == list(expected)
    assert all(np.array_equal(actual[key], expected[key]) for key in actual)


@pytest.mark.parametrize("name", ["w.pth", "w.weights.h5", "w.npz"])
def test_what_lies_in_another_order_is_exported_in_that_of_its_axes(
    folder: Path, name: str
) -> None:
    import torch
    from safetensors.torch import load_file

    state = load_file("ours.safetensors")
    kernels = {key: value for key, value in state.items() if value.ndim == 4}
    assert kernels
    turned = {k: v.contiguous(memory_format=torch.channels_last) for k, v in kernels.items()}
    torch.save(state | turned, "turned.pth")
    form = "torch" if name.endswith("pth") else "npz" if name.endswith("npz") else "keras"

    incgen.export_weights("turned.pth", "net.inc", name, format=form)

    incgen.import_weights(name, "net.inc", "again.safetensors")
    actual, expected = arrays("again.safetensors"), arrays("ours.safetensors")
    assert all(np.array_equal(actual[key], expected[key]) for key in expected)


def test_an_export_takes_what_fits_and_writes_over_nothing(folder: Path) -> None:
    with pytest.raises(incgen.MismatchError, match="does not hold the weights of `net`"):
        incgen.export_weights("theirs.pth", "net.inc", "w.pth", format="torch")
    with pytest.raises(incgen.MismatchError, match="misshapen"):
        incgen.export_weights(
            "ours.safetensors", "net.inc", "w.pth", {"classes": 5}, format="torch"
        )
    with pytest.raises(incgen.OutputError, match=r"format flax ends in `\.msgpack`"):
        incgen.export_weights("ours.safetensors", "net.inc", "w.npz", format="flax")
    with pytest.raises(incgen.OutputError, match=r"ends in `\.pth` or `\.pt`"):
        incgen.export_weights("ours.safetensors", "net.inc", "w.npz", format="torch")
    with pytest.raises(incgen.WeightsError, match="there is no format `onnx`"):
        incgen.export_weights("ours.safetensors", "net.inc", "w.pth", format="onnx")
    Path("w.pth").write_bytes(b"precious")
    with pytest.raises(incgen.OutputError, match="exists: overwrite it with --force"):
        incgen.export_weights("ours.safetensors", "net.inc", "w.pth", format="torch")
    assert Path("w.pth").read_bytes() == b"precious"
    incgen.export_weights("ours.safetensors", "net.inc", "w.pth", format="torch", force=True)
    assert {path.name for path in folder.iterdir()} == {
        *("net.inc", "layouts", "ours.safetensors", "theirs.pth", "w.pth")
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.full(4, np.nan, "f4"), "logits.bias: it has NaN or infinite values"),
        (np.full(4, np.inf, "f8"), "logits.bias: it has NaN or infinite values"),
        (np.ones(4, "i8"), r"logits.bias: it has integers \(int64\)"),
    ],
    ids=["nan", "infinity", "integers"],
)
def test_an_export_refuses_values_that_an_import_refuses(
    value: Array, says: str, folder: Path
) -> None:
    write_npz(Path("w.npz"), arrays("ours.safetensors") | {"logits.bias": value})
    for convert in (
        lambda: incgen.export_weights("w.npz", "net.inc", "w.pth", format="torch"),
        lambda: incgen.import_weights("w.npz", "net.inc", "w.safetensors"),
    ):
        with pytest.raises(incgen.MismatchError, match=says):
            convert()

    assert not Path("w.pth").exists()


def test_an_export_does_not_follow_links(folder: Path) -> None:
    Path("precious").write_bytes(b"precious")
    for target in ("precious", "gone"):
        Path(f"{target}.pth").symlink_to(target)

        with pytest.raises(incgen.OutputError, match="is a symbolic link"):
            incgen.export_weights(
                "ours.safetensors", "net.inc", f"{target}.pth", format="torch", force=True
            )

        assert Path(f"{target}.pth").is_symlink()
    assert Path("precious").read_bytes() == b"precious"


def test_an_export_that_finds_no_room_is_told(folder: Path) -> None:
    """A limit on file size fails in the libraries just as a full disk does."""
    size = Path("ours.safetensors").stat().st_size
    Path("w.pth").write_bytes(b"precious")
    said = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, form, room in [
        ("w.pth", "torch", 2000),
        ("w.npz", "npz", 2000),
        ("w.weights.h5", "keras", 2000),
        ("w.keras", "keras", size + 500),
        ("w.msgpack", "flax", 1000),
    ]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(incgen.OutputError) as told:
                incgen.export_weights("ours.safetensors", "net.inc", name, format=form, force=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert str(told.value).startswith(f"`{name}` cannot be written")
        said.append(str(told.value))

    assert all("File too large" in line or "file too large" in line for line in said), said
    assert Path("w.pth").read_bytes() == b"precious"
    assert {path.name for path in folder.iterdir()} == {
        *("net.inc", "layouts", "ours.safetensors", "theirs.pth", "w.pth")
    }


@pytest.mark.parametrize(("gamma", "fits"), [(1.0, True), (0.5, False)])
def test_a_gamma_without_a_place_is_not_dropped_unless_it_is_one(
    folder: Path, gamma: float, fits: bool
) -> None:
    held = {**arrays("ours.safetensors"), "c.weight": np.full(8, gamma, np.float32)}
    save_file(held, "more.safetensors")

    if fits:
        incgen.export_weights("more.safetensors", "net.inc", "w.npz", format="npz")
        assert "c.weight" not in np.load("w.npz")
    else:
        with pytest.raises(incgen.MismatchError, match=r"`c\.weight` is not 1 everywhere"):
            incgen.export_weights("more.safetensors", "net.inc", "w.npz", format="npz")
