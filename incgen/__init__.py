"""incgen."""
