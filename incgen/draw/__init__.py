"""Drawings of networks, as one would draw them for a paper, laid out from the spec."""
