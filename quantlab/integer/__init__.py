"""Integer programs: what was trained is what runs, proven bit for bit."""
