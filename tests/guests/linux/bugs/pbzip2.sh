#!/bin/sh
# pbzip2 with the order violation of version 0.9.4, as pbzip2.patch puts it back: the main thread frees the queue's mutex as
# soon as the last block is written, while consumers may still be about to take it.
#
# Compresses a few blocks of zeros, which take no longer than a thread takes to begin, with many more consumers than blocks:
# those that come late find the mutex gone. With 2 cores, `--schedule random:6000` and 10 rounds, four of the seeds 1 to 6
# fail: a consumer locks a null pointer. The fixed one passes them all.
name=${0##*/}
rounds=${1:-10}
cd /tmp || exit 2
head -c 250000 /dev/zero >"$name.in"
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    "/bugs/programs/$name" -q -1 -p32 -b1 -k -c "$name.in" >"$name.out" 2>"$name.log"
    status=$?
    if [ $status -ne 0 ]; then
        echo "BUG $name ended with status $status in round $round: $(head -n 1 "$name.log")"
        exit 1
    fi
    if ! bzip2 -d -c <"$name.out" | cmp -s - "$name.in"; then
        echo "BUG $name gave another file in round $round"
        exit 1
    fi
done
echo "OK $name"
