"""Random specs such as a person might write, to find where targets disagree.

A tool for developers of incgen, run from a clone as `python -m fuzzing`; it is not installed.
"""
