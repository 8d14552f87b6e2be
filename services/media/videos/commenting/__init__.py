"""Comments: written, read, edited, pinned; who may write them, and their RPCs."""
