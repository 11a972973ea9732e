"""The ground: ops, abstract values, graphs and interpreters. Knows neither backends nor transforms."""
