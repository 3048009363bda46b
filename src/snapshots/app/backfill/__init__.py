"""Write snapshots on sessions that were stored before."""
