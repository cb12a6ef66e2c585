"""Colours for specs where there is no language server: TextMate grammars and Pygments."""
