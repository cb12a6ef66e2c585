"""Refuse what an ONNX file cannot hold."""

from __future__ import annotations

from typing import NoReturn

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.source import Span


def refuse(message: str, span: Span | None, *, help: str) -> NoReturn:
    """Raise an error at a place of the spec, with what to do.

    Raises:
        SpecError: Always; code `unsupported`.
    """
    raise SpecError([Diagnostic(Code.UNSUPPORTED, f"ONNX: {message}", span, help=help)])
