"""Prove that the generated models of a spec are the same network: `incgen verify`.

    from incgen.verify import verify

    report = verify("specs/bn_inception.inc")
    assert report.passed, report

Needs numpy and safetensors (`pip install 'incgen[verify]'`), and the frameworks of the targets.
"""

from incgen.verify.report import RUNGS, Comparison, Divergence, Omission, Report
from incgen.verify.verifying import DTYPES, verify

__all__ = ["DTYPES", "RUNGS", "Comparison", "Divergence", "Omission", "Report", "verify"]
