"""How the media service, the gateway and the backups reach the bytes of files. No service: nothing here runs."""
