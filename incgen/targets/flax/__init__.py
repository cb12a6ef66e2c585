"""The Flax target."""
