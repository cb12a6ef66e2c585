"""Targets that write classes: submodules made in a constructor and called in a forward method."""
