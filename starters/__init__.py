"""What `incgen new` makes specs and projects from, as data."""
