"""Parts that sparring finds by their names once this package is installed; see pyproject.toml."""
