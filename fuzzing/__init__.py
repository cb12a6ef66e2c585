"""Random specs: texts that a person could have written, to find where targets disagree.

A tool for those who change incgen, run from a clone as `python -m fuzzing`; it is not installed.
"""
