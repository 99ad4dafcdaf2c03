"""Simulated BMCs and hypervisors for demos, tests, benchmarks and load tests.

BMCs are HTTP(S) servers on loopback that serve the Redfish resources of a vendor's `BmcModel`, with changing readings
and injected faults. `redfish.RedfishSimulator` runs them in this process, `processes.serve` in several processes
(`rackstream simulate redfish`). `model` and `models/` contain the resources; `resource_tree`, `bmc`, `sessions` and
`faults` determine the responses; `http` and `listener` do the I/O.

Hypervisors are simulated in two ways. `libvirt_testnode` writes XML for libvirt's test driver, which the real libvirt
producer polls (demo, tests). `libvirt` and `libvirt_load` publish raw records directly (`rackstream simulate libvirt`),
to load the rest of the pipeline with thousands of hosts.
"""
