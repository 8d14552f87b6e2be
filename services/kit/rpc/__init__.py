"""gRPC: servers, channels, and what every call passes through on both sides."""
