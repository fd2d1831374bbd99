"""How the machine is, and how fast it may work: heat, disk, clock, the record of health."""
