"""The lists of videos by their tags, and the RPCs of tags."""
