"""Drawings: what they say, that nothing overlaps, and that the same spec gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from fuzzing.specs import random_spec
from incgen.base.diagnostics import SpecError
from incgen.compiling import compile_spec
from incgen.draw.diagram import Box, Card, Fork, Row, Side, boxes, inner_rows
from incgen.draw.drawing import FORMATS, drawn, format_of
from incgen.draw.folding import diagram
from incgen.draw.network import Network
from incgen.draw.page import scene
from incgen.draw.raster import png
from incgen.draw.scene import Edge, Frame, Label, Placed, Scene
from incgen.draw.text import width
from incgen.draw.view import HEATS, DrawError, View
from incgen.graph.nest import Used, parts
from incgen.graph.nodes import Graph

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent / "drawings"
SMALL = HERE / "small.inc"
SPECS = sorted((ROOT / "specs").glob("*.inc"))
#: Networks on which rules of layout are tried beside the shipped ones: those with every statement.
OTHERS = [SMALL, *sorted((ROOT / "tests" / "random").glob("*.inc"))]
#: Networks that every run tries opened and in the other direction.
OFTEN = ("bn_inception", "xception")
RANDOM = 8  # of other networks, some of which are refused
VIEWS = {
    "folded": View(),
    "open": View(depth=9),
    "right": View(depth=2, direction="right"),
}


# ---------------------------------------------------------------- expected files


@pytest.mark.parametrize("form", ["svg", "mmd", "dot"])
def test_the_drawing_of_a_small_network(form: str, update_goldens: bool) -> None:
    path = HERE / f"small.{form}"
    data = drawn(compile_spec(SMALL), View(), form)
    if update_goldens:
        path.write_bytes(data)

    assert data.decode("utf-8") == path.read_text("utf-8")


def test_the_figures_of_the_documentation(update_goldens: bool) -> None:
    """`incgen draw NAME -o docs/figures/NAME.svg` makes them."""
    figures = sorted((ROOT / "docs" / "figures").glob("*.svg"))
    for path in figures:
        name, _, theme = path.stem.partition("-")
        data = drawn(compile_spec(name), View(theme=theme or "light"), "svg")
        if update_goldens:
            path.write_bytes(data)
        assert path.read_bytes() == data, f"make it anew: incgen draw {name} -o {path}"
    assert [path.stem for path in figures] == ["bn_inception-dark", "bn_inception", "googlenet"]


def test_the_same_spec_gives_the_same_bytes() -> None:
    """Also where sets are in another order."""
    command = [sys.executable, "-m", "incgen", "draw", str(SMALL), "-o", "-"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment, cwd=ROOT)

    assert done.stdout == (HERE / "small.svg").read_bytes()


# ---------------------------------------------------------------- what is drawn


def texts(row: Row) -> Iterator[str]:
    for item in row.items:
        match item:
            case Box():
                count = f"{item.count} x " if item.count else ""
                yield f"{item.key}: {count}{item.text}"
            case Fork():
                yield f"{item.key}: {item.join.text} of {len(item.branches)}"
            case Card() | Side():
                yield f"{item.key}: {list(texts(item.row))}"


@cache
def compiled(name: str) -> Graph:
    return compile_spec(name)


@cache
def shown(name: str, view: View) -> list[str]:
    return list(texts(diagram(Network(compiled(name)), view).row))


def test_blocks_are_folded_and_repeats_counted() -> None:
    assert shown("inception_resnet_v2", View())[8:18] == [
        "mixed_5b: inception_a",
        "block35: 10 x block35",
        "mixed_6a: reduction_a",
        "block17: 20 x block17",
        "aux_logits: ['aux_logits: auxiliary']",
        "mixed_7a: reduction_b",
        "block8: 9 x block8",
        "block8_last: block8",
        "conv_7b: conv_bn 1×1",
        "global_avg_pool: global_avg_pool",
    ]


def test_iterations_that_differ_are_drawn_apart() -> None:
    """The channels double in `grow`; in `same` and `wide` only what the first takes differs."""
    text = """
