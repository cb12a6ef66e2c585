"""The templates of every target, as data."""
