#!/bin/sh
# Runs the cgroup tests on a kernel of its own (user-mode-linux), which has
# cgroup v2 with all its controllers, whatever this machine has. The root file
# system is this one, read-only. Usage: cgroup2.sh TEST_BINARY
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$1" "$work/test"
cat > "$work/init" <<INIT
#!/bin/sh
export PATH=$PATH HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 none /sys/fs/cgroup
echo +cpu +memory > /sys/fs/cgroup/cgroup.subtree_control
cd /run && mount -t tmpfs -o size=200m tmpfs /run && cp "$work/test" /run/test
mount -t tmpfs -o size=200m tmpfs /tmp
/run/test -test.v -test.timeout 5m -test.run '^Test(CPUIsBounded|GroupsComeAndGo|MemoryIsBounded|MemoryHighHoldsUp)\$'
echo "ended with \$?"
echo o > /proc/sysrq-trigger
sleep 60
INIT
chmod +x "$work/init"
timeout 400 linux.uml mem=512M root=/dev/root rootfstype=hostfs rootflags=/ ro "init=$work/init" con=null con0=fd:0,fd:1 \
	< /dev/null > "$work/log" 2>&1 || true
tr -d '\r' < "$work/log" | grep -E '^(---|    [a-z_]+\.go|PASS|FAIL|panic|ended)' || true
tr -d '\r' < "$work/log" | grep -qx 'ended with 0' || { tail -50 "$work/log"; exit 1; }
! grep -q -- '--- SKIP' "$work/log" # a test that found nothing to show would show nothing
