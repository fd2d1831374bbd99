"""The intake: from the broker's deliveries to the log, the index, the receipts and, last, the acknowledgement."""
