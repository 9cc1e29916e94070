#!/bin/sh
# Builds the root file system of the lab's guests from Debian's packages: image.sh DIRECTORY
#
# Leaves root.qcow2, vmlinuz, initrd and the key `id` for ssh in DIRECTORY. The lab (tests/src/lab/) caches them by a
# hash of this file. Runs as root, or as anybody where user namespaces are allowed.
set -eu
out=$1
mkdir -p "$out"
rm -rf "$out/tree" "$out/id" "$out/id.pub"
ssh-keygen -q -t ed25519 -N '' -C ashlar-lab -f "$out/id"

cat > "$out/setup.sh" <<'SETUP'
set -eu
echo lab > "$1/etc/hostname"
printf '127.0.0.1 localhost lab\n::1 localhost lab\n10.77.0.1 storage\n10.77.0.2 host\n' > "$1/etc/hosts"
printf '/dev/vda / ext4 noatime 0 1\n' > "$1/etc/fstab"
mkdir -p "$1/root/.ssh" "$1/etc/systemd/network" "$1/etc/modules-load.d"
cp "$2/id.pub" "$1/root/.ssh/authorized_keys"
# Without PAM: each way in would start a session's services.
printf 'PermitRootLogin yes\nUsePAM no\nUseDNS no\nMaxSessions 100\nMaxStartups 100\n' > "$1/etc/ssh/sshd_config.d/lab.conf"
# The first card is the way in (user networking), the second is between the guests (tests/src/lab/guest.rs).
printf '[Match]\nName=way-in\n[Network]\nDHCP=ipv4\n[DHCPv4]\nClientIdentifier=mac\n' > "$1/etc/systemd/network/10-way-in.network"
printf '[Match]\nPath=pci-0000:00:0e.0\n[Link]\nName=way-in\n' > "$1/etc/systemd/network/10-way-in.link"
printf '[Match]\nPath=pci-0000:00:0f.0\n[Link]\nName=between\n' > "$1/etc/systemd/network/11-between.link"
printf 'target_core_mod\ntarget_core_iblock\ntarget_core_file\niscsi_target_mod\ndm_thin_pool\ndm_snapshot\ndm_mirror\niscsi_tcp\nxfs\nloop\n' \
    > "$1/etc/modules-load.d/lab.conf"
# Nothing of its own accord: what a case wants it starts.
printf 'node.startup = manual\nnode.session.timeo.replacement_timeout = 600\n' >> "$1/etc/iscsi/iscsid.conf"
chroot "$1" systemctl -q enable systemd-networkd.service ssh.service iscsid.service
chroot "$1" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer man-db.timer systemd-networkd-wait-online.service systemd-timesyncd.service \
    systemd-resolved.service multipathd.service multipathd.socket open-iscsi.service systemd-pstore.service \
    lvm2-monitor.service getty@tty1.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*

# What the kernel starts with: no more than finds the root. Debian's own has all drivers and firmware, and to unpack it
# takes an emulated processor longer than all the rest of the kernel's start.
kernel=$(ls "$1/lib/modules")
ramfs=$1/tmp/ramfs
mkdir -p "$ramfs/bin" "$ramfs/dev" "$ramfs/root"
cp "$1/bin/busybox" "$ramfs/bin/"
number=100
for module in crc32c_generic virtio_pci virtio_blk ext4; do
    chroot "$1" modprobe -S "$kernel" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
    cp "$1$file" "$ramfs/$number.ko"
    number=$((number + 1))
done
cat > "$ramfs/init" <<'INIT'
#!/bin/busybox sh
busybox mount -t devtmpfs none /dev
for module in /*.ko; do busybox insmod "$module"; done
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mount -t ext4 -o noatime /dev/vda /root && busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
INIT
chmod +x "$ramfs/init"
chroot "$1" sh -c 'cd /tmp/ramfs && find . | cpio -o -H newc --quiet' > "$2/initrd"
rm -rf "$ramfs"
SETUP

packages=linux-image-amd64,systemd-sysv,dbus,udev,udisks2,udisks2-lvm2,lvm2,thin-provisioning-tools,targetcli-fb
packages=$packages,open-iscsi,iproute2,kmod,openssh-server,xfsprogs,e2fsprogs,fio,polkitd,sg3-utils,multipath-tools
packages=$packages,libiscsi-bin,python3-minimal,python3-setuptools,qemu-utils,procps,parted,libcap2-bin,busybox-static

mmdebstrap --quiet --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="sh '$out/setup.sh' \"\$1\" '$out'" \
    --customize-hook="cp \"\$1\"/boot/vmlinuz-* '$out/vmlinuz'" \
    bookworm "$out/root.tar"

mkdir "$out/tree"
tar -C "$out/tree" --numeric-owner -xf "$out/root.tar"
rm -f "$out/root.img"
mke2fs -q -t ext4 -d "$out/tree" -L root "$out/root.img" 3G
qemu-img convert -O qcow2 "$out/root.img" "$out/root.qcow2"
rm -rf "$out/tree" "$out/root.img" "$out/root.tar" "$out/setup.sh"
