# The works: real multi-threaded programs, each of which checks its own result.
#
#   works.sh NAME...     small: those that need no root image; rootfs: those of the root image
#
# Prints `WORK name rc=STATUS guest_s=SECONDS` for each, `WORK_FAILED name …` for each that failed, and `WORK_DONE` with the
# counts at the end. The status is 1 if one failed.

SMALL="threads pigz xz"
ROOTFS="pigz pbzip2 lbzip2 xz zstd openssl sysbench_cpu sysbench_mutex sysbench_threads sqlite stress_mutex stress_atomic
    stress_futex hackbench redis memcached"

cpus=$(grep -c ^processor /proc/cpuinfo)
scale=${work_scale:-1}
case $scale in
    [1-9] | 10) ;;
    *)
        echo "work_scale=$scale is none of 1 to 10; 1 is meant"
        scale=1
        ;;
esac
export TMPDIR=/tmp
cd /tmp || exit 1

# A part of the works' size: the whole at scale 1, a tenth at scale 10.
scaled() {
    echo $((($1 + scale - 1) / scale))
}

# Four megabytes of text from the root image, or what the initramfs has: programs and libraries.
if [ -e /data/text ]; then
    head -c "$(scaled 4194304)" /data/text >input
else
    cat /lib/*.so* /bin/busybox | head -c "$(scaled 1048576)" >input
fi

threads() {
    workload "$cpus" "$scale"
}

pigz() {
    /usr/bin/pigz -p "$cpus" -b 128 -k -c input >pigz.out && /usr/bin/pigz -d -c pigz.out | cmp - input
}

pbzip2() {
    command pbzip2 -p"$cpus" -b1 -k -c input >pbzip2.out && command pbzip2 -d -c -p"$cpus" pbzip2.out | cmp - input
}

lbzip2() {
    command lbzip2 -n "$cpus" -1 -k -c input >lbzip2.out && command lbzip2 -n "$cpus" -d -c lbzip2.out | cmp - input
}

# The slowest of the compressors: an eighth of the input.
xz() {
    head -c "$(($(wc -c <input) / 8))" input >xz.in
    /usr/bin/xz -T "$cpus" -1 --block-size=65536 -k -c xz.in >xz.out && /usr/bin/xz -T "$cpus" -d -c xz.out | cmp - xz.in
}

zstd() {
    command zstd -q -f -T"$cpus" -B131072 -k -c input >zstd.out && command zstd -q -d -c zstd.out | cmp - input
}

# The digest of the input by several processes at once must be that of busybox.
openssl() {
    expected=$(sha256sum <input | cut -d' ' -f1)
    count=0
    while [ $count -lt "$cpus" ]; do
        command openssl dgst -sha256 -r input >digest.$count &
        count=$((count + 1))
    done
    wait
    [ "$(cat digest.* | cut -d' ' -f1 | sort -u)" = "$expected" ] &&
        [ "$(cat digest.* | wc -l)" -eq "$cpus" ] &&
        command openssl speed -multi "$cpus" -seconds 1 -bytes 4096 -evp aes-128-gcm
}

sysbench_cpu() {
    sysbench cpu --threads="$cpus" --cpu-max-prime=2000 --events="$(scaled 400)" --time=0 run
}

sysbench_mutex() {
    sysbench mutex --threads="$cpus" --mutex-num=4 --mutex-locks="$(scaled 4000)" --mutex-loops=50 run
}

sysbench_threads() {
    sysbench threads --threads=$((cpus * 2)) --thread-yields=20 --thread-locks=2 --events="$(scaled 400)" --time=0 run
}

# Two processes write to one database with a write-ahead log; no row may be missing, and the file must be sound.
sqlite() {
    rows=$(scaled 400)
    rm -f "$HOME"/bank.db*
    sqlite3 "$HOME/bank.db" "pragma journal_mode=wal; create table entry(writer int, number int, text);" || return 1
    for writer in 1 2; do
        {
            echo ".timeout 60000"
            echo "pragma synchronous=off;"
            number=0
            while [ $number -lt "$rows" ]; do
                echo "insert into entry values($writer, $number, hex(zeroblob(40)));"
                number=$((number + 1))
            done
        } | sqlite3 -bail "$HOME/bank.db" &
    done
    wait
    found=$(sqlite3 "$HOME/bank.db" "select count(*) from entry; pragma integrity_check;" | tr '\n' ' ')
    echo "rows and integrity: $found"
    [ "$found" = "$((2 * rows)) ok " ]
}

# These end after so many operations, or after five seconds: on one CPU, threads of a high priority starve the others.
stress_mutex() {
    stress-ng --no-rand-seed --timeout 5 --mutex "$cpus" --mutex-ops "$(scaled 2000)" --verify
}

stress_atomic() {
    stress-ng --no-rand-seed --timeout 5 --atomic "$cpus" --atomic-ops "$(scaled 200)" --verify
}

stress_futex() {
    stress-ng --no-rand-seed --timeout 5 --futex "$cpus" --futex-ops "$(scaled 4000)" --verify
}

# Everything that threads and processes meet through, at once, for work_seconds.
stress_long() {
    seconds=${work_seconds:-60}
    stress-ng --no-rand-seed --timeout "$seconds" --verify --metrics-brief \
        --mutex 2 --futex 2 --atomic 2 --sem 2 --pipe 2 --switch 2 --fork 1 --clone 1 --pthread 2 --mmap 1 --vm 2 \
        --vm-bytes 8m --timer 1 --signal 1 --eventfd 1 --msg 1 --shm 1 --cpu 1 --membarrier 1 --mprotect 1
}

hackbench() {
    command hackbench -g 2 -f 5 -l "$(scaled 60)" -T && command hackbench -g 2 -f 5 -l "$(scaled 60)" -P
}

redis() {
    redis-server --save '' --appendonly no --io-threads 2 --port 6379 >redis.log 2>&1 &
    server=$!
    tries=0
    until redis-cli ping >/dev/null 2>&1 || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        usleep 100000
    done
    redis-benchmark -q --threads 2 -c 8 -n "$(scaled 2000)" -t set,get,incr &&
        [ "$(redis-cli get counter:__rand_int__)" = "$(scaled 2000)" ]
    found=$?
    kill $server
    wait $server
    return $found
}

# Several clients set keys of their own; every one must be read back.
memcached() {
    command memcached -u root -t "$cpus" -l 127.0.0.1 -p 11211 &
    server=$!
    tries=0
    until nc -w 1 127.0.0.1 11211 </dev/null 2>/dev/null || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        usleep 100000
    done
    keys=$(scaled 100)
    for client in 1 2 3 4; do
        key=0
        {
            while [ $key -lt "$keys" ]; do
                printf 'set %s.%s 0 0 5\r\nhello\r\nget %s.%s\r\n' $client $key $client $key
                key=$((key + 1))
            done
            printf 'quit\r\n'
        } | nc 127.0.0.1 11211 >memcached.$client &
        clients="$clients $!"
    done
    wait $clients
    kill $server
    wait $server
    stored=$(cat memcached.[1-4] | grep -c '^STORED')
    found=$(cat memcached.[1-4] | grep -c '^hello')
    echo "$stored stored, $found found of $((4 * keys))"
    [ "$stored" -eq $((4 * keys)) ] && [ "$found" -eq $((4 * keys)) ]
}

# Whether a program that a work needs is here.
present() {
    case $1 in
        threads) type workload ;;
        sysbench_*) type sysbench ;;
        stress_*) type stress-ng ;;
        sqlite) type sqlite3 ;;
        redis) type redis-server ;;
        *) (unset -f "$1" && type "$1") ;;
    esac >/dev/null 2>&1
}

succeeded=0
failed=0
work() {
    case " $SMALL $(echo $ROOTFS) stress_long " in
        *" $1 "*) ;;
        *)
            echo "WORK_FAILED $1: there is no such work"
            failed=$((failed + 1))
            return
            ;;
    esac
    if ! present "$1"; then
        echo "WORK_FAILED $1: its program is not here; is the root image there?"
        failed=$((failed + 1))
        return
    fi
    begin=$(cut -d' ' -f1 /proc/uptime)
    ("$1") >"log.$1" 2>&1
    rc=$?
    end=$(cut -d' ' -f1 /proc/uptime)
    echo "WORK $1 rc=$rc guest_s=$(awk "BEGIN { printf \"%.2f\", $end - $begin }")"
    if [ $rc -eq 0 ]; then
        succeeded=$((succeeded + 1))
    else
        failed=$((failed + 1))
        echo "WORK_FAILED $1: status $rc; its last lines:"
        tail -n 5 "log.$1" | sed 's/^/  | /'
    fi
}

for name in "$@"; do
    case $name in
        small) for one in $SMALL; do work "$one"; done ;;
        rootfs) for one in $ROOTFS; do work "$one"; done ;;
        *) work "$name" ;;
    esac
done
echo "WORK_DONE ok=$succeeded failed=$failed"
[ $failed -eq 0 ]
