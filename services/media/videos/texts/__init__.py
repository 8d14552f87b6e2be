"""What titles and descriptions of videos say: words to search, tags, and whom they mention."""
