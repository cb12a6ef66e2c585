"""Quantise ONNX files to int8, and measure how far each block moves from float."""

from __future__ import annotations
