"""Host source: CPU, memory, disks, network and file systems of the producer's own machine."""
