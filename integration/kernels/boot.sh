# The machine: qemu without KVM. Its time is that of the instructions it has executed, so that nothing is late in it on a busy
# machine, and waiting costs nothing.

# boot VERSION TESTS SUITES SECONDS: runs the suites on that kernel. What they tell is in VERSION.log, the console's in
# VERSION.console.
boot() {
    local version=$1 tests=$2 chosen=$3 limit=$4 machine drive
    machine=(qemu-system-x86_64 -machine pc -cpu max -smp 1 -m 3072 -nodefaults -no-user-config -display none -no-reboot)
    machine+=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off' -rtc clock=vm)
    machine+=(-kernel "$cache/$version/kernel" -initrd "$cache/$version/initrd")
    for drive in "$cache/root.ext4" "$cache/$version/modules.ext4" "$tests"; do
        machine+=(-drive "if=virtio,format=raw,snapshot=on,file=$drive")
    done
    machine+=(-serial "file:$logs/$version.console" -serial "file:$logs/$version.log")
    timeout "$limit" "${machine[@]}" </dev/null -append "console=ttyS0 quiet panic=-1 no_timer_check nokaslr mitigations=off \
tsc=reliable suites=$chosen"
}
