#!/bin/sh
# Boots systemd as process 1 of namespaces of its own, on a copy-on-write view
# of this machine: systemd_boot.sh FOLDER ROOT BUILD. Of the units that belong
# to a machine it starts next to none. Takes root; runs until it is killed.
set -eu
folder=$1 root=$2 build=$3

if [ "${4:-}" = "" ]; then
	# A control group of its own becomes the new root of them all.
	mount --make-rprivate /
	mkdir "$folder/groups"
	mount -t cgroup2 cgroup2 "$folder/groups"
	mkdir -p "$folder/groups/$(basename "$folder")"
	echo 0 >"$folder/groups/$(basename "$folder")/cgroup.procs"
	exec unshare --pid --fork --kill-child --uts --ipc --net --cgroup \
	    --mount sh "$0" "$folder" "$root" "$build" inside
fi

new=$folder/root
mkdir "$folder/over" "$new"
mount -t tmpfs tmpfs "$folder/over"
mkdir "$folder/over/upper" "$folder/over/work"
mount -t overlay overlay -o \
    "lowerdir=/,upperdir=$folder/over/upper,workdir=$folder/over/work" "$new"

mount -t proc proc "$new/proc"
mount -o bind,ro "$new/proc/sys" "$new/proc/sys"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
for tmp in dev run tmp etc/systemd/system lib/systemd/system/sysinit.target.wants \
    lib/systemd/system/sockets.target.wants \
    lib/systemd/system/timers.target.wants; do
	mount -t tmpfs tmpfs "$new/$tmp"
done
for node in null zero full random urandom tty; do
	touch "$new/dev/$node"
	mount --bind "/dev/$node" "$new/dev/$node"
done
ln -s /proc/self/fd "$new/dev/fd"
ln -s pts/ptmx "$new/dev/ptmx"
mkdir "$new/dev/shm" "$new/run/root" "$new/run/build"
mount -t tmpfs tmpfs "$new/dev/shm"
mount --bind "$root" "$new/run/root"
mount --bind "$build" "$new/run/build"
units=$new/etc/systemd/system
mkdir "$units/sockets.target.wants"
for unit in systemd-journald.socket systemd-journald-dev-log.socket; do
	ln -s "/lib/systemd/system/$unit" "$units/sockets.target.wants"
done
: >"$new/etc/fstab"
ip link set lo up
mkdir "$new/run/old"
cd "$new"
pivot_root . run/old
umount -l /run/old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --show-status=no
