"""Worker process per libvirt connection, killed when a QEMU or the daemon hangs."""