numerics torch
block b(n) { x: conv 1x1 n }
network net {
    input 8x8 4
    grow: repeat 3 { c: conv 1x1 (channels * 2) }
    same: repeat 3 { c: conv 1x1 8 }
    wide: repeat 4 { b 16 }
    last: repeat 2 {
        conv: conv 3x3 4
        relu
    }
    once: repeat 1 { relu }
    flat: repeat 2 { d: dense (channels * 2) }
}
"""
    graph = compile_spec("net.inc", text=text)
    row = diagram(Network(graph), View()).row

    assert list(texts(row)) == [
        "input: input",
        *(f"grow.{number}.c: conv 1×1" for number in range(3)),
        "same: 3 x conv 1×1",
        "wide: 4 x b",
        "last: ['last.0.conv: conv 3×3', 'last.0.relu: relu']",
        "once.0: relu",
        *(f"flat.{number}.d: dense" for number in range(2)),
    ]
    same = next(box for box in boxes(row) if box.key == "same")
    # 32 to 8 once, then 8 to 8 twice, with a bias each
    assert same.facts is not None and same.facts.parameters == 32 * 8 + 2 * 64 + 3 * 8


def test_what_is_known_of_some_iterations_is_of_the_last_of_them() -> None:
    """Of a height of 32, the first two leave more than 4 rows, so that they are alike."""
    text = """
