"""The language server: what an editor shows about a spec while it is written.

It adds no knowledge of the language: what it says comes from the parser, the resolver, the graph
and the tables of ops and settings.
"""
