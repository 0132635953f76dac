"""The code files that every saved model carries."""

CODE_FILES = (
    "backpack_outputs.py",
    "cached_positions.py",
    "configuration_backpack.py",
    "lm_loss.py",
    "modeling_backpack.py",
    "public_checkpoints.py",
    "sense_mixing.py",
    "sense_network.py",
    "sense_store.py",
    "sense_table.py",
    "sequence_packing.py",
)