numerics torch
network net {
    input 32x32 3
    down: repeat 3 {
        pool: max_pool 2x2/2
        if height > 4 { relu }
    }
}
"""
    graph = compile_spec("net.inc", text=text)
    row = diagram(Network(graph), View()).row

    assert list(texts(row)) == [
        "input: input",
        "down.0: ['down.0.pool: max_pool 2×2/2', 'down.0.relu: relu']",
        "down.2.pool: max_pool 2×2/2",
    ]
    card = row.items[1]
    assert isinstance(card, Card) and card.count == "2" and card.facts is not None
    assert str(card.facts.shape) == "3 x 8 x 8"
    assert str(card.facts.field) == "4 x 4, stride 4"
    page = data_of(drawn(graph, View(), "html").decode("utf-8"))
    facts = {item["k"]: (item["f"][0], item["f"][3]) for item in items_of(page["items"])}
    assert [facts[key] for key in ("down.0", "down.1", "down.2.pool", "down")] == [
        ("3 × 16 × 16", "2 × 2, stride 2"),
        ("3 × 8 × 8", "4 × 4, stride 4"),
        ("3 × 4 × 4", "8 × 8, stride 8"),
        ("3 × 4 × 4", "8 × 8, stride 8"),
    ]


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        ("mixed_5b", ["mixed_5b: ['mixed_5b.concat: concat of 4']"]),
        ("block35", ["block35: ['block35.0.add: add of 2', 'block35.0.relu: relu']"]),
        (
            "conv_7b",
            ["conv_7b: ['conv_7b.conv: conv 1×1', 'conv_7b.bn: bn', 'conv_7b.relu: relu']"],
        ),
        ("inception_a", ["mixed_5b: ['mixed_5b.concat: concat of 4']"]),
        ("block8", ["block8: ['block8.0.add: add of 2', 'block8.0.relu: relu']"]),
        ("block8_last", ["block8_last: ['block8_last.add: add of 2']"]),
    ],
)
def test_a_key_or_a_name_opens(opened: str, expected: list[str]) -> None:
    folded = shown("inception_resnet_v2", View())
    changed = [text for text in shown("inception_resnet_v2", View(opened=(opened,)))]

    assert [text for text in changed if text not in folded] == expected


def test_what_surrounds_an_open_part_is_open_too() -> None:
    lines = shown("inception_v4", View(opened=("inception_c.0.conv3x3.1",)))

    assert "inception_c: ['inception_c.0.concat: concat of 4']" in lines


@pytest.mark.parametrize(
    ("opened", "message"),
    [
        ("inception_3x", "the network has no unit or block `inception_3x`: did you mean "),
        ("pool1", "`pool1` is a single layer or only groups some: it is always open"),
        (
            "zzz",
            "the network has no unit or block `zzz`: there are `conv1`, `inception_3a`, `in",
        ),
    ],
)
def test_what_cannot_be_opened_is_an_error(opened: str, message: str) -> None:
    with pytest.raises(DrawError) as error:
        drawn(compile_spec("bn_inception"), View(opened=(opened,)), "svg")

    assert str(error.value).startswith(message)


@pytest.mark.parametrize("name", ["bn_inception", "inception_resnet_v2", "xception"])
@pytest.mark.parametrize("depth", [1, 2, 9])
def test_the_boxes_add_up_to_the_network(name: str, depth: int) -> None:
    """Fold everything, or repeat nothing; an open repeat shows one of its bodies."""
    graph = compiled(name)
    row = diagram(Network(graph), View(depth=depth)).row
    facts = [item.facts for item in costs(row)]

    assert sum(fact.parameters for fact in facts if fact) == graph.trained
    assert sum(fact.multiply_adds for fact in facts if fact) == graph.multiply_adds


def costs(row: Row) -> Iterator[Box | Card]:
    """Yield what has a cost of its own: boxes, and repeats as a whole."""
    for item in row.items:
        if isinstance(item, Box) or (isinstance(item, Card) and item.count):
            yield item
        else:
            for inner in inner_rows(item):
                yield from costs(inner)


def test_edges_say_a_shape_once() -> None:
    made, _ = scene(compile_spec(SMALL), View(definitions=False))
    said = [mark.text for mark in made.marks if isinstance(mark, Label) and mark.style == "shape"]

    trunk = ["3 × 16 × 16", "8 × 16 × 16", "8 × 8 × 8", "16 × 8 × 8", "16", "10"]
    branches = ["4 × 8 × 8", "8 × 8 × 8", "8 × 8 × 8", "8", "4 × 8 × 8"]
    head = ["16", "3"]
    assert sorted(said) == sorted([*trunk, *branches, *head])


def test_a_definition_is_drawn_once_with_all_its_uses() -> None:
    made, _ = scene(compile_spec("bn_inception"), View())
    labels = [mark.text for mark in made.marks if isinstance(mark, Label)]

    assert labels.count("inception") == 1
    row = labels.index("inception_5b")
    assert labels[row - 7 : row + 1] == [
        *("inception_3a", "inception_3b", "inception_4a", "inception_4b", "inception_4c"),
        *("inception_4d", "inception_5a", "inception_5b"),
    ]
    for text in ("n3x3_reduce", "n1x1 + n3x3 + ndouble + proj", "699×699", "2.28 M"):
        assert text in labels


def test_a_block_that_only_a_side_never_taken_uses_has_no_drawing() -> None:
    text = """block inner() { conv 1x1 4 pad=0 }
        block outer(deep, n) { if deep { inner } else { conv 1x1 n pad=0 } }
        network net {
            input 8x8 3
            a: outer false 1
            b: outer false 2
        }"""
    made, _ = scene(compile_spec("net.inc", text=text), View())
    headings = [m.text for m in made.marks if isinstance(m, Label) and m.style == "heading"]

    assert headings == ["outer"]


# ---------------------------------------------------------------- places


def networks() -> Iterator[Graph]:
    for path in OTHERS:
        yield compile_spec(path)
    for number in range(RANDOM):
        try:
            yield compile_spec("random.inc", text=random_spec(97, number).text)
        except SpecError:
            continue


@pytest.mark.parametrize(
    ("path", "view"),
    [
        pytest.param(
            path,
            VIEWS[name],
            id=f"{path.stem}-{name}",
            marks=() if name == "folded" or path.stem in OFTEN else pytest.mark.slow,
        )
        for path in SPECS
        for name in VIEWS
    ],
)
def test_nothing_overlaps(path: Path, view: View) -> None:
    check(compiled(path.stem), view)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_nothing_overlaps_in_other_networks(view: View) -> None:
    for graph in networks():
        check(graph, view)


def check(graph: Graph, view: View) -> None:
    made, _ = scene(graph, view)
    placed = [mark for mark in made.marks if isinstance(mark, Placed)]
    frames = [mark for mark in made.marks if isinstance(mark, Frame)]
    for one, other in combinations(placed, 2):
        assert apart(one, other), f"{one.box.key} overlaps {other.box.key}"
    for frame in frames:
        for other in (*placed, *frames):
            if other is not frame:
                assert apart(frame, other) or inside(frame, other) or inside(other, frame)
    for mark in (*placed, *frames):
        assert mark.x >= 0 and mark.x + mark.width <= made.width
        assert mark.y >= 0 and mark.y + mark.height <= made.height
    texts_fit(placed)
    texts_are_apart(made, placed, frames)
    no_edge_crosses_a_box(made, placed)
    edges_end_at_boxes(made, placed, frames)
    every_layer_is_there(graph, view)


def apart(one: Placed | Frame, other: Placed | Frame) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def inside(outer: Placed | Frame, inner: Placed | Frame) -> bool:
    """Return whether a rectangle lies in another, below its band if it has one."""
    band = outer.band if isinstance(outer, Frame) else 0
    return (
        outer.x <= inner.x
        and outer.y + band <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def texts_fit(placed: list[Placed]) -> None:
    for mark in placed:
        for line in mark.lines:
            assert mark.shape == "dot" or width(line, 11) <= mark.width, line


#: The size and weight of texts by their style; the others are 10 pixels high.
SIZES = {"name": (20, True), "heading": (13, True), "prose": (12, False), "faint": (11, False)}


def texts_are_apart(made: Scene, placed: list[Placed], frames: list[Frame]) -> None:
    labels = []
    for mark in made.marks:
        if isinstance(mark, Label):
            size, bold = SIZES.get(mark.style.split(" ")[0], (10, False))
            wide = width(mark.text, size, bold=bold)
            wide += width(mark.more, 11) + 6 if mark.more else 0
            x = mark.x - {"start": 0, "middle": wide / 2, "end": wide}[mark.anchor]
            labels.append((x, mark.y - size * 0.72, wide, size * 0.9, mark.text))
            assert x >= 0 and x + wide <= made.width, mark.text
    others = [(p.x, p.y, p.width, p.height, p.box.key) for p in placed]
    others += [(f.x, f.y, f.width, f.band, f.card.key) for f in frames]
    for number, (x, y, wide, high, text) in enumerate(labels):
        for ox, oy, other_wide, other_high, other in (*labels[number + 1 :], *others):
            beside = x + wide <= ox or ox + other_wide <= x
            assert beside or y + high <= oy or oy + other_high <= y, f"{text} overlaps {other}"


def no_edge_crosses_a_box(made: Scene, placed: list[Placed]) -> None:
    for edge in made.marks:
        if not isinstance(edge, Edge):
            continue
        for (ax, ay), (bx, by) in pairwise(edge.points):
            for p in placed:
                across = min(ax, bx) < p.x + p.width - 0.1 and p.x + 0.1 < max(ax, bx, ax + 0.2)
                along = min(ay, by) < p.y + p.height - 0.1 and p.y + 0.1 < max(ay, by, ay + 0.2)
                assert not (across and along), p.box.key


def edges_end_at_boxes(made: Scene, placed: list[Placed], frames: list[Frame]) -> None:
    """Check that an edge begins and ends at a box, a card or another edge.

    Exceptions are the arrows out of a network, a head and a definition, and those into one.
    """
    edges = [mark for mark in made.marks if isinstance(mark, Edge)]
    rectangles = [(r.x, r.y, r.width, r.height) for r in (*placed, *frames)]
    rectangles += [(f.x, f.y, f.width, f.band) for f in frames]
    #: copies behind a repeated box reach 6 pixels further
    rectangles += [(p.x + 6, p.y + 6, p.width, p.height) for p in placed if p.box.count]
    loose = 0
    for edge in edges:
        for point in (edge.points[0], edge.points[-1]):
            if any(on_border(point, rectangle) for rectangle in rectangles):
                continue
            loose += not any(on_line(point, other) for other in edges if other is not edge)
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(edge.points))
    panels = sum(1 for m in made.marks if isinstance(m, Label) and m.style == "heading")
    heads = len(made.description.rpartition("; outputs ")[2].split("), "))
    assert heads <= loose <= heads + 2 * panels


def on_border(point: tuple[float, float], rectangle: tuple[float, float, float, float]) -> bool:
    (px, py), (x, y, wide, high) = point, rectangle
    across = x - 0.01 <= px <= x + wide + 0.01
    along = y - 0.01 <= py <= y + high + 0.01
    return (across and along) and (
        min(abs(px - x), abs(px - x - wide)) < 0.01 or min(abs(py - y), abs(py - y - high)) < 0.01
    )


def on_line(point: tuple[float, float], edge: Edge) -> bool:
    for (ax, ay), (bx, by) in pairwise(edge.points):
        within_x = min(ax, bx) - 0.01 <= point[0] <= max(ax, bx) + 0.01
        if within_x and min(ay, by) - 0.01 <= point[1] <= max(ay, by) + 0.01:
            return True
    return False


def every_layer_is_there(graph: Graph, view: View) -> None:
    """Check that each layer is drawn, or is in something folded, or is like one that is drawn."""
    network = Network(graph)
    row = diagram(network, view).row
    keys = {box.key for box in boxes(row)}
    folded = tuple(f"{key}." for key in keys)
    repeated = tuple(f"{card.key}." for card in cards(row) if card.count)
    for node in graph.nodes:
        there = node.path in keys or node.path.startswith(folded)
        assert there or node.path.startswith(repeated), node.path


def cards(row: Row) -> Iterator[Card]:
    for item in row.items:
        if isinstance(item, Card):
            yield item
        for inner in inner_rows(item):
            yield from cards(inner)


def test_opening_all_units_shows_every_layer() -> None:
    graph = compile_spec("googlenet")
    used = [part.path for part in parts(Network(graph).body) if isinstance(part, Used)]
    row = diagram(Network(graph), View(opened=tuple(used))).row

    assert {box.key for box in boxes(row)} == {node.path for node in graph.nodes}


# ---------------------------------------------------------------- files


def test_an_svg_is_wellformed_and_says_what_it_shows() -> None:
    graph = compile_spec("googlenet")
    tree = ElementTree.fromstring(drawn(graph, View(heat="parameters", theme="dark"), "svg"))
    space = "{http://www.w3.org/2000/svg}"

    assert tree.attrib["role"] == "img"
    assert tree.findtext(f"{space}title") == "googlenet, drawn from googlenet.inc"
    assert "1.59 G multiply-adds; 155 layers" in str(tree.findtext(f"{space}desc"))
    box = next(g for g in tree.iter(f"{space}g") if g.attrib.get("data-key") == "inception_3a")
    assert str(box.findtext(f"{space}title")).split("\n") == [
        "inception_3a · inception",
        "output 256 × 28 × 28",
        "163,696 parameters",
        "128,049,152 multiply-adds",
        "receptive field 59 × 59, stride 8",
        "googlenet.inc:49  inception 64 96 128 16 32 32",
    ]


def test_names_from_a_spec_are_text_and_nothing_else() -> None:
    text = '## A <b>&"\nnetwork net {\n    input 8x8 3\n    a: relu\n}\n'
    graph = compile_spec("<i>.inc", text=text)

    root = ElementTree.fromstring(drawn(graph, View(), "svg"))
    assert "net, drawn from <i>.inc" in "".join(root.itertext())
    assert b"<b>" not in drawn(graph, View(), "svg")


def test_long_names_are_cut_and_control_characters_replaced() -> None:
    long = "a" * 58
    text = f"""## {"word " * 40}{"x" * 300}
