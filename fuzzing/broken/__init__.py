"""Broken inputs: damaged and hostile specs and weights files, to see how incgen ends.

`runner.run` is the whole of it: it makes inputs, looks at how each ends, counts, and keeps what
fails. Needs nothing but incgen itself.
"""
