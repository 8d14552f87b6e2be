"""What each viewer is shown: feeds of followed users and feeds made for them."""