numerics torch
unit {long}u = conv bias=false -> bn -> relu
block {long}({long}b, {long}c) {{
    {long}: {long}u 1x1 ({long}b + {long}c)
    relu
}}
network {long}n {{
    input 8x8 3
    {long}: {long} 4 5
    {long}2: {long} 6 7
    {long}3: {long}u 1x1 3
}}
"""
    graph = compile_spec("a\x1b[31m.inc", text=text)
    for view in (View(), View(depth=2, heat="parameters"), View(direction="right")):
        check(graph, view)
        ElementTree.fromstring(drawn(graph, view, "svg"))
    assert "a\ufffd[31m.inc" in drawn(graph, View(), "svg").decode("utf-8")


@pytest.mark.parametrize("heat", HEATS)
def test_heat_colours_by_a_share_of_the_largest(heat: str) -> None:
    graph = compile_spec("googlenet")
    made, fill = scene(graph, View(heat=heat))
    numbers = {
        "multiply-adds": ("conv2.1", "#b5400f", "347 M"),  # 56 * 56 * 64 * 192 * 9
        "parameters": ("aux1", "#b5400f", "3.19 M"),
        "receptive-field": ("global_avg_pool", "#b5400f", "907 px"),  # 715 + 6 * 32
    }
    key, colour, text = numbers[heat]
    mark = next(m for m in made.marks if isinstance(m, Placed) and m.box.key == key)

    assert fill(mark.box) == colour
    assert mark.lines[-1] == text


# ---------------------------------------------------------------- pages; see test_explorer_browser


def data_of(page: str) -> Any:
    """Return the data that the program of a page reads."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def items_of(items: list[Any]) -> Iterator[Any]:
    for item in items:
        yield item
        inner = [*item.get("i", []), *item.get("h", [])]
        yield from items_of(inner)
        for _, _, branch in item.get("b", []):
            yield from items_of(branch)


