"""python-cinderclient: its library through everything that needs no Nova.

Its shell is not used: with any way to authenticate but Keystone it ends in an error about its own `--os-endpoint`.
"""

import os

from cinderclient import api_versions, client, exceptions
from keystoneauth1 import session, token_endpoint

from flow import ADMIN, CONNECTOR, ENDPOINT, IMPORT, MAXIMUM, MEMBER, PROJECT, holds, refused, same, until


def connect(token, version):
    auth = token_endpoint.Token(ENDPOINT, token)
    return client.Client(version, session=session.Session(auth=auth))


def settled(manager, one, status):
    def look():
        found = manager.get(one.id)
        holds(not found.status.startswith("error") or found.status == status, f"{one.id} is {found.status}")
        return found.status == status and found

    return until(look, f"{one.id} to be {status}")


def gone(manager, one):
    def look():
        try:
            return manager.get(one.id) and False
        except exceptions.NotFound:
            return True

    until(look, f"{one.id} to go")


def negotiate():
    auth = token_endpoint.Token(ENDPOINT, MEMBER)
    lowest, highest = client.get_server_version(f"{ENDPOINT}/", insecure=True)
    same((lowest, highest), (api_versions.APIVersion("3.0"), api_versions.APIVersion(MAXIMUM)), "what is advertised")
    plain = client.Client("3.0", session=session.Session(auth=auth))
    found = api_versions.discover_version(plain, api_versions.APIVersion("3.latest"))
    known = api_versions.APIVersion(api_versions.MAX_VERSION)
    same(found, min(known, highest), "the negotiated version")
    return found.get_string()


def types(admin, member):
    made = admin.volume_types.create("quick", description="d", is_public=True)
    same(made.set_keys({"volume_backend_name": "default", "vendor:note": "n"})["vendor:note"], "n", "an extra spec")
    made.unset_keys(["vendor:note"])
    same(admin.volume_types.get(made.id).get_keys(), {"volume_backend_name": "default"}, "extra specs")
    same(admin.volume_types.update(made.id, description="e").description, "e", "a type's description")
    holds(made.id in [one.id for one in member.volume_types.list()], "the type is not listed")
    same(member.volume_types.default().name, "__DEFAULT__", "the default type")
    refused(exceptions.Forbidden, lambda: member.volume_types.create("mine"), "a type by a member")
    return made


def volumes(cinder, kind):
    volume = settled(cinder.volumes, cinder.volumes.create(1, name="one", metadata={"k": "x"}, volume_type=kind.name), "available")
    same((volume.size, volume.name, volume.volume_type, volume.metadata), (1, "one", "quick", {"k": "x"}), "a volume")
    other = settled(cinder.volumes, cinder.volumes.create(1, name="two"), "available")
    same([one.name for one in cinder.volumes.list(search_opts={"name": "one"})], ["one"], "a filter by name")
    same([one.name for one in cinder.volumes.list(sort="name:asc")], ["one", "two"], "a sorted list")
    same([one.name for one in cinder.volumes.list(limit=1, sort="name:asc")], ["one"], "a page")
    same([one.name for one in cinder.volumes.list(marker=volume.id, sort="name:asc")], ["two"], "the next page")
    cinder.volumes.update(volume, name="uno", description="first")
    same(cinder.volumes.get(volume.id).name, "uno", "a new name")
    cinder.volumes.set_metadata(volume, {"l": "y"})
    cinder.volumes.delete_metadata(volume.id, ["k"])
    same(cinder.volumes.get(volume.id).metadata, {"l": "y"}, "metadata")
    cinder.volumes.extend(volume, 2)
    until(lambda: cinder.volumes.get(volume.id).size == 2, "the extend")
    settled(cinder.volumes, volume, "available")
    same(cinder.volumes.get_encryption_metadata(volume.id)["encryption_key_id"], None, "the encryption")
    refused(exceptions.BadRequest, lambda: cinder.volumes.extend(volume, 1), "a smaller size")
    refused(exceptions.NotFound, lambda: cinder.volumes.get("11111111-2222-4333-8444-555555555555"), "no volume")
    cinder.volumes.delete(other)
    gone(cinder.volumes, other)
    return cinder.volumes.get(volume.id)


