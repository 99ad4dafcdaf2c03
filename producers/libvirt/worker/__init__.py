"""A killable process per libvirt connection, so that a hung QEMU or daemon cannot stop the producer."""
