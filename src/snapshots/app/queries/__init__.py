"""Read models of reports and queries."""
