"""In what numbers sparse layers compute: a module for each arithmetic."""
