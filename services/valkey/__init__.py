"""The client for Valkey, for the gateway and the services that use it: one server, Sentinels, or a cluster."""
