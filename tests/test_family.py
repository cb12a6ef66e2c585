"""Every shipped spec has the number of parameters of its publication.

The figures count what is trained, without running statistics. Where a publication counts something
else, or there is none, the source says how the figure is computed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import incgen
from incgen.language.arithmetic import Value
from incgen.testing import assert_same_network
from incgen.verify import verify
from incgen.verify.show import text

SPECS = Path(__file__).parent.parent / "specs"

#: Spec, settings, parameters including heads, and the source of the figure.
PUBLISHED: list[tuple[str, dict[str, Value], int, str]] = [
    ("bn_inception", {}, 11_285_224, "Cadene's bninception, less its 10,016 redundant biases"),
    ("bn_inception_paper", {}, 11_278_528, "figure 5: conv1 is 1,176 + 1,536 and not 9,408"),
    ("bn_inception_slim", {}, 11_179_361, "tf_slim 1.1.0 inception_v2, 1001 classes"),
    ("googlenet", {}, 13_378_280, "the layers of Caffe's bvlc_googlenet, summed"),
    ("googlenet", {"heads": False}, 6_998_552, "the same without loss1 and loss2"),
    ("googlenet_bn", {}, 13_004_888, "torchvision's googlenet, aux_logits=True"),
    ("googlenet_bn", {"heads": False}, 6_624_904, "num_params of torchvision's weights"),
    ("inception_resnet_v1", {}, 27_910_327, "facenet-pytorch's layers with 8631 faces, summed"),
    ("inception_resnet_v1", {"classes": 10575}, 28_907_599, "facenet-pytorch, casia-webface"),
    ("inception_resnet_v1", {"classify": False}, 23_482_624, "facenet-pytorch without `logits`"),
    ("inception_resnet_v2", {"heads": False}, 55_813_192, "Keras' InceptionResNetV2"),
    ("inception_resnet_v2", {"classes": 1001}, 59_182_258, "TF-slim's inception_resnet_v2"),
    ("inception_resnet_v2", {"heads": False, "gamma": True}, 55_843_464, "timm"),
    ("inception_v1_block", {}, 164_208, "inception_3a of bvlc_googlenet, 163,696, and 2 * 256"),
    ("inception_v1_slim", {}, 6_618_649, "tf_slim 1.1.0 inception_v1, 1001 classes"),
    ("inception_v2_factorized", {}, 10_486_440, "counted by hand, as below"),
    ("inception_v3", {}, 27_161_264, "torchvision's inception_v3, its own num_params"),
    ("inception_v3", {"heads": False}, 23_834_568, "timm's inception_v3"),
    ("inception_v3_fid", {}, 23_850_960, "timm's inception_v3, and 8 classes of 2049"),
    ("inception_v3_tf", {"heads": False}, 23_817_352, "Keras' InceptionV3"),
    ("inception_v3_tf", {"classes": 1001}, 27_145_970, "TF-slim's inception_v3"),
    ("inception_v4", {"classes": 1001}, 46_009_106, "TF-slim's inception_v4"),
    ("inception_v4", {"heads": False, "gamma": True}, 42_679_816, "timm's inception_v4"),
    ("xception", {}, 22_855_952, "Keras' Xception"),
    ("xception", {"eps": 1e-5, "pool_pad": "half"}, 22_855_952, "timm's legacy_xception"),
]


def test_every_spec_is_listed() -> None:
    listed = {name for name, _, _, _ in PUBLISHED}

    assert sorted(listed) == sorted(path.stem for path in SPECS.glob("*.inc"))


@pytest.mark.parametrize(("name", "settings", "parameters", "source"), PUBLISHED)
def test_it_has_the_published_parameters(
    name: str, settings: dict[str, Value], parameters: int, source: str
) -> None:
    graph = incgen.compile_spec(SPECS / f"{name}.inc", settings)

    assert graph.trained == parameters, source


def test_what_the_asymmetric_form_saves() -> None:
    # A 3x3 from r to n channels has 9 r n weights; a 1x3 to r and a 3x1 to n have 3 r r + 3 r n,
    # and 2 r more in the normalisation. The second of a double 3x3 keeps its n channels.
    def saved(r: int, n: int) -> int:
        return 9 * r * n - (3 * r * r + 3 * r * n) - 2 * r

    blocks = [(64, 96, 96, 128), (96, 128, 96, 128), (128, 160, 128, 160), (128, 192, 160, 192)]
    total = sum(saved(r, n) + saved(d, e) + saved(e, e) for r, n, d, e in blocks)

    counts = {name: count for name, settings, count, _ in PUBLISHED if not settings}
    assert counts["inception_v2_factorized"] == counts["bn_inception"] - total


#: No implementation of these can be installed, so the spec's own side of the ladder replaces it.
ALONE = ["googlenet", "bn_inception_paper", "inception_v1_block", "inception_v2_factorized"]


#: Two frameworks in every run; JAX compiles each pass.
PAIRS = [("torch", "keras"), pytest.param(("torch", "flax"), marks=pytest.mark.slow)]


@pytest.mark.parametrize("targets", PAIRS, ids="_".join)
@pytest.mark.parametrize(
    "name",
    [pytest.param(ALONE[1], marks=pytest.mark.slow), *ALONE[2:]],  # its blocks are bn_inception's
)
def test_what_nothing_else_implements_is_one_network(name: str, targets: tuple[str, str]) -> None:
    """Verify evaluation at a small size, which is cheap and still covers every layer."""
    path = SPECS / f"{name}.inc"
    small = path.read_text("utf-8").replace("input 224x224", "input 96x64")
    graph = incgen.compile_spec(path, text=small)

    report = verify(graph, targets=targets, rungs=[1], dtypes=["float64"], batch=1)

    assert report.passed, text(report, graph)


@pytest.mark.slow  # initial values, at its own size; above is evaluation, of all but googlenet
@pytest.mark.parametrize("name", ALONE)
def test_what_nothing_else_implements_trains_as_one_network(name: str) -> None:
    assert_same_network(SPECS / f"{name}.inc", rungs=range(5), dtypes=["float64"], batch=2)
