"""The broker between devices and hub: the embedded one, and the address of any."""