def snapshots(cinder, volume):
    snapshot = cinder.volume_snapshots.create(volume.id, name="s", metadata={"k": "x"})
    snapshot = settled(cinder.volume_snapshots, snapshot, "available")
    same((snapshot.size, snapshot.volume_id), (2, volume.id), "a snapshot")
    same([one.id for one in cinder.volume_snapshots.list(search_opts={"volume_id": volume.id})], [snapshot.id], "a list")
    cinder.volume_snapshots.update(snapshot, name="t")
    cinder.volume_snapshots.set_metadata(snapshot, {"l": "y"})
    same(cinder.volume_snapshots.get(snapshot.id).metadata, {"k": "x", "l": "y"}, "metadata of a snapshot")
    copy = settled(cinder.volumes, cinder.volumes.create(2, snapshot_id=snapshot.id, name="copy"), "available")
    same(copy.snapshot_id, snapshot.id, "the copy's snapshot")
    cinder.volumes.revert_to_snapshot(volume, snapshot)
    settled(cinder.volumes, volume, "available")
    refused(exceptions.BadRequest, lambda: cinder.volumes.delete(volume), "a volume with a snapshot")
    cinder.volume_snapshots.delete(snapshot)
    gone(cinder.volume_snapshots, snapshot)
    clone = settled(cinder.volumes, cinder.volumes.create(2, source_volid=copy.id, name="clone"), "available")
    for one in (clone, copy):
        cinder.volumes.delete(one)
        gone(cinder.volumes, one)


def backups(cinder, admin, volume):
    made = cinder.backups.create(volume.id, name="full", description="d", metadata={"k": "x"})
    full = settled(cinder.backups, made, "available")
    same((full.size, full.volume_id, full.container, full.is_incremental), (2, volume.id, "nas", False), "a backup")
    same((full.metadata, full.has_dependent_backups), ({"k": "x"}, False), "more of a backup")
    more = cinder.backups.create(volume.id, name="more", incremental=True)
    more = settled(cinder.backups, more, "available")
    same(more.is_incremental, True, "a backup on top of another")
    same([one.name for one in cinder.backups.list(search_opts={"volume_id": volume.id}, sort="name:asc")], ["full", "more"], "a list")
    same([one.name for one in cinder.backups.list(search_opts={"name": "more"})], ["more"], "a filter by name")
    cinder.backups.update(full, name="whole", metadata={"l": "y"})
    same((cinder.backups.get(full.id).name, cinder.backups.get(full.id).metadata), ("whole", {"l": "y"}), "what was changed")
    cinder.backups.delete(full)
    gone(cinder.backups, full)
    restored = cinder.restores.restore(more.id, name="again")
    same((restored.backup_id, restored.volume_name), (more.id, "again"), "a restore")
    again = settled(cinder.volumes, cinder.volumes.get(restored.volume_id), "available")
    settled(cinder.backups, more, "available")
    cinder.restores.restore(more.id, volume_id=again.id)
    settled(cinder.volumes, again, "available")
    settled(cinder.backups, more, "available")
    of_backup = settled(cinder.volumes, cinder.volumes.create(2, backup_id=more.id, name="of-backup"), "available")
    settled(cinder.backups, more, "available")
    record = admin.backups.export_record(more.id)
    refused(exceptions.BadRequest, lambda: admin.backups.import_record(record["backup_service"], record["backup_url"]), "what is here")
    refused(exceptions.Forbidden, lambda: cinder.backups.export_record(more.id), "a record for a member")
    admin.backups.reset_state(more, "error")
    same(cinder.backups.get(more.id).status, "error", "a reset status")
    admin.backups.delete(more, force=True)
    gone(cinder.backups, more)
    for one in (again, of_backup):
        cinder.volumes.delete(one)
        gone(cinder.volumes, one)


def attachments(cinder, volume):
    made = cinder.attachments.create(volume.id, None, None)
    same(made["status"], "reserved", "a new attachment")
    attachment_id = made["id"]
    connected = cinder.attachments.update(attachment_id, CONNECTOR)
    same(connected.connection_info["driver_volume_type"], "iscsi", "the connection")
    cinder.attachments.complete(attachment_id)
    settled(cinder.volumes, volume, "in-use")
    same([one.id for one in cinder.attachments.list(search_opts={"volume_id": volume.id})], [attachment_id], "attachments")
    cinder.attachments.delete(attachment_id)
    settled(cinder.volumes, volume, "available")


