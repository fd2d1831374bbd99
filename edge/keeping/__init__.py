"""What has been seen becomes signed envelopes that wait for receipts: durable, bounded, told where lost."""
