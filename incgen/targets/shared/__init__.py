"""What every target stands on: shapes as formulas, arguments as source, text, rendering."""
