"""Files of predictions, read in chunks of columns: numpy's .npz, CSV, JSON Lines and Parquet."""
