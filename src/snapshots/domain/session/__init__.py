"""What a honeypot session is."""
