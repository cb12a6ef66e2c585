"""The grammar of the inc language, as data."""
