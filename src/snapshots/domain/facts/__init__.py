"""What sources state about an address."""
