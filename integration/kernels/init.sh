#!/bin/busybox sh
# In the initrd: finds the guest's file systems and goes there.
export PATH=/bin
for word in sh mount insmod mkdir switch_root sleep; do /bin/busybox ln -s busybox /bin/$word; done
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
while [ ! -b /dev/vdc ]; do sleep 0.1; done
mount -t ext4 /dev/vda /new
mount -t ext4 -o ro /dev/vdb /new/usr/lib/modules
mount -t ext4 /dev/vdc /new/tests
mount -o move /proc /new/proc
mount -o move /dev /new/dev
exec switch_root /new /bin/bash /tests/guest.sh
