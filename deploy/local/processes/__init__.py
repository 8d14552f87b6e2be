"""The processes of a run: started, watched, restarted, shown and stopped."""
