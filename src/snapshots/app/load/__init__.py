"""Load Cowrie's logs."""
