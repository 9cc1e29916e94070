"""os-brick on a host with open-iscsi: logs in with the connection_info that Ashlar returned, writes, and logs out.

Runs in the lab's guest as root: osbrick_real.py FILE, where FILE holds the connection_info as nova hands it on.
"""

import json
import os
import sys

from os_brick import privileged
from os_brick.initiator import connector
from oslo_concurrency import lockutils

# As root, in this very process: there is no daemon to ask for privileges.
privileged.default.set_client_mode(False)
lockutils.set_defaults("/var/lock")

info = json.load(open(sys.argv[1]))
data = info["data"]
host = connector.get_connector_properties("", "10.77.0.2", False, False)
assert host["initiator"].startswith("iqn."), host

initiator = connector.InitiatorConnector.factory(info["driver_volume_type"].upper(), "", use_multipath=False)
device = initiator.connect_volume(data)
path = device["path"]
pattern = os.urandom(1 << 20)
with open(path, "r+b", buffering=0) as disk:
    disk.write(pattern)
    os.fsync(disk.fileno())
    disk.seek(0)
    assert disk.read(len(pattern)) == pattern, "it reads something else than was written"
size_bytes = int(open(f"/sys/class/block/{os.path.basename(os.path.realpath(path))}/size").read()) * 512
print(json.dumps({"path": path, "size_bytes": size_bytes, "paths": initiator.get_volume_paths(data)}))
initiator.disconnect_volume(data, device)
assert not os.path.exists(path), f"{path} is still there"
