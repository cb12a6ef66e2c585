"""Specs as modules of Python: what `import incgen.hook` adds to the search for modules."""
