#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# First process of a guest with systemd: prepares the guest for systemd.  One service
# runs the case, and has a file descriptor store of the size kho_store= and a session;
# the other one is memcached, if it is installed.

/bin/busybox mkdir -p /proc /sys /dev /run /share /tmp /etc /var /usr/bin /usr/sbin
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/usr/sbin

mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev 2>/dev/null
kho_store=8
for word in $(cat /proc/cmdline); do
	case "$word" in
	kho_case=*|kho_hop=*|kho_results=*|kho_store=*) eval "$word" ;;
	esac
done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=readahead kho /share

echo 0123456789abcdef0123456789abcdef >/etc/machine-id
echo ID=guest >/etc/os-release
echo root:x:0:0:root:/:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group

# Without a store, systemd has no place for the session, and the service would not start.
[ "$kho_store" = 0 ] || session=LUOSession=own

mkdir -p /etc/systemd/system
cat >/etc/systemd/system/memcached.service <<END
[Unit]
ConditionPathExists=/usr/bin/memcached
[Service]
NotifyAccess=all
FileDescriptorStoreMax=2
FileDescriptorStorePreserve=yes
KillSignal=SIGUSR1
Environment=PATH=$PATH
StandardError=file:/dev/console
ExecStart=/bin/systemd_memcached.sh start
ExecStopPost=/bin/systemd_memcached.sh stop
END
cat >/etc/systemd/system/keeper.service <<END
[Unit]
Wants=memcached.service
After=memcached.service
[Service]
NotifyAccess=all
FileDescriptorStoreMax=$kho_store
FileDescriptorStorePreserve=yes
$session
Environment=PATH=$PATH
StandardOutput=null
StandardError=file:/dev/console
ExecStart=/bin/sh -c 'handover --case $kho_case $kho_hop >/dev/$kho_results; sleep 1; reboot -f'
END
cat >/etc/systemd/system/test.target <<END
[Unit]
Requires=basic.target keeper.service
After=basic.target
END
umount /dev
exec /usr/lib/systemd/systemd
