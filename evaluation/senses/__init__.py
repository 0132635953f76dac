"""Senses: what they say, how they are mixed, and what they have in common across languages."""
