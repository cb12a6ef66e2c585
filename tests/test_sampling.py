"""The sampler: its bytes, recomputed by other means, and its distributions."""

from __future__ import annotations

import hashlib
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import pytest

from incgen.language.initializers import Kind

np = pytest.importorskip("numpy")

from incgen.weights import sampling  # noqa: E402 - after numpy is known to be there
from incgen.weights.sampling import normal_quantile, sample, stream_key  # noqa: E402

KEY = "conv1.conv.weight"
RANDOM_KINDS: tuple[Kind, ...] = ("uniform", "normal", "truncated_normal")

# sample(0, KEY, (64, 3, 7, 7), kind, scale=0.125): the first four values and the SHA-256 of all as
# little-endian float32. A change here changes everybody's weights: see sampling._DOMAIN.
PINNED: dict[Kind, tuple[list[str], str]] = {
    "uniform": (
        ["0x1.7ca48p-5", "-0x1.ca7b4cp-5", "0x1.439decp-8", "0x1.a065ecp-4"],
        "98d09274e55851a514c91026e5b09a5fe57d7dfcff76b05f42e75e9145dd6d5b",
    ),
    "normal": (
        ["0x1.efc546p-5", "-0x1.3051640p-4", "0x1.95c26ep-8", "0x1.5201ap-3"],
        "ee8aa3e006fe15dff66b25b3fa7fc452f417615b220f5f47df6097700361434c",
    ),
    "truncated_normal": (
        ["0x1.d7809cp-5", "-0x1.20db56p-4", "0x1.834882p-8", "0x1.377836p-3"],
        "216d99adfb5f696733741351222d857815f7d37e82bac0deb24d8642d5a5c006",
    ),
}
PINNED_KEY = 0x6B51D862E591E4AB2FA34E220299DCFC
PINNED_QUANTILES = "ff73d66f3bd36437f24498f5ad8e3430da84d7d3a3e7147798201d8a4ed4869a"


# --- A second implementation: integers and scalars of the standard library, after the papers. ---


def philox(counter: int, key: int) -> list[int]:
    """Compute Philox 4x64-10 (Salmon et al. 2011, section 3.3, with Random123's constants)."""
    low_word = (1 << 64) - 1
    words = [counter >> 64 * i & low_word for i in range(4)]
    keys = [key & low_word, key >> 64]
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [
            second >> 64 ^ words[1] ^ keys[0],
            second & low_word,
            first >> 64 ^ words[3] ^ keys[1],
            first & low_word,
        ]
        keys = [keys[0] + 0x9E3779B97F4A7C15 & low_word, keys[1] + 0xBB67AE8584CAA73B & low_word]
    return words


def raw_stream(key: int) -> Iterator[int]:
    """Yield the words of a stream; NumPy counts the blocks from 1."""
    counter = 1
    while True:
        yield from philox(counter, key)
        counter += 1


def scalar_polynomial(x: float, coefficients: Sequence[float]) -> float:
    result = coefficients[0]
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def scalar_log(x: float) -> float:
    mantissa, exponent = math.frexp(x)
    if mantissa < math.sqrt(0.5):
        mantissa, exponent = 2 * mantissa, exponent - 1
    s = (mantissa - 1) / (mantissa + 1)
    series = scalar_polynomial(s * s, [1 / odd for odd in range(23, 0, -2)])
    return exponent * sampling._LOG2_HIGH + (exponent * sampling._LOG2_LOW + series * (s * 2))


def scalar_quantile(centred: float) -> float:
    if abs(centred) <= 0.425:
        x = 0.180625 - centred * centred
        pair = (sampling._CENTRE_NUMERATOR, sampling._CENTRE_DENOMINATOR)
        return scalar_polynomial(x, pair[0]) / scalar_polynomial(x, pair[1]) * centred
    root = math.sqrt(-scalar_log(0.5 - abs(centred)))
    if root <= 5:
        x, pair = root - 1.6, (sampling._TAIL_NUMERATOR, sampling._TAIL_DENOMINATOR)
    else:
        x, pair = root - 5, (sampling._FAR_NUMERATOR, sampling._FAR_DENOMINATOR)
    return math.copysign(scalar_polynomial(x, pair[0]) / scalar_polynomial(x, pair[1]), centred)


