"""The commands behind `sensia` and the scripts in examples/: what they read, do and write."""
