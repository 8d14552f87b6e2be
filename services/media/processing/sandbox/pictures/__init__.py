"""Pictures: inspected, described by a BlurHash, and made in other sizes."""
