"""Generated networks in every engine, against what a user would take instead."""
