"""Tags and mentions in texts."""
