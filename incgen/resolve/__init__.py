"""Syntax tree to definitions: what every name stands for, with nothing expanded."""
