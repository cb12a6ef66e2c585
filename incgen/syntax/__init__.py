"""Text to syntax tree, and back to formatted text."""
