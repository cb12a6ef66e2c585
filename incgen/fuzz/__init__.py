"""Random specs: texts that a person could have written, to find where targets disagree.

Nothing else of incgen imports this package, and only it needs hypothesis.
"""
