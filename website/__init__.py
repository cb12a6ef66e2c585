"""The site of the documentation, from docs/, the specs and the docstrings: see `make docs`."""
