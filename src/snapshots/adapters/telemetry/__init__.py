"""What is told to logs."""
