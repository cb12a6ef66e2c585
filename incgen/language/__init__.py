"""The vocabulary: ops, initialisers, expressions and names."""
