"""Who exists: where a configuration's names are now."""
