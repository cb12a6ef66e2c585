"""The foundation: sources, diagnostics and files. It knows nothing of networks."""
