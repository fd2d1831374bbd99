"""The reward service over HTTP: public, read-only. Whoever wants money goes to the contract."""
