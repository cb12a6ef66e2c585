"""Errors of quantisation, whose text is the whole report."""

from __future__ import annotations


class QuantizeError(Exception):
    """A model cannot be quantised with what is given; the message says why and what to do."""
