"""Weights files: draw initial ones, import published ones, export ours.

Each module says what it turns into what.
Libraries are imported where they are needed, and a missing one names the extra that has it.
"""
