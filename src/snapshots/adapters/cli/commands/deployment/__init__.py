"""Commands that operate an installation: backups and units for systemd."""