def scalar_standard(kind: Kind, word: int) -> float:
    """Return one value of scale 1 from one raw word."""
    centred = (2 * (word >> 11) + 1 - 2**53) / 2**53
    if kind == "uniform":
        return centred
    if kind == "normal":
        return scalar_quantile(centred / 2)
    return max(-2.0, min(2.0, scalar_quantile(centred * sampling._MASS_TO_TWO)))


# --- Bytes ---


def test_philox_gives_the_published_words() -> None:
    """The known answers of Random123 (tests/kat_vectors, philox4x64, 10 rounds)."""
    zeros = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox(0, 0) == zeros
    # numpy counts before it computes.
    assert np.random.Philox(key=0, counter=2**256 - 1).random_raw(4).tolist() == zeros


def test_stream_key_can_be_recomputed() -> None:
    digest = hashlib.sha256(b"incgen.sampling/1\x000\x00conv1.conv.weight").digest()
    assert stream_key(0, KEY) == int.from_bytes(digest[:16], "little") == PINNED_KEY


def test_raw_words_are_those_of_the_definition() -> None:
    ours = np.random.Philox(key=PINNED_KEY).random_raw(4001).tolist()
    assert ours == list(islice(raw_stream(PINNED_KEY), 4001))


@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_bytes_are_pinned(kind: Kind) -> None:
    first, digest = PINNED[kind]
    values = sample(0, KEY, (64, 3, 7, 7), kind=kind, scale=0.125)
    assert values.shape == (64, 3, 7, 7)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert values.ravel()[:4].tolist() == [float.fromhex(number) for number in first]
    assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() == digest


@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_bytes_are_those_of_scalar_arithmetic(kind: Kind) -> None:
    """Scalars, rounded once to float32, give the same bits without vector units or a C library."""
    ours = sample(7, "logits.weight", (2000,), kind=kind, scale=0.01).tolist()
    words = islice(raw_stream(stream_key(7, "logits.weight")), 2000)
    expected = [float(np.float32(scalar_standard(kind, word) * 0.01)) for word in words]
    assert ours == expected


def test_quantiles_are_pinned_and_those_of_scalar_arithmetic() -> None:
    """In all three ranges, down to the last tail that can be drawn: 2**-54."""
    tails = 0.5 - 2.0 ** -np.arange(2.0, 55.0)
    centred = np.concatenate([tails, -tails, np.linspace(-0.5, 0.5, 2**11 + 1)[1:-1]])
    quantiles = normal_quantile(centred)
    assert quantiles.tolist() == [scalar_quantile(q) for q in centred.tolist()]
    assert hashlib.sha256(quantiles.astype("<f8").tobytes()).hexdigest() == PINNED_QUANTILES


# --- Streams ---


@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_values_do_not_depend_on_order_or_size(kind: Kind) -> None:
    keys = ["a", "b", "c"]
    once = {key: sample(3, key, (40,), kind=kind, scale=1.0) for key in keys}
    again = {key: sample(3, key, (40,), kind=kind, scale=1.0) for key in reversed(keys)}
    assert all(np.array_equal(once[key], again[key]) for key in keys)
    longer = sample(3, "a", (50_000,), kind=kind, scale=1.0)
    assert np.array_equal(longer[:40], once["a"])
    assert np.array_equal(sample(3, "a", (5, 8), kind=kind, scale=1.0).ravel(), once["a"])


def test_chunks_are_not_part_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample(3, "a", (50_001,), kind="normal", scale=1.0)
    monkeypatch.setattr(sampling, "_CHUNK", 1001)  # odd: no multiple of Philox's block of 4
    assert np.array_equal(sample(3, "a", (50_001,), kind="normal", scale=1.0), whole)


