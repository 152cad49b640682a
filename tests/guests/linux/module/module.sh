#!/bin/sh
# Loads the module of bugs for the bug that this script is called after, module_NAME or module_NAME-fixed, and says how it
# ended: a line BUG … and status 1, or OK … and status 0.
name=${0##*/module_}
fixed=0
case $name in
    *-fixed) fixed=1 ;;
esac
if ! insmod "/lib/modules/$(uname -r)/bugs.ko" bug="${name%-fixed}" fixed=$fixed ${1:+rounds="$1"}; then
    echo "module_$name: the module cannot be loaded into the kernel $(uname -r)"
    exit 2
fi
read -r verdict </sys/module/bugs/parameters/verdict
rmmod bugs
echo "$verdict"
case $verdict in
    OK*) exit 0 ;;
    BUG*) exit 1 ;;
esac
exit 2
