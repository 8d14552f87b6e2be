"""What one client or network may take: requests by time, connections at once."""
