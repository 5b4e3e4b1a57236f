"""The program's own file, and the engines of this library that run it."""
