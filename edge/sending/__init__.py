"""The ways to the hubs: connections, enrollment, receipts and beacons that are believed."""
