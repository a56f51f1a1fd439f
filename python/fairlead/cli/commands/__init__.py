"""The commands, each a file; ``cli/table.py`` lists them."""
