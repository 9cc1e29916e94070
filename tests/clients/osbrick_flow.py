"""os-brick: its own iSCSI connector reads the connection_info that Ashlar gives, and says what it would run.

Nothing is run: the connector's way to execute programs is replaced by a list, so that no root and no kernel is needed.
What it must find stands as golden data in tests/fixtures/os_brick_iscsi.json.
"""

import json
import pathlib
import tempfile
import urllib.request

from os_brick.initiator.connectors.iscsi import ISCSIConnector
from oslo_concurrency import lockutils

from flow import CONNECTOR, ENDPOINT, MAXIMUM, MEMBER, holds, same, until

GOLDEN = json.loads((pathlib.Path(__file__).parent.parent / "fixtures/os_brick_iscsi.json").read_text())


class Read(dict):
    """A dictionary that remembers which of its keys were asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = set()

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key):
        self.asked.add(key)
        return super().__contains__(key)


def ask(method, path, body=None):
    headers = {"Content-Type": "application/json", "X-Auth-Token": MEMBER, "OpenStack-API-Version": f"volume {MAXIMUM}"}
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ENDPOINT}{path}", sent, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def connection(multipath):
    """Both forms of the connection_info of a fresh volume: nested as nova hands it on, and flat."""
    volume = ask("POST", "/volumes", {"volume": {"size": 1}})["volume"]["id"]
    until(lambda: ask("GET", f"/volumes/{volume}")["volume"]["status"] == "available", "the volume")
    connector = {**CONNECTOR, "multipath": multipath}
    body = {"attachment": {"volume_uuid": volume, "connector": connector}}
    attachment = ask("POST", "/attachments", body)["attachment"]
    nested = ask("POST", f"/volumes/{volume}/action", {"os-initialize_connection": {"connector": connector}})
    ask("DELETE", f"/attachments/{attachment['id']}")
    return nested["connection_info"], attachment["connection_info"]


def golden(nested, flat):
    data = nested["data"]
    for key, kinds in GOLDEN["data"].items():
        holds(key in data, f"no {key} in the connection_info")
        holds(type(data[key]).__name__ in kinds, f"{key} is {data[key]!r}, not one of {kinds}")
        same(flat[key], data[key], f"{key} in the attachment") if not key.startswith("auth_") else None
    for key, value in GOLDEN["values"].items():
        same(data[key], value, key)
    for key in GOLDEN["beside"]:
        holds(key in nested and key in flat, f"no {key}")


def commands(data):
    """What os-brick would run to log in, and what it read to know."""
    ran = []

    def execute(*words, **_):
        ran.append([str(word) for word in words])
        has_logged_in = any("--login" in one for one in ran)
        if "session" in words and has_logged_in:
            return f"tcp: [1] {data['target_portal']},1 {data['target_iqn']} (non-flash)\n", ""
        return "", ""

    connector = ISCSIConnector("sudo", execute=execute)
    asked = Read(data)
    targets = connector._get_all_targets(asked)
    for portal, iqn, lun in targets:
        one = Read({**data, "target_portal": portal, "target_iqn": iqn, "target_lun": lun})
        connector._connect_to_iscsi_portal(one)
        asked.asked |= one.asked
    return targets, [" ".join(words) for words in ran], asked.asked


def main():
    locks = tempfile.TemporaryDirectory()
    lockutils.set_defaults(locks.name)
    nested, flat = connection(multipath=False)
    golden(nested, flat)
    data = nested["data"]
    targets, ran, asked = commands(data)
    same(targets, [(data["target_portal"], data["target_iqn"], data["target_lun"])], "the targets")
    unknown = asked - set(GOLDEN["data"]) - set(GOLDEN["may_be_absent"])
    same(unknown, set(), "keys that os-brick reads and nobody here knows of")
    whole = "\n".join(ran)
    for words in (
        f"-T {data['target_iqn']} -p {data['target_portal']}",
        "node.session.auth.authmethod -v CHAP",
        f"node.session.auth.username -v {data['auth_username']}",
        f"node.session.auth.password -v {data['auth_password']}",
        "--login",
    ):
        holds(words in whole, f"os-brick would not run `{words.split(' -v ')[0]}`")
    nested, _ = connection(multipath=True)
    data = nested["data"]
    for key in GOLDEN["multipath"]:
        same(len(data[key]), len(data["target_portals"]), f"the length of {key}")
    same(commands(data)[0][0], (data["target_portal"], data["target_iqn"], data["target_lun"]), "the first path")
    print("os-brick: done")


main()
