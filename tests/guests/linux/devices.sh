#!/bin/busybox sh
# What a guest does with devices that have another end on the host. Each function checks its own results.
#
#   devices.sh NAME...   these, one after the other. Prints `DEVICE name rc=STATUS` for each; the status is 1 if one failed
#
# Words of the kernel's command line that they read come as variables: http_port, udp_port, tap_host, tap_guest. The server
# at http_host is known once there is a network.

export PATH=/usr/bin:/bin:/applets
cd /tmp || exit 1

# One that has the name of a file here gets it, and the other one that of another file.
server_file=/bin/busybox
client_file=/lib/libc.so.6
hub_port=5000

address() {
    ip addr add "$1" dev eth0 && ip link set eth0 up
}

sum_of() {
    md5sum <"$1" | cut -d ' ' -f 1
}

# Does something until it succeeds: the other guest may not be as far yet.
until_done() {
    for _ in $(seq 100); do
        "$@" && return 0
        sleep 1
    done
    return 1
}

# Ends once the other guest has called.
await_call() {
    nc -l -p $hub_port </dev/null
}

call() {
    nc "$1" $hub_port </dev/null
}

serve() {
    mkdir -p www
    cp "$1" www/file
    httpd -p 80 -h "$PWD/www"
}

# Two guests on a hub: each gets a file of the other one.
hub_server() {
    address 10.9.0.1/24 && serve $server_file && await_call || return 1
    wget -q -O got http://10.9.0.2/file && cmp got $client_file && until_done call 10.9.0.2
}

hub_client() {
    address 10.9.0.2/24 && serve $client_file || return 1
    until_done ping -c 1 -W 1 10.9.0.1 && ping -c 3 -s 1400 10.9.0.1 || return 1
    until_done wget -q -O got http://10.9.0.1/file && cmp got $server_file || return 1
    until_done call 10.9.0.1 && await_call
}

# Gets this from a server of the host, and says what came.
fetch() {
    wget -q -O got "http://$http_host:$http_port/$1" && echo "FETCHED $1 $(sum_of got)"
}

# A network of the guest's own: an address by DHCP, a file from the host, and the host gets one from here. The host
# answers the last question once it has.
user() {
    ip link set eth0 up
    udhcpc -i eth0 -n -q -s /devices.sh || return 1
    ip addr show dev eth0 | grep 'inet 10.0.2.15/24' || return 1
    http_host=10.0.2.2
    fetch file || return 1
    serve $client_file && echo "SERVED $(sum_of www/file)"
    fetch listening
}

# A tap device of the host, which has an address there.
tap() {
    http_host=$tap_host
    address "$tap_guest" && ping -c 2 $http_host && fetch file
}

# A folder of the host that can be read, and not written to.
share() {
    mkdir -p shared
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 home shared || return 1
    (cd shared && find . | sort | while read -r file; do
        if [ -L "$file" ]; then
            echo "SHARED $file -> $(readlink "$file")"
        elif [ -f "$file" ]; then
            echo "SHARED $file $(sum_of "$file")"
        else
            echo "SHARED $file"
        fi
    done)
    ! echo no >shared/new && ! rm shared/small && umount shared
}

# A drive of 8 MiB whose bytes are all 'a': writes, flushes, reads it back from the device, discards.
drive() {
    disk=/dev/vda
    [ "$(head -c 4096 $disk | tr -d a | wc -c)" -eq 0 ] || return 1
    head -c 1048576 $server_file >part
    dd if=part of=$disk bs=64k seek=16 conv=fsync 2>/dev/null || return 1
    blkdiscard -o 4194304 -l 1048576 $disk || return 1
    sync
    echo 3 >/proc/sys/vm/drop_caches
    dd if=$disk bs=64k skip=16 count=16 2>/dev/null | cmp - part || return 1
    [ "$(dd if=$disk bs=64k skip=64 count=16 2>/dev/null | tr -d '\0' | wc -c)" -eq 0 ] || return 1
    echo "DRIVE $(sum_of part)"
}

# The console beside the UART: its size, and a line of what is typed there. The driver drops what comes before it is set up
# and whoever closes it last loses what was not read; so it is typed when the server on the host has been told.
console() {
    exec 3<>/dev/hvc0
    # The size comes a little later.
    echo "CONSOLE $(until_done stty size <&3 2>/dev/null)"
    echo "said on hvc0" >&3
    fetch typing || return 1
    read -r line <&3
    echo "TYPED $line"
    exec 3>&-
}

rng() {
    echo "RNG $(cat /sys/class/misc/hw_random/rng_current) $(head -c 16 /dev/hwrng | od -An -tx1)"
}

# The real-time clock wakes whoever waits for it.
rtc() {
    alarm 3
}

# The counters that the firmware has, once the kernel has taken them over.
performance() {
    dmesg | grep 'SBI PMU extension is available' && counters
}

# A file from the host by UDP.
datagrams() {
    tftp -g -r datagrams -l got 10.0.2.2 "$udp_port" && echo "DATAGRAMS $(sum_of got)"
}

# udhcpc calls its script so.
case $1 in
    deconfig) exit 0 ;;
    bound | renew)
        ip addr add "$ip/24" dev "$interface" && ip route add default via "$router"
        echo "nameserver $dns" >/etc/resolv.conf
        exit 0
        ;;
    leasefail | nak) exit 1 ;;
esac

status=0
for name; do
    $name
    result=$?
    echo "DEVICE $name rc=$result"
    [ $result -eq 0 ] || status=1
done
exit $status
