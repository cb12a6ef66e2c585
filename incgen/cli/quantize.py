"""The command `quantize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from incgen.cli.options import OK, Command, examples, one_form
from incgen.cli.pages import Page
from incgen.cli.terminal import harmless, print_text, progress_line, say
from incgen.quantization.options import CALIBRATIONS, Options

_USUAL = Options()


def _number(flag: str, default: int, about: str) -> Callable[[Command], Command]:
    return click.option(
        flag, type=click.IntRange(1), metavar="N", default=default, show_default=True, help=about
    )


@click.command(
    "quantize",
    cls=Page,
    short_help="Write ONNX in int8.",
    epilog=examples(
        "incgen quantize bn_inception.onnx --images photos/ --resize 256",
        "incgen quantize net.onnx --images data/ --keep 'inception_3a.*'",
    ),
)
@click.argument("model", metavar="MODEL")
@click.option(
    "--images",
    metavar="PATH",
    required=True,
    help="A folder of images, or a .npy or .npz.",
)
@click.option("--output", "-o", metavar="FILE", help="Default: MODEL_int8.onnx beside the model.")
@_number("--count", _USUAL.count, "How many images the ranges of values come from.")
@_number("--compare", _USUAL.compare, "How many others are compared.")
@click.option(
    "--calibration",
    metavar="HOW",
    type=click.Choice(CALIBRATIONS),
    default=_USUAL.calibration,
    help="minmax (the default), entropy or percentile ranges.",
)
@click.option(
    "--percentile",
    type=float,
    metavar="PERCENT",
    default=_USUAL.percentile,
    show_default=True,
    help="Percent of values in such a range.",
)
@_number("--batch", _USUAL.batch, "How many images are computed at once.")
@click.option(
    "--resize",
    type=click.IntRange(1),
    metavar="SIZE",
    help="Resize the shorter side, and crop the middle.",
)
@click.option(
    "--keep",
    metavar="LABEL",
    multiple=True,
    help="Leave these layers (or a.*) in float. Repeatable.",
)
@click.option("--reduce-range", is_flag=True, help="Weights of 7 bits, for x86 without VNNI.")
@_number("--depth", _USUAL.depth, "Report this many levels of labels.")
@one_form("text (the default), or json with everything.", "text", "json")
@click.option("--force", is_flag=True, help="Overwrite a file that incgen did not write.")
def quantize(model: str, images: str, output: str | None, form: str, **options: Any) -> int:
    """Write an ONNX file in int8, and report how far each block moves.

    MODEL is a file that `incgen build --target onnx` wrote, best with --deploy.
    """
    from incgen.quantization.api import quantize as quantized

    with progress_line() as progress:
        report = quantized(model, images, output, progress=progress, **options)
    sizes = f"{report.bytes:,} bytes, {report.source_bytes:,} in float"
    say(f"{'wrote' if report.changed else 'unchanged'} {report.path.as_posix()} ({sizes})")
    print_text(report.as_json() if form == "json" else harmless(report.text()))
    return OK
