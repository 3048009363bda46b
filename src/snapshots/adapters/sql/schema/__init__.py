"""Tables, triggers and indexes."""
