"""What several parts of the suite stand on."""