def test_numpy_own_generator_is_left_alone() -> None:
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    sample(0, KEY, (10,), kind="uniform", scale=1.0)
    assert np.array_equal(np.random.random(3), expected)


def test_seeds_and_keys_give_different_streams() -> None:
    cases = [(0, "a"), (1, "a"), (0, "b"), (10, "a"), (1, "0a"), (0, "A"), (2**64 - 1, "a")]
    assert len({stream_key(seed, key) for seed, key in cases}) == len(cases)
    assert all(0 <= stream_key(seed, key) < 2**128 for seed, key in cases)


def test_streams_are_uncorrelated() -> None:
    count = 100_000
    first = sample(0, "a", (count,), kind="normal", scale=1.0).astype(float)
    for seed, key in [(0, "b"), (1, "a")]:
        other = sample(seed, key, (count,), kind="normal", scale=1.0).astype(float)
        assert abs(np.corrcoef(first, other)[0, 1]) < 4.5 / math.sqrt(count)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4.5 / math.sqrt(count)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"not {seed}"):
        sample(seed, KEY, (1,), kind="uniform", scale=1.0)


def test_a_seed_is_an_integer() -> None:
    assert stream_key(np.int64(5), KEY) == stream_key(5, KEY)
    with pytest.raises(TypeError):
        stream_key(1.0, KEY)  # type: ignore[arg-type]


# --- Distributions ---

COUNT = 1_000_000


@pytest.fixture(scope="module", params=RANDOM_KINDS)
def drawn(request: pytest.FixtureRequest) -> tuple[Kind, list[float]]:
    """Draw a million values of scale 1 of each kind; return their first four moments."""
    values = sample(11, "moments", (COUNT,), kind=request.param, scale=1.0).astype(float)
    moments = [float(np.mean(values**power)) for power in range(1, 5)]
    return request.param, [*moments, float(values.min()), float(values.max())]


def expected_moments(kind: Kind) -> tuple[float, float]:
    """Return the second and the fourth moment."""
    if kind == "uniform":
        return 1 / 3, 1 / 5
    if kind == "normal":
        return 1.0, 3.0
    # By parts: E[x**n] = (n - 1) E[x**(n - 2)] - 2 * 2**(n - 1) * density(2) / mass.
    edge = 2 * statistics.NormalDist().pdf(2) / math.erf(math.sqrt(2))
    second = 1 - 2 * edge
    return second, 3 * second - 8 * edge


def test_moments(drawn: tuple[Kind, list[float]]) -> None:
    kind, (first, second, third, fourth, _least, _greatest) = drawn
    expected_second, expected_fourth = expected_moments(kind)
    # 5 deviations of a mean of a million; the eighth moment of a normal variable is 105.
    assert abs(first) < 5 * math.sqrt(expected_second / COUNT)
    assert abs(third) < 5 * math.sqrt(15 / COUNT)
    assert abs(second - expected_second) < 5 * math.sqrt(2 / COUNT)
    assert abs(fourth - expected_fourth) < 5 * math.sqrt(96 / COUNT)


def test_bounds(drawn: tuple[Kind, list[float]]) -> None:
    kind, (*_moments, least, greatest) = drawn
    if kind == "normal":
        assert 4.5 < greatest < 6
        assert -6 < least < -4.5
    else:
        bound = 1.0 if kind == "uniform" else 2.0
        assert 0.9999 * bound < greatest <= bound
        assert -bound <= least < -0.9999 * bound


