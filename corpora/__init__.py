"""Reading: text in, checked pairs out. Knows no model."""

from typing import TYPE_CHECKING

from sensia.lazy_names import lazy_names

if TYPE_CHECKING:
    from sensia.corpora.cleaning import CleaningReport, clean_pairs
    from sensia.corpora.documents import join_documents
    from sensia.corpora.fingerprint import describe_file
    from sensia.corpora.grouping import group_near_duplicates
    from sensia.corpora.held_out import DataPart, held_out_part
    from sensia.corpora.instructions import encode_instructions, give_chat_template, read_instructions
    from sensia.corpora.languages import Language, find_language
    from sensia.corpora.monolingual import encode_texts
    from sensia.corpora.overlap import row_keys, shared_rows
    from sensia.corpora.packing import pack_texts
    from sensia.corpora.reading import read_pairs, read_texts

_NAMES = {
    "CleaningReport": "sensia.corpora.cleaning",
    "clean_pairs": "sensia.corpora.cleaning",
    "join_documents": "sensia.corpora.documents",
    "describe_file": "sensia.corpora.fingerprint",
    "group_near_duplicates": "sensia.corpora.grouping",
    "DataPart": "sensia.corpora.held_out",
    "held_out_part": "sensia.corpora.held_out",
    "encode_instructions": "sensia.corpora.instructions",
    "give_chat_template": "sensia.corpora.instructions",
    "read_instructions": "sensia.corpora.instructions",
    "Language": "sensia.corpora.languages",
    "find_language": "sensia.corpora.languages",
    "encode_texts": "sensia.corpora.monolingual",
    "row_keys": "sensia.corpora.overlap",
    "shared_rows": "sensia.corpora.overlap",
    "pack_texts": "sensia.corpora.packing",
    "read_pairs": "sensia.corpora.reading",
    "read_texts": "sensia.corpora.reading",
}

__all__ = [
    "CleaningReport",
    "DataPart",
    "Language",
    "clean_pairs",
    "describe_file",
    "encode_instructions",
    "encode_texts",
    "find_language",
    "give_chat_template",
    "group_near_duplicates",
    "held_out_part",
    "join_documents",
    "pack_texts",
    "read_instructions",
    "read_pairs",
    "read_texts",
    "row_keys",
    "shared_rows",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
