"""A drawing as PNG or PDF.

Both are made from its SVG by vl-convert-python (`pip install 'incgen[draw]'`), which needs neither
a browser nor anything of the system: it brings its renderer and Liberation Sans, whose letters are
as wide as Helvetica's.
"""

from __future__ import annotations

from types import ModuleType

from incgen.base.modules import needs
from incgen.draw.view import DrawError

#: Pixels of a PNG for each unit of the drawing: twice as many as it shows on a plain screen.
SCALE = 2
#: The most pixels along a side of a PNG; a larger one is not drawn, since viewers refuse it too.
_MOST = 32_000


def png(svg: str, *, width: float, height: float) -> bytes:
    """Return a drawing as PNG, at twice the resolution of a plain screen.

    Raises:
        DrawError: The library is missing, or the drawing is too large for a PNG.
    """
    if max(width, height) * SCALE > _MOST:
        raise DrawError(
            f"the drawing is {width:.0f} x {height:.0f} pixels, too large for a PNG: "
            "write an SVG, a PDF or HTML, or show less with --depth"
        )
    return bytes(_library("PNG").svg_to_png(svg, scale=SCALE))


def pdf(svg: str) -> bytes:
    """Return a drawing as PDF: lines and letters, with the fonts in it.

    Raises:
        DrawError: The library is missing.
    """
    return bytes(_library("PDF").svg_to_pdf(svg))


def _library(what: str) -> ModuleType:
    try:
        import vl_convert
    except ModuleNotFoundError as error:
        raise DrawError(f"a {what} {needs(error, 'draw')}") from None
    return vl_convert
