"""Recipes: how a network is trained, as data; every target writes a script from one."""
