"""The reference in the terminal: ops and the codes of errors, in the words of the documentation."""
