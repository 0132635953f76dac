"""Reading: text in, checked pairs out. Knows no model."""

from corpora.cleaning import CleaningReport, clean_pairs
from corpora.fingerprint import describe_file
from corpora.grouping import group_near_duplicates
from corpora.languages import LANGUAGES, Language, find_language
from corpora.packing import pack_texts
from corpora.reading import read_pairs, read_texts

__all__ = [
    "LANGUAGES",
    "CleaningReport",
    "Language",
    "clean_pairs",
    "describe_file",
    "find_language",
    "group_near_duplicates",
    "pack_texts",
    "read_pairs",
    "read_texts",
]