def test_a_page_holds_every_layer_and_is_small() -> None:
    graph = compiled("inception_resnet_v2")
    data = drawn(graph, View(opened=("block17",)), "html")
    page = data_of(data.decode("utf-8"))

    assert len(data) < 1_000_000
    assert page["open"] == ["block17"]
    items = {item["k"]: item for item in items_of(page["items"])}
    assert {node.path for node in graph.nodes} <= set(items)
    block = items["block17.3"]
    assert (block["t"], block["x"], block["c"]) == ("3", "block17", "block")
    assert block["g"] == "n1x1 = 192, n1x7 = 160, n7x1 = 192, out = 1088"
    # 1x1 192 and 1x1 128 on 1088; 1x7 128 to 160; 7x1 160 to 192; 1x1 384 to 1088 with a bias; a
    # beta for each of the first four
    weights = 1088 * 192 + 1088 * 128 + 128 * 7 * 160 + 160 * 7 * 192 + 384 * 1088
    assert block["f"][1] == weights + 1088 + 192 + 128 + 160 + 192
    assert block["f"][2] == weights * 17 * 17
    assert block["f"][0] == "1088 × 17 × 17"
    assert block["f"][5:] == ["inception_resnet_v2.inc:42", "block17 192 160 192"]


def test_no_two_parts_of_a_page_have_a_key() -> None:
    for graph in networks():
        page = data_of(drawn(graph, View(), "html").decode("utf-8"))
        keys = [item["k"] for item in items_of(page["items"]) if "f" in item]
        assert len(keys) == len(set(keys)), sorted(key for key in keys if keys.count(key) > 1)
        assert {node.path for node in graph.nodes} <= set(keys)


