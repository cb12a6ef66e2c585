"""Import specs as if they were modules of Python.

    import incgen.hook
    from specs.bn_inception.torch import BNInception

    model = BNInception(classes=10)

`specs/bn_inception.inc` is then the package `specs.bn_inception`, found wherever a module of that
name would be. In it are a module of generated code for each target, and `network`, the network
itself:

    from specs.bn_inception import network

Code is generated when it is first imported and again when a spec has changed, and cached. Lines of
it end in the line of the spec that they come from, so that tracebacks show both.
"""

from __future__ import annotations

from incgen.importing.finding import install

install()
