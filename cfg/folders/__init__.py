"""What storage.sh and problem.sh do: the folders of cfg/hard_folders.json and the links to them.

The file system is read first and everything that is wrong is raised as a StorageError
(`hard_folders`, `plan`); the outcome is a list of steps, which are then made in order, or undone
when one of them fails (`steps`). A second run finds no steps. Needs nothing but Python 3.9, so that
it works before an environment is there (also why the dataclasses are not keyword-only).
"""
