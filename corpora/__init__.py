"""Reading: text in, checked pairs out. Knows no model."""

from sensia.corpora.cleaning import CleaningReport, clean_pairs
from sensia.corpora.documents import join_documents
from sensia.corpora.fingerprint import describe_file
from sensia.corpora.grouping import group_near_duplicates
from sensia.corpora.held_out import DataPart, held_out_part
from sensia.corpora.languages import Language, find_language
from sensia.corpora.monolingual import encode_texts
from sensia.corpora.overlap import row_keys, shared_rows
from sensia.corpora.packing import pack_texts
from sensia.corpora.reading import read_pairs, read_texts

__all__ = [
    "CleaningReport",
    "DataPart",
    "Language",
    "clean_pairs",
    "describe_file",
    "encode_texts",
    "find_language",
    "group_near_duplicates",
    "held_out_part",
    "join_documents",
    "pack_texts",
    "read_pairs",
    "read_texts",
    "row_keys",
    "shared_rows",
]
