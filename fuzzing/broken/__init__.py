"""Broken inputs: specs and files of weights that are damaged or hostile, to see how incgen ends.

`runner.run` is the whole of it: it makes inputs, looks at how each ends, counts, and keeps what
fails. Needs nothing but incgen itself.
"""
