#!/bin/sh
# Copies Continuo into this user's plugin folders.
set -eu
from=$(cd "$(dirname "$0")" && pwd)
if [ "$(uname)" = Darwin ]; then
    clap="$HOME/Library/Audio/Plug-Ins/CLAP"
    vst3="$HOME/Library/Audio/Plug-Ins/VST3"
else
    clap="$HOME/.clap"
    vst3="$HOME/.vst3"
fi

# Copies a bundle under a temporary name and renames it, so that a full disk leaves the old one.
install() {
    mkdir -p "$2"
    new="$2/.$1.new-$$"
    cp -R "$from/$1" "$new" || { rm -rf "$new"; echo "cannot write to $2" >&2; exit 1; }
    # What a browser has downloaded is in quarantine on macOS, and so are copies of it.
    [ "$(uname)" != Darwin ] || xattr -dr com.apple.quarantine "$new" 2>/dev/null || true
    rm -rf "${2:?}/$1"
    mv "$new" "$2/$1"
    echo "$2/$1"
}

install Continuo.clap "$clap"
if [ -e "$from/Continuo.resources" ]; then
    install Continuo.resources "$clap"
fi
install Continuo.vst3 "$vst3"
echo "Continuo is installed. Let your DAW scan its plugins again."
