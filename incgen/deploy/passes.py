"""The passes that make a network for inference from its training form, in the order they run in."""

from __future__ import annotations

from incgen.deploy import dropout, fold_norm, fold_scale, heads, project_first

_MODULES = (heads, dropout, fold_scale, project_first, fold_norm)

#: Every pass by name, in the order in which they run.
PASSES = {module.PASS.name: module.PASS for module in _MODULES}
