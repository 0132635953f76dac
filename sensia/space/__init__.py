"""The page to play with: what it computes (`page_model.py`), how that is written (`tables.py`), and its layout."""
