"""From YAML files and the command line to one validated, frozen configuration."""