def legacy(cinder, volume):
    cinder.volumes.reserve(volume)
    cinder.volumes.unreserve(volume)
    cinder.volumes.reserve(volume)
    info = cinder.volumes.initialize_connection(volume, CONNECTOR)
    same(info["driver_volume_type"], "iscsi", "the connection")
    cinder.volumes.attach(volume, None, "/dev/vdb", mode="rw", host_name="host1")
    same(cinder.volumes.get(volume.id).status, "in-use", "attached")
    cinder.volumes.begin_detaching(volume)
    cinder.volumes.roll_detaching(volume)
    cinder.volumes.begin_detaching(volume)
    cinder.volumes.terminate_connection(volume, CONNECTOR)
    cinder.volumes.detach(volume)
    settled(cinder.volumes, volume, "available")


def acts(cinder, admin, volume):
    cinder.volumes.set_bootable(volume, True)
    same(cinder.volumes.get(volume.id).bootable, "true", "bootable")
    cinder.volumes.set_image_metadata(volume, {"image_name": "i"})
    same(cinder.volumes.get(volume.id).volume_image_metadata, {"image_name": "i"}, "image metadata")
    same(cinder.volumes.show_image_metadata(volume)[1]["metadata"], {"image_name": "i"}, "image metadata by itself")
    cinder.volumes.delete_image_metadata(volume, ["image_name"])
    cinder.volumes.update_readonly_flag(volume, True)
    same(cinder.volumes.get(volume.id).metadata["readonly"], "True", "the flag")
    cinder.volumes.update_readonly_flag(volume, False)
    admin.volumes.reset_state(volume, "error")
    same(cinder.volumes.get(volume.id).status, "error", "a reset status")
    admin.volumes.reset_state(volume, "available")
    same(cinder.volumes.summary(all_tenants=False)["volume-summary"]["total_count"], 1, "the summary")


def qos_and_access(admin, member, kind):
    specs = admin.qos_specs.create("limits", {"consumer": "back-end", "total_iops_sec": "500"})
    admin.qos_specs.set_keys(specs.id, {"read_iops_sec": "100"})
    admin.qos_specs.unset_keys(specs.id, ["total_iops_sec"])
    same(admin.qos_specs.get(specs.id).specs, {"read_iops_sec": "100"}, "limits")
    admin.qos_specs.associate(specs.id, kind.id)
    same([one.id for one in admin.qos_specs.get_associations(specs.id)], [kind.id], "who has them")
    refused(exceptions.BadRequest, lambda: admin.qos_specs.delete(specs.id), "limits that a type has")
    admin.qos_specs.disassociate(specs.id, kind.id)
    admin.qos_specs.delete(specs.id)
    same([one.id for one in admin.qos_specs.list() if one.id == specs.id], [], "limits that are deleted")

    private = admin.volume_types.create("private", is_public=False)
    refused(exceptions.NotFound, lambda: member.volume_types.get(private.id), "a private type")
    admin.volume_type_access.add_project_access(private.id, PROJECT)
    same([one.project_id for one in admin.volume_type_access.list(private.id)], [PROJECT], "who may")
    same(member.volume_types.get(private.id).name, "private", "a type that was given")
    admin.volume_type_access.remove_project_access(private.id, PROJECT)
    said = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}
    admin.volume_encryption_types.create(private, said)
    same(admin.volume_encryption_types.get(private.id).provider, "luks", "what a type says of encryption")
    admin.volume_encryption_types.update(private, {"key_size": 128})
    same(admin.volume_encryption_types.get(private.id).key_size, 128, "a new size")
    admin.volume_encryption_types.delete(private)
    admin.default_types.create(private.id, PROJECT)
    same(admin.default_types.list(PROJECT).volume_type_id, private.id, "a default type")
    admin.default_types.delete(PROJECT)
    admin.volume_types.delete(private)


def retype(cinder, admin, volume, kind):
    other = admin.volume_types.create("slower")
    cinder.volumes.retype(volume, other.id, "never")
    until(lambda: cinder.volumes.get(volume.id).volume_type == "slower", "the retype")
    settled(cinder.volumes, volume, "available")
    cinder.volumes.retype(volume, kind.id, "never")
    until(lambda: cinder.volumes.get(volume.id).volume_type == kind.name, "the way back")
    settled(cinder.volumes, volume, "available")
    admin.volume_types.delete(other)


