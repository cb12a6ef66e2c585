"""Resume parsing after a faulty line, if what is left without it is complete."""

from __future__ import annotations

import re

from incgen.base.diagnostics import Code, Diagnostic
from incgen.base.source import line_end


def balanced(text: str) -> bool:
    """Return whether a text closes as many braces as it opens."""
    code = re.sub(r'"[^"\n]*"|#[^\n]*', "", text)
    return code.count("{") == code.count("}")


def without_line(text: str, fault: Diagnostic) -> str | None:
    """Blank the faulty line and what continues it; return None if braces would no longer match."""
    if fault.span is None or fault.code is Code.NESTING_TOO_DEEP:
        return None
    start = text.rfind("\n", 0, fault.span.start) + 1
    end = line_end(text, fault.span.start)
    while end < len(text) and text[end + 1 : end + 200].lstrip().startswith("->"):
        end = line_end(text, end + 1)
    line = text[start:end]
    opens_next = text[end : end + 200].lstrip().startswith("{")
    if not line.strip() or opens_next or not _balanced(line, fault):
        return None
    blank = re.sub(r"[^\n]", " ", line)
    return text[:start] + blank + text[end:]


def _balanced(line: str, fault: Diagnostic) -> bool:
    """Return whether every bracket of a line is closed on it."""
    code = re.sub(r'"[^"\n]*"|#[^\n]*', "", line)
    if fault.code is Code.MISSING_BRACE:  # the missing half of a ( or [ is nowhere
        return "{" not in code and "}" not in code
    depth = 0
    for char in code:
        depth += (char in "{([") - (char in "})]")
        if depth < 0:
            return False
    return depth == 0
