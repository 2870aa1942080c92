#!/bin/sh
# Runs a server for as long as somebody holds the lock file, then removes its folder.
#
#   sh keeper.sh FOLDER LOCK COMMAND [ARGUMENT...]
#
# Its one line of output is the process id of the server.
#
# The lock is the kernel's: it is free when its holders have ended, however they ended.

folder=$1
lock=$2
shift 2

"$@" >/dev/null &
server=$!
echo "$server"
exec >/dev/null

exec 9>"$lock"
while kill -0 "$server" 2>/dev/null; do
    if flock --exclusive --nonblock 9; then
        # From here on nobody begins to use it, until this script has ended.
        break
    fi
    sleep 1
done
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