def manage(admin):
    """An administrator's own image in the pool's directory becomes a volume, its snapshot too, and goes back."""
    host = admin.pools.list()[0].name
    with open(f"{IMPORT}/disk.raw", "wb") as disk:
        disk.truncate(1 << 30)
    found = admin.volumes.list_manageable(host, detailed=True)
    same([(one.reference, one.size, one.safe_to_manage) for one in found], [({"source-name": "disk.raw"}, 1, True)], "what could be taken over")
    volume = admin.volumes.manage(host, {"source-name": "disk.raw"}, name="adopted")
    same(settled(admin.volumes, volume, "available").size, 1, "the size of what was taken over")
    same(admin.volumes.list_manageable(host), [], "what is left")
    snapshot = settled(admin.volume_snapshots, admin.volume_snapshots.create(volume.id, name="s"), "available")
    admin.volume_snapshots.unmanage(snapshot.id)
    gone(admin.volume_snapshots, snapshot)
    [left] = admin.volume_snapshots.list_manageable(host)
    again = admin.volume_snapshots.manage(volume.id, left.reference, name="again")
    settled(admin.volume_snapshots, again, "available")
    admin.volume_snapshots.delete(again)
    gone(admin.volume_snapshots, again)
    admin.volumes.unmanage(volume.id)
    gone(admin.volumes, volume)
    [left] = admin.volumes.list_manageable(host)
    os.remove(f"{IMPORT}/{left.reference['source-name']}")


def transfers(cinder, admin, volume):
    offered = cinder.transfers.create(volume.id, "gift")
    same(cinder.volumes.get(volume.id).status, "awaiting-transfer", "an offered volume")
    same([one.id for one in cinder.transfers.list()], [offered.id], "transfers")
    cinder.transfers.delete(offered.id)
    settled(cinder.volumes, volume, "available")
    again = cinder.transfers.create(volume.id, "gift")
    cinder.transfers.accept(again.id, again.auth_key)
    settled(cinder.volumes, volume, "available")


def quotas_and_services(cinder, admin):
    same(cinder.quotas.get(PROJECT, usage=True).volumes["in_use"], 1, "volumes in use")
    same(cinder.limits.get().to_dict()["absolute"]["totalVolumesUsed"], 1, "volumes in the limits")
    same(admin.quotas.update(PROJECT, volumes=7).volumes, 7, "a quota that was set")
    same(cinder.quotas.get(PROJECT).volumes, 7, "the quota of a project")
    admin.quotas.delete(PROJECT)
    same(cinder.quotas.get(PROJECT).volumes, cinder.quotas.defaults(PROJECT).volumes, "the default again")
    holds(admin.quota_classes.get("default").volumes, "no default class")
    [volume_service] = [one for one in admin.services.list() if one.binary == "cinder-volume"]
    admin.services.disable_log_reason(volume_service.host, "cinder-volume", "a test")
    same([one.status for one in admin.services.list(binary="cinder-volume")], ["disabled"], "a disabled service")
    admin.services.enable(volume_service.host, "cinder-volume")
    holds(any(one.binary == "cinder-volume" for one in admin.services.list()), "no cinder-volume")
    holds(admin.pools.list(detailed=True), "no pools")
    same([one.zoneName for one in cinder.availability_zones.list()], ["nova"], "zones")
    holds(isinstance(cinder.messages.list(), list), "no messages")
    holds(len(cinder.resource_filters.list()) > 3, "no resource filters")


def main():
    version = negotiate()
    admin, member = connect(ADMIN, version), connect(MEMBER, version)
    kind = types(admin, member)
    volume = volumes(member, kind)
    snapshots(member, volume)
    backups(member, admin, volume)
    attachments(member, volume)
    legacy(member, volume)
    acts(member, admin, volume)
    qos_and_access(admin, member, kind)
    retype(member, admin, volume, kind)
    manage(admin)
    transfers(member, admin, volume)
    quotas_and_services(member, admin)
    member.volumes.delete(volume)
    gone(member.volumes, volume)
    admin.volume_types.delete(kind)
    print(f"python-cinderclient at {version}: done")


main()
