"""What came out: schema, store, compare, report."""
