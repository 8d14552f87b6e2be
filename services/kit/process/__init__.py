"""The life of a process: its command line, its signals, its health, its garbage collector and event loop."""
