"""Layout files: their syntax, their errors, and the shipped ones."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from incgen.compiling import compile_spec
from incgen.weights import layout_file, layouts, templates
from incgen.weights.errors import WeightsError
from incgen.weights.layout import AmbiguousError, Layout
from incgen.weights.numbering import renumbered

ROOT = Path(__file__).parent.parent
PACKAGED = sorted((ROOT / "specs" / "layouts").rglob("*.toml"))


def read(folder: Path, text: str) -> Layout:
    path = folder / "theirs.toml"
    path.write_text(text, "utf-8")
    return layout_file.read(path, "theirs")


def rules(folder: Path, text: str) -> Layout:
    return read(folder, f'convention = "torch"\n{text}')


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("rule", "ours", "theirs"),
    [
        ('"a.b" = "x"', "a.b", "x"),
        ('"a.b" = "x"', "a.bb", None),
        ('"a.b" = "x"', "aab", None),  # a dot is a dot
        ('"a.b" = ["x", "y"]', "a.b", "x y"),
        ('"a_{n}.b" = "x{n}y"', "a_3c.b", "x3cy"),
        ('"a_{n}.b" = "x{n}y"', "a_3.c.b", None),  # no dots
        ('"a_{n}.{m}" = "{m}/{n}/{m}"', "a_1.2", "2/1/2"),
        ('"{n}.{n}" = "{n}"', "a.a", "a"),
        ('"{n}.{n}" = "{n}"', "a.b", None),
        ('"a.{n}" = "x{n+1}"', "a.9", "x10"),
        ('"a.{n}" = "x{n-1}"', "a.9", "x8"),
        ('"a.{n}" = "x{n*6+12}"', "a.9", "x66"),
        ('"a.{n}" = "x{n*2}"', "a.9", "x18"),
        ('"a.{n}" = "x{n+1}"', "a.b", None),  # computing is for numbers
        ('"s{s}.{j}" = "f.{s+j+1}"', "s3.4", "f.8"),
        ('"s{s}.{j}" = "f.{s*10-j-1}"', "s3.4", "f.25"),
        ('"s{s}.{j}" = "f.{s+j}.{j}"', "s3.x", None),
    ],
)
def test_a_rule(rule: str, ours: str, theirs: str | None, tmp_path: Path) -> None:
    layers = rules(tmp_path, f"[layers]\n{rule}\n").layers(ours)

    assert layers == tuple((theirs or "").split())


def test_tables_translate_and_limit(tmp_path: Path) -> None:
    text = '[tables.n]\n3a = "4b"\n3c = 7\n[layers]\n"a_{n}" = "x{n}"\n"b_{n}" = "{n+1}"\n'
    layout = rules(tmp_path, text)

    assert layout.layers("a_3a") == ("x4b",)
    assert layout.layers("a_3c") == ("x7",)
    assert layout.layers("a_3d") == ()
    assert layout.layers("b_3c") == ("8",)
    with pytest.raises(templates.TemplateError, match="computes with `4b`"):
        layout.layers("b_3a")


def test_parts_are_the_ends_of_layers_in_units(tmp_path: Path) -> None:
    text = '[parts]\n".conv" = "{layer}"\n".bn" = ["{layer}_bn", "{layer}_scale"]\n'
    layout = rules(tmp_path, f'{text}[layers]\n"a{{n}}" = "x{{n}}"\n"logits" = "fc"\n')

    assert layout.layers("a1.conv") == ("x1",)
    assert layout.layers("a1.bn") == ("x1_bn", "x1_scale")
    assert layout.layers("logits") == ("fc",)
    assert layout.layers("a1.relu") == ()


def test_a_rule_without_placeholders_wins(tmp_path: Path) -> None:
    text = (
        '[parts]\n".conv" = "{layer}"\n[layers]\n"a.{n}" = "x{n}"\n"a.1" = "y"\n"a.2.conv" = "z"\n'
    )
    layout = rules(tmp_path, text)

    assert layout.layers("a.3.conv") == ("x3",)
    assert layout.layers("a.1.conv") == ("y",)
    assert layout.layers("a.2.conv") == ("z",)


@pytest.mark.parametrize(
    ("general", "specific", "ours"),
    [
        ("{a}.{b}", "a.{b}", "a.1"),
        ("{a}.{b}.c", "{a}.1.c", "a.1.c"),
        ("s{s}.rest.{i}.conv", "s3.rest.{i}.conv", "s3.rest.0.conv"),
        ("{a}.{b}", "{a}_{b}.{b}", "x_1.1"),
        ("{a}.{b}", "s{a}.{b}", "s1.2"),
        ("s{a}", "s{n}", "s1"),  # n is a number
    ],
)
def test_of_two_rules_the_more_specific_wins(
    general: str, specific: str, ours: str, tmp_path: Path
) -> None:
    number = "z{n+0}" if "{n}" in specific else "z"
    texts = (f'"{general}" = "x"', f'"{specific}" = "{number}"')
    for first, second in (texts, texts[::-1]):
        layout = rules(tmp_path, f"[layers]\n{first}\n{second}\n")

        assert layout.layers(ours)[0].startswith("z")


def test_rules_that_say_different_things_are_ambiguous(tmp_path: Path) -> None:
    layout = rules(tmp_path, '[layers]\n"a.{n}" = "x{n}"\n"{m}.b" = "{m}y"\n"{k}.c" = "xc"\n')

    with pytest.raises(AmbiguousError, match=r"`a\.\{n\}` and `\{m\}\.b` disagree"):
        layout.layers("a.b")
    assert layout.layers("a.c") == ("xc",)  # equal content needs no choice


TAKES = (
    "a placeholder is a name, such as `{block}`; on the right it can be a sum of names, their "
    "multiples and numbers, such as `{i*6+j+1}`"
)
NINE = ".".join(f"{{{name}}}" for name in "abcdefghi")
#: Errors in a layout with PyTorch's convention.
FAULTS = {
    "backgrund = []": "a layout has no `backgrund`: did you mean `background`?",
    'background = "a"': "`background` must be a table",
    'background = { a = "b" }': "`background`: its values must be numbers of classes",
    "ignore = [1]": "`ignore` must be a string or a list of strings",
    "numbered = 1": "`numbered` must be `true` or `false`",
    '[layers]\n"a" = 1': "`a` must be a string or a list of strings",
    '[layers]\n"a" = []': "`a`: a rule must name at least one of their layers",
    '[layers]\n"a{" = "b"': "`{` in `a{` belongs to no placeholder",
    '[layers]\n"a{}" = "b"': "`{` in `a{}` belongs to no placeholder",
    '[layers]\n"a{1}" = "b"': "`{1}`: only the right side of a rule computes",
    '[layers]\n"a{n}" = "{n/2}"': f"`{{n/2}}`: {TAKES}",
    '[layers]\n"a{n}" = "{2*n}"': f"`{{2*n}}`: {TAKES}",
    '[layers]\n"a{n}" = "{n+(1)}"': f"`{{n+(1)}}`: {TAKES}",
    '[layers]\n"a{n}" = "{n+}"': f"`{{n+}}`: {TAKES}",
    '[layers]\n"a{n}" = "{n+m+1}"': "`{n+m+1}`: no placeholder `m` on the left: there are `n`",
    '[layers]\n"a{n b}" = "b"': f"`{{n b}}`: {TAKES}",
    '[layers]\n"a{n+1}" = "b"': "`{n+1}`: only the right side of a rule computes",
    '[layers]\n"a{n}" = "{m}"': "`{m}`: no placeholder `m` on the left: there are `n`",
    '[layers]\n"a" = "{m}"': "`{m}`: no placeholder `m` on the left: there is none",
    '[layers]\n"a" = "b}"': "`}` in `b}` belongs to no placeholder",
    '[parts]\n".x" = "{n}"': "`{n}`: no placeholder `n` on the left: there are `layer`",
    'published = ["x"]': "`published`: each checkpoint must be a table `[[published]]`",
    "[[published]]\nfiel = 1": "in `published`: a layout has no `fiel`: did you mean `file`?",
    "set = { heads = [1] }": "`set`: its values must be those of parameters and constants",
    "[tables]\nn = 3": "`tables.n` must be a table with an entry for each value",
    "[tables.n]\na = 1.5": "`tables.n`: its values must be strings or whole numbers",
    '[layers]\n"{a²}" = "x"': f"`{{a²}}`: {TAKES}",
    '[layers]\n"x.{a}{b}" = "y"': "`x.{a}{b}`: write something between `{a}` and `{b}`",
    f'[layers]\n"{NINE}" = "x"': f"`{NINE}`: a rule has at most 8 placeholders",
    f"x = {'[' * 20_000}": "tables are nested too deeply",
    f"x = {'1' * 5_000}": "a number has too many digits",
    f"[tables.n]\na = 0x{'f' * 5_000}": "a number has too many digits",
}


@pytest.mark.parametrize("text", list(FAULTS), ids=range(len(FAULTS)))
def test_a_faulty_layout_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        rules(tmp_path, text)

    assert str(caught.value) == f"{(tmp_path / 'theirs.toml').as_posix()}: {FAULTS[text]}"


def test_a_layout_takes_the_rules_of_one_that_it_is_like(tmp_path: Path) -> None:
    theirs = tmp_path / "layouts" / "first" / "theirs.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(
        'convention = "torch"\nignore = ["x.*"]\n[parts]\n".conv" = "{layer}.c"\n'
        '[tables.n]\n1 = "one"\n[layers]\n"a_{n}" = "A.{n}"\n"b" = "B"\n'
    )
    mine = tmp_path / "layouts" / "second" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text('like = "first/theirs"\n[layers]\n"b" = "C"\n')

    layout = layout_file.read(mine, "mine")

    assert layout.layers("a_1.conv") == ("A.one.c",)
    assert layout.layers("b") == ("C",)
    assert layout.ignored == ()  # what belongs to their checkpoints is theirs alone


@pytest.mark.parametrize(
    ("like", "fault"),
    [
        ("1", "`like` must be a string"),
        ('"first/other"', "`like`: there is no layout `first/other`"),
        ('"../first/theirs"', "`like`: there is no layout `../first/theirs`"),
        ('"first/theirs"', "`like`: `first/theirs` is like another layout itself"),
    ],
)
def test_a_layout_is_like_one_that_stands_alone(like: str, fault: str, tmp_path: Path) -> None:
    theirs = tmp_path / "layouts" / "first" / "theirs.toml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('like = "first/third"\n')
    path = theirs.with_name("mine.toml")
    path.write_text(f"like = {like}\n")

    with pytest.raises(WeightsError) as caught:
        layout_file.read(path, "mine")

    assert str(caught.value) == f"{path.as_posix()}: {fault}"


@pytest.mark.parametrize("text", ["", 'convention = "pytorch"'])
def test_a_layout_has_a_convention(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match="`convention` must be `torch`, `caffe`, `slim`, `keras` or `flax`"
    ):
        read(tmp_path, text)


def test_a_layout_that_is_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Invalid value"):
        read(tmp_path, "convention = ")


def test_a_layout_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "theirs.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(WeightsError, match="can't decode byte 0xff"):
        layout_file.read(path, "theirs")


def test_a_layout_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "theirs.toml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # more than memory; nothing of it is on the disk

    with pytest.raises(WeightsError, match="the file is larger than 1000000 bytes"):
        layout_file.read(path, "theirs")


@pytest.mark.parametrize(
    "names",
    [
        ["conv2d", "conv2d_1", "conv2d_2"],
        ["conv2d_1", "conv2d_2", "conv2d_3"],
        ["conv2d_94", "conv2d_98", "conv2d_101"],
        ["convolution2d_1", "convolution2d_2", "convolution2d_10"],
    ],
)
def test_names_that_keras_numbered_count_from_0(names: list[str]) -> None:
    numbered = renumbered([*reversed(names), "block1_conv1", "batch_normalization_7"])

    assert [numbered[name] for name in names] == ["conv2d_0", "conv2d_1", "conv2d_2"]
    assert numbered["block1_conv1"] == "block1_conv1"
    assert numbered["batch_normalization_7"] == "batch_normalization_0"


# ---------------------------------------------------------------- where layouts are


def test_a_layout_beside_the_spec_wins_over_a_packaged_one(tmp_path: Path) -> None:
    place = tmp_path / "layouts" / "bn_inception"
    place.mkdir(parents=True)
    (place / "cadene.toml").write_text('convention = "keras"\n', "utf-8")
    (place / "mine.toml").write_text('convention = "torch"\n', "utf-8")

    known = {layout.name: layout for layout in layouts.find(tmp_path / "x.inc", "bn_inception")}

    assert list(known)[:2] == ["incgen", "incgen-keras"]
    assert known["cadene"].convention.name == "keras"
    assert {"mine", "yjxiong", "caffe"} <= set(known)


def test_a_network_without_layouts_has_our_own(tmp_path: Path) -> None:
    known = layouts.find(tmp_path / "x.inc", "nothing")

    assert [layout.name for layout in known] == ["incgen", "incgen-keras", "incgen-flax"]


def test_a_name_that_no_layout_has_is_told(tmp_path: Path) -> None:
    known = layouts.find(tmp_path / "x.inc", "nothing")

    with pytest.raises(WeightsError, match="no layout `incgn`: did you mean `incgen`"):
        layouts.named("incgn", known)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "weights.md").read_text("utf-8")
    section = page.partition("## Layout files\n")[2]
    layout = read(tmp_path, section.partition("```toml\n")[2].partition("```")[0])

    assert layout.layers("stem.conv") == ("conv0.weights",)
    assert layout.layers("block_2.bn") == ("features.1.norm",)
    assert layout.layers("logits") == ("classifier",)


# ---------------------------------------------------------------- those that are packaged


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_packaged_layout_has_nothing_superfluous(path: Path) -> None:
    """Every rule, part and table entry is for a layer of the spec."""
    layout = layout_file.read(path, path.stem)
    written = tomllib.loads(path.read_text("utf-8"))
    own = written.get("layers", {})
    graph = compile_spec(ROOT / "specs" / f"{path.parent.name}.inc", layout.settings)
    names = {node.path for node in graph.nodes if node.tensors}
    names |= {f"{name}.{end}" for name in names for end in ("depthwise", "pointwise")}
    heads = {name.removesuffix(end) for name in names for end in layout.parts} | names

    for rule in layout.rules:
        if "like" in written and rule.left.text not in own:
            continue  # the other layout may be of a network with more layers
        values = [v for v in map(rule.left.match, heads) if v is not None]
        assert values, f"no layer is called `{rule.left.text}`"
        for placeholder, table in layout.tables.items():
            if placeholder in rule.left.names:
                assert {value[placeholder] for value in values} == set(table), rule.left.text
    for end in layout.parts:
        assert any(name.endswith(end) for name in names), f"no layer ends in `{end}`"
    used = {name for rule in layout.rules for name in rule.left.names}
    assert set(layout.tables) <= used
    assert set(layout.background) <= names
    assert all(published.source and published.file for published in layout.published)
    # what Keras saves today has no published file where that is older
    assert layout.published or layout.name == "keras"
