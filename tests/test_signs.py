"""Values that are never negative: Keras may pad those by zeros before a max pooling."""

from __future__ import annotations

import incgen
from incgen.targets.shared.signs import never_negative

SOURCE = """
numerics torch
unit pooled = max_pool -> relu
unit active = conv bias=false -> bn -> relu
block mixed(n) {
    max_pool 3x3/1 pad=1  # of a block that is only used behind a ReLU
    concat {
        a: active 1x1 n
        b: conv 1x1 n
    }
}
block kept(deep) {
    avg_pool 3x3/1 pad=1
    if deep {
        only: active 1x1 4
    }
}
block other() {
    max_pool 3x3/1 pad=1  # of a block with one use elsewhere
}
network net(classes = 4, deep = true) {
    input 16x16 3
    max_pool 3x3/1 pad=1  # of the input
    pooled 3x3/2 pad=1
    stem: active 3x3 4
    lrn
    dropout 0.5
    max_pool 3x3/1 pad=1  # behind what keeps the sign
    again: kept deep
    max_pool 3x3/1 pad=1  # behind a block, whether it is deep or not
    mixed: mixed 2
    a: other
    side: max_pool 3x3/1 pad=1  # behind a branch without a ReLU
    from stem -> max_pool 3x3/1 pad=1  # from an earlier value
    add { identity; from side }
    b: other
    stack: repeat 2 {
        max_pool 3x3/1 pad=1  # in the first iteration only
        norm: bn
    }
    add { identity; relu }
    max_pool 3x3/1 pad=1  # of a sum of which one may be negative
    mul { relu; sigmoid -> relu6 }
    aux head { max_pool 3x3/1 pad=1 -> global_avg_pool }  # in a head
    max_pool 3x3/1 pad=1  # behind a product
    global_avg_pool
    logits: dense classes
}
"""


def test_values_are_followed_through_definitions_and_whatever_their_parameters_are() -> None:
    program = incgen.compile_spec("net.inc", text=SOURCE).program
    found = sorted(
        span.source.text.count("\n", 0, span.start)
        for span in never_negative(program)
        if span.source.text[span.start :].startswith("max_pool")
    )

    assert [SOURCE.splitlines()[number].partition("# ")[2] for number in found] == [
        "of a block that is only used behind a ReLU",
        "behind what keeps the sign",
        "behind a block, whether it is deep or not",
        "from an earlier value",
        "in a head",
        "behind a product",
    ]
