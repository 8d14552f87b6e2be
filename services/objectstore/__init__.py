"""The object store, as the media service, the gateway and the backups reach it. A library: nothing here runs."""
