"""A network as a table: on a terminal, in Markdown, as CSV and as JSON."""
