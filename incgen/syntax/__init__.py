"""Text to syntax tree, and a tree laid out as text."""