@pytest.mark.parametrize("kind", RANDOM_KINDS)
def test_values_follow_their_distribution_function(kind: Kind) -> None:
    """Kolmogorov and Smirnov: the largest gap between the two functions."""
    count = 20_000
    values = sorted(sample(12, "gap", (count,), kind=kind, scale=1.0).tolist())
    phi = statistics.NormalDist().cdf
    if kind == "uniform":
        expected = [(x + 1) / 2 for x in values]
    elif kind == "normal":
        expected = [phi(x) for x in values]
    else:
        expected = [(phi(x) - phi(-2)) / (phi(2) - phi(-2)) for x in values]
    gap = max(abs(p - (i + 0.5) / count) for i, p in enumerate(expected))
    assert gap < 1.95 / math.sqrt(count)  # passed by 999 of 1000 true samples


def test_extreme_words() -> None:
    """The first and the last word give opposite values inside the bounds, and no infinity."""
    words = np.array([0, 2**64 - 1, 2**63, 2**63 - 1], dtype=np.uint64)
    centred = sampling._centred(words)
    assert centred.tolist() == [-1 + 2.0**-53, 1 - 2.0**-53, 2.0**-53, -(2.0**-53)]
    normal = sampling._normal(centred)
    assert normal[0] == -normal[1]
    assert normal[2] == -normal[3] > 0
    assert 8 < normal[1] < 9
    cut = sampling._truncated_normal(centred)
    assert cut[0] == -cut[1]
    assert 2 - 1e-14 < cut[1] <= 2


def test_mass_between_the_cuts() -> None:
    assert math.erf(math.sqrt(2)) / 2 == pytest.approx(sampling._MASS_TO_TWO, rel=1e-15)


def test_quantiles_are_those_of_the_standard_library() -> None:
    inverse = statistics.NormalDist().inv_cdf
    lower = [2.0**-k * (1 + j / 7) for k in range(2, 55) for j in range(7)]
    tails = np.array([p for p in lower if 0.5 - (0.5 - p) == p])  # exact in both forms
    assert tails.size > 50
    expected = np.array([inverse(p) for p in tails.tolist()])
    assert np.abs(normal_quantile(tails - 0.5) / expected - 1).max() < 1e-14
    assert np.array_equal(normal_quantile(0.5 - tails), -normal_quantile(tails - 0.5))
    # Near one half the library's own difference p - 0.5 is exact.
    centre = np.linspace(-0.5, 0.5, 2**12 + 1)[1:-1]
    expected = np.array([inverse(0.5 + q) for q in centre.tolist()])
    assert np.allclose(normal_quantile(centre), expected, rtol=1e-14, atol=0)


def test_logarithm() -> None:
    x = np.concatenate([2.0 ** -np.arange(1.0, 60.0), np.linspace(1e-6, 0.999, 5000)])
    expected = np.array([math.log(value) for value in x.tolist()])
    assert np.abs(sampling._log(x) / expected - 1).max() < 5e-16


# --- Shapes, scales, speed ---


def test_constants_and_scales() -> None:
    ones = sample(0, KEY, (2, 3), kind="constant", scale=1.0)
    assert ones.tolist() == [[1.0] * 3] * 2
    assert ones.dtype == np.float32
    half = sample(0, KEY, (100,), kind="normal", scale=0.5)
    assert np.array_equal(half * 2, sample(0, KEY, (100,), kind="normal", scale=1.0))


@pytest.mark.parametrize("kind", [*RANDOM_KINDS, "constant"])
def test_small_shapes(kind: Kind) -> None:
    assert sample(0, KEY, (), kind=kind, scale=1.0).shape == ()
    assert sample(0, KEY, (3, 0, 2), kind=kind, scale=1.0).shape == (3, 0, 2)
    assert sample(0, KEY, [2, 1], kind=kind, scale=1.0).shape == (2, 1)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 1e-30, 1e30])
def test_a_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be"):
        sample(0, KEY, (1,), kind="normal", scale=scale)


def test_an_inception_network_is_drawn_in_seconds() -> None:
    """11.3 million values take 0.6 s on one core; the bar only catches a slow path."""
    start = time.process_time()
    sample(0, KEY, (11_300_000,), kind="normal", scale=0.01)
    assert time.process_time() - start < 6
