"""New specs and projects, made from the files of `starters/`."""
