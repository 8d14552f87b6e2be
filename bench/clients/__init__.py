"""What sends requests and holds sockets: closed and open loops, and the people in whose name."""
