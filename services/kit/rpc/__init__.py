"""gRPC: channels, TLS, and the interceptors that every call passes on both sides."""
