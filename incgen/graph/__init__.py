"""Definitions to graph: every layer with its shape, key and cost."""
