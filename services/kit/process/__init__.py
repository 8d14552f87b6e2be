"""The life of a process: its command line, server, signals, health, garbage collector and event loop."""
