"""Studies: rows of recipes over seeds, and tables that can be believed."""
