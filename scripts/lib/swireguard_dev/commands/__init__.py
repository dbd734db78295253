"""The Python commands of scripts/ and scripts/lib/, one module each."""
