"""The foundation of every target: shapes as formulas, arguments as source, text, rendering."""
