"""Definitions to graph: every layer with its shape, its key and its cost."""
