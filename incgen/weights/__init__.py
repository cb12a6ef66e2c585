"""Weights files: draw initial ones, import published ones, export ours.

Libraries are imported where they are needed; if one is missing, the error names the extra that
installs it.
"""
