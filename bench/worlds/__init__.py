"""The users, videos and groups that routes are measured with, and the requests to each route."""
