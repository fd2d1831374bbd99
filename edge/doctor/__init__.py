"""What could be wrong with a device: one small check a module, all of them in ``edge.doctor.table``."""
