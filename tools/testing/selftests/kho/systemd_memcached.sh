#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# memcached as a service of systemd.  Its cache is a file in the file descriptor store.
# When it exits it writes a second file, with the structure of the cache, which is stored
# as well.

mkdir -p /run/memcached
cd /run/memcached || exit 1

# LUO only preserves files without a name.
store() {
	exec 3<>"$1"
	rm "$1"
	systemd-notify --fd=3 --fdname="$1"
}

case "$1" in
start)
	fd=3
	for name in $(echo "$LISTEN_FDNAMES" | tr : ' '); do
		ln -s "/proc/self/fd/$fd" "$name"
		fd=$((fd + 1))
	done
	if [ -e cache.meta ]; then
		systemd-notify FDSTOREREMOVE=1 FDNAME=cache.meta
	else
		store cache
		ln -s /proc/self/fd/3 cache
	fi
	exec memcached -u root -t 1 -m 64 -s /run/memcached/socket -e /run/memcached/cache
	;;
stop)
	store cache.meta
	;;
esac
