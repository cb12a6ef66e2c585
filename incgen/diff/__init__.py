"""Compare two networks: what is written differently, and what follows from it."""
