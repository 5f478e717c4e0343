"""Results: their schema, their files, their analysis and the report."""
