# apt with lists and a cache of its own, for scripts that fetch Debian packages and install nothing:
# the machine's package lists stay as they are. To be sourced.

# private_apt_in FOLDER SUITE... makes it, and reads the lists of these suites.
private_apt_in() {
    apt_folder=$1
    shift
    mkdir -p "$apt_folder/lists/partial" "$apt_folder/archives/partial"
    # The mirror that this machine uses, from either style of apt's sources.
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -n -e 's/^URIs: *\([^ ]*\).*/\1/p' -e 's/^deb \(\[[^]]*\] \)*\([^ ]*\).*/\2/p' |
        grep '/debian/*$' | head -n 1)
    [ -n "$mirror" ] || { echo "no Debian mirror in apt's sources" >&2; exit 1; }
    for suite in "$@"; do
        for kind in deb deb-src; do
            echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
        done
    done >"$apt_folder/sources.list"
    private_apt apt-get update >&2 || echo "some package lists could not be read" >&2
}

# private_apt apt-get|apt-cache ...
private_apt() {
    tool=$1
    shift
    "$tool" -q=2 -o Dir::Etc::sourcelist="$apt_folder/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::Lists="$apt_folder/lists" -o Dir::Cache="$apt_folder" \
        -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
