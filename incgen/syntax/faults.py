"""The exception that ends parsing, with its diagnostic."""

from __future__ import annotations

from typing import Any

from incgen.base.diagnostics import Code, Diagnostic
from incgen.base.source import Span


class SyntaxFault(Exception):
    """An error found while lexing or building; carries its diagnostic."""

    def __init__(self, code: Code, span: Span, message: str, **more: Any) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, **more)
