# Sourced by every script: the repository's root, messages, and --help.
#
# The comment at the top of a script is its help text. It starts with `usage: …`, and the next paragraph
# starts with the one-line summary that `scripts/dev` lists.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$(realpath "$0")
script_name=${script##*/}

fail() { echo "$script_name: $*" >&2; exit 1; }
usage_error() { echo "$script_name: $* (see ${script#"$root/"} --help)" >&2; exit 2; }

print_help() { # print_help [SCRIPT]
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${1:-$script}"
}

# Prints the help text and exits if one of the arguments asks for it.
help_if_asked() { # help_if_asked "$@"
    local argument
    for argument; do
        case $argument in
            -h | --help) print_help; exit ;;
        esac
    done
}

# Replaces the script with a command of the Python package. Needs no virtual environment: commands that
# need more than the standard library say so.
python_command() { # python_command MODULE "$@"
    local python=$root/.build/venv/bin/python
    help_if_asked "${@:2}"
    [[ -x $python ]] || python=python3
    command -v "$python" >/dev/null || fail "python3 is missing: scripts/install-dependencies --test"
    export PATH=$PATH:/usr/sbin:/sbin
    export PYTHONPATH=$root/scripts/lib PYTHONDONTWRITEBYTECODE=1
    exec "$python" -m "swireguard_dev.commands.$1" "${@:2}"
}
