"""The scripting API for one hypervisor: `KVMConnector`."""
