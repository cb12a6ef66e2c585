"""The specs that come with incgen, as data."""