def test_a_page_loads_nothing() -> None:
    page = drawn(compiled("googlenet"), View(), "html").decode("utf-8")
    page = page.replace("http://www.w3.org/2000/svg", "")  # the name of a language

    assert not re.findall(r"""(?:src|href)=["'](?!data:)|url\((?!["']?#)|@import|https?://""", page)
    assert "default-src 'none'" in page
    assert "{{" not in page


def test_names_from_a_spec_cannot_end_the_data_of_a_page() -> None:
    doc = "## </script><script>alert(1)</script> {{data}}"
    text = f"{doc}\nnetwork net {{\n    input 8x8 3\n    a: relu\n}}\n"
    page = drawn(compile_spec("</script>.inc", text=text), View(), "html").decode("utf-8")

    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert page.count('"items":') == 1
    assert data_of(page)["items"][1]["f"][5] == "script>.inc:4"


def test_a_page_does_not_go_right() -> None:
    with pytest.raises(DrawError, match="leave out --direction"):
        drawn(compiled("googlenet"), View(direction="right"), "html")


def test_a_png_has_text_and_twice_the_pixels() -> None:
    graph = compile_spec(SMALL)
    made, _ = scene(graph, View())
    image = Image.open(BytesIO(drawn(graph, View(), "png")))

    assert image.size == (round(made.width * 2), round(made.height * 2))
    title = image.convert("L").crop((48, 48, 160, 90))
    dark = sum(value < 100 for value in title.tobytes())
    assert 300 < dark < 1500  # the letters of `small`, bold and 40 pixels high


def test_a_pdf_has_letters() -> None:
    data = drawn(compile_spec(SMALL), View(), "pdf")

    assert data.startswith(b"%PDF-")
    assert b"+LiberationSans" in data


def test_what_pixels_need_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)

    for form, what in (("png", "a PNG"), ("pdf", "a PDF")):
        with pytest.raises(DrawError, match=rf"{what} needs vl_convert: pip install 'incgen\[draw"):
            drawn(compile_spec(SMALL), View(), form)


def test_a_picture_that_is_too_large_is_refused() -> None:
    with pytest.raises(DrawError, match="20000 x 10 pixels, too large for a PNG: write an SVG"):
        png("<svg/>", width=20000, height=10)


def test_the_name_of_a_file_says_its_format() -> None:
    assert [format_of(f"a.b/net.{form.upper()}") for form in FORMATS] == list(FORMATS)
    with pytest.raises(DrawError, match=r"`.gif` is not a drawing format: end its name in `.svg`,"):
        format_of("net.gif")
    with pytest.raises(DrawError, match="`net` has no suffix"):
        format_of("net")
