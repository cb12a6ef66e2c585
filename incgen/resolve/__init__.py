"""Syntax tree to definitions: every name resolved, nothing expanded."""
