"""Start the server."""

from __future__ import annotations

import sys

from incgen.lsp import answers, editing, server

#: How long a thread keeps Python to itself (seconds): an analysis must not hold up an answer.
_SWITCH = 0.0005


def made() -> server.Server:
    """Return a server that answers everything."""
    new = server.Server()
    for register in (server.follow, answers.register, editing.register):
        register(new)
    return new


def run() -> None:
    """Serve one client over standard input and output."""
    sys.setswitchinterval(_SWITCH)
    made().start_io()
