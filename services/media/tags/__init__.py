"""The tags of videos: which videos have them, how many do, and which are used lately."""
