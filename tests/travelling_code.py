"""The code files that every saved model carries."""

CODE_FILES = (
    "backpack_outputs.py",
    "configuration_backpack.py",
    "decoder_wrapping.py",
    "distillation_loss.py",
    "generation_limits.py",
    "lm_loss.py",
    "modeling_backpack.py",
    "positions_and_masks.py",
    "public_checkpoints.py",
    "sense_keeping.py",
    "sense_mixing.py",
    "sense_network.py",
    "sense_store.py",
    "sense_table.py",
    "sense_words.py",
    "sentence_encoder.py",
    "sentence_rows.py",
    "sentence_vectors.py",
)
