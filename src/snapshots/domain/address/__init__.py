"""IP addresses of attackers and the times at which they were seen."""
