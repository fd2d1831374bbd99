"""The doors for people and programs: the API, the gateway for published bytes, the pages."""
