"""Random specs such as a person might write, to find where targets disagree.

A tool for those who change incgen, run from a clone as `python -m fuzzing`; it is not installed.
"""
