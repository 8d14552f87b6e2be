"""Search in names, of users and of groups: by the beginning, by a part, and despite a slip. For several services."""
