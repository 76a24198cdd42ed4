"""What is read and written: question and corpus readers, and the Parquet contracts between phases."""
