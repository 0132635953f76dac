"""Reading: text in, checked pairs out. Knows no model."""

from corpora.cleaning import CleaningReport, clean_pairs
from corpora.documents import join_documents
from corpora.fingerprint import describe_file
from corpora.grouping import group_near_duplicates
from corpora.languages import LANGUAGES, Language, find_language
from corpora.monolingual import encode_texts
from corpora.packing import pack_texts
from corpora.reading import read_pairs, read_texts

__all__ = [
    "LANGUAGES",
    "CleaningReport",
    "Language",
    "clean_pairs",
    "describe_file",
    "encode_texts",
    "find_language",
    "group_near_duplicates",
    "join_documents",
    "pack_texts",
    "read_pairs",
    "read_texts",
]
