"""Random specs: texts that a person could have written, to find where targets disagree.

Nothing that builds or verifies imports this package.
"""
