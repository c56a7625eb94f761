# The machine: qemu without KVM. Its time is that of the instructions it has executed, so that nothing is late in it on a busy
# machine, and waiting costs nothing. Programs lie at the same addresses each time (norandmaps): the emulator compiles what is
# executed by address, and would compile each program anew whenever it starts.

# boot VERSION SUITE TESTS SECONDS: runs the suite on that kernel. What it tells is in VERSION-SUITE.log, what the kernel says in
# VERSION-SUITE.console.
boot() {
    local version=$1 suite=$2 tests=$3 limit=$4 parts drive
    parts=(-smp 1 -m 3072 -nodefaults -no-user-config -display none -no-reboot)
    parts+=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off' -rtc clock=vm)
    parts+=(-kernel "$cache/$version/kernel" -initrd "$cache/$version/initrd")
    for drive in "$cache/root.ext4" "$cache/$version/modules.ext4" "$tests"; do
        parts+=(-drive "if=virtio,format=raw,snapshot=on,file=$drive")
    done
    parts+=(-serial "file:$logs/$version-$suite.console")
    parts+=(-device virtio-serial -chardev "file,id=log,path=$logs/$version-$suite.log" -device virtconsole,chardev=log)
    timeout "$limit" "${machine[@]}" "${parts[@]}" </dev/null -append "console=$console quiet panic=-1 no_timer_check nokaslr \
mitigations=off norandmaps init_on_alloc=0 tsc=reliable suite=$suite"
}
