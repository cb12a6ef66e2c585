"""Broken inputs: damaged and hostile specs and weights files, to see how incgen ends.

`runner.run` does everything: it makes inputs, examines how each ends, counts, and saves what fails.
It needs nothing but incgen itself.
"""
