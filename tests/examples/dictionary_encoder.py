"""A sentence encoder that knows ten words: a word and its translation have the same vector."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = [("cat", "kucing"), ("dog", "anjing"), ("house", "rumah"), ("river", "sungai"), ("city", "kota")]
WORDS += [("village", "desa"), ("market", "pasar"), ("school", "sekolah"), ("garden", "kebun"), ("road", "jalan")]


def translations():
    """A hundred sentences of three words, of which no two have the same words as often, and their translations."""
    for first in WORDS:
        for second in WORDS:
            source, target = (f"{first[side]} {second[side]} {first[side]}" for side in (0, 1))
            yield f"The {source}.", f"Si {target}."


def save_dictionary_encoder(folder):
    """The vector of a sentence is the mean of those of its words; words that are not known are nothing."""
    vocabulary = {"[UNK]": 0}
    for pair in WORDS:
        vocabulary |= {word: len(vocabulary) + side for side, word in enumerate(pair)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = torch.cat([torch.zeros(1, len(WORDS)), torch.eye(len(WORDS)).repeat_interleave(2, dim=0)])
    encoder = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    encoder.save_pretrained(str(folder))
    return str(folder)
