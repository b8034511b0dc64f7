use std::fs;
use std::path::Path;

use super::*;

/// Apple's numbers of processors.
const X86_64: u32 = 0x0100_0007;
const ARM_64: u32 = 0x0100_000c;

/// A Mach-O library that holds no code: it imports `libSystem` and exports the symbols of both
/// plugin formats, in its symbol table and in its export trie. Format: `<mach-o/loader.h>`.
fn mach_o(processor: u32) -> Vec<u8> {
    const SYMBOLS: [&str; 2] = ["_GetPluginFactory", "_clap_entry"];
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let name = |name: &str| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    };
    let library = |command: u32, path: &str| {
        let size = (24 + path.len() + 1).next_multiple_of(8);
        let mut bytes = words(&[command, size as u32, 24, 0, 0, 0]);
        bytes.extend(path.as_bytes());
        bytes.resize(size, 0);
        bytes
    };
    let segment = [
        words(&[0x19, 72 + 80]),
        name("__TEXT"),
        words(&[0, 0, 0x1000, 0, 0, 0, 0, 0, 5, 5, 1, 0]),
        name("__text"),
        name("__TEXT"),
        words(&[0, 0, 0x1000, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
    ]
    .concat();
    let libraries = [
        library(0xd, "@rpath/continuo"),
        library(0xc, "/usr/lib/libSystem.B.dylib"),
    ]
    .concat();
    let commands = segment.len() + libraries.len() + 48 + 24;
    let mut trie = vec![0, 2];
    // The leaves lie behind the root, and each edge is a name and a place.
    let root = 2 + SYMBOLS.iter().map(|symbol| symbol.len() + 2).sum::<usize>();
    for (n, symbol) in SYMBOLS.iter().enumerate() {
        trie.extend(symbol.as_bytes());
        trie.extend([0, (root + 4 * n) as u8]);
    }
    for _ in SYMBOLS {
        trie.extend([2, 0, 0x10, 0]);
    }
    let strings = format!("\0{}\0", SYMBOLS.join("\0")).into_bytes();
    let trie_at = 32 + commands;
    let symbols_at = trie_at + trie.len();
    let strings_at = symbols_at + 16 * SYMBOLS.len();
    let mut symbols = Vec::new();
    let mut at = 1;
    for symbol in SYMBOLS {
        symbols.extend(words(&[at, 0x0000_010f, 0x10, 0]));
        at += symbol.len() as u32 + 1;
    }
    let numbers = |numbers: &[usize]| words(&numbers.iter().map(|&n| n as u32).collect::<Vec<_>>());
    [
        words(&[0xfeed_facf, processor, 0, 6, 5, commands as u32, 0, 0]),
        segment,
        libraries,
        words(&[0x8000_0022, 48, 0, 0, 0, 0, 0, 0, 0, 0]),
        numbers(&[trie_at, trie.len()]),
        words(&[2, 24]),
        numbers(&[symbols_at, SYMBOLS.len(), strings_at, strings.len()]),
        trie,
        symbols,
        strings,
    ]
    .concat()
}

/// A universal binary of several libraries. Format: `<mach-o/fat.h>`, whose numbers are big-endian.
fn universal(libraries: &[(u32, Vec<u8>)]) -> Vec<u8> {
    const ALIGNMENT: u32 = 12;
    let mut header = vec![0xcafe_babe_u32, libraries.len() as u32];
    let mut contents = Vec::new();
    let start = 1 << ALIGNMENT;
    for (processor, library) in libraries {
        let at = start + contents.len();
        header.extend([*processor, 0, at as u32, library.len() as u32, ALIGNMENT]);
        contents.extend(library);
        contents.resize(contents.len().next_multiple_of(start), 0);
    }
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.resize(start, 0);
    bytes.extend(contents);
    bytes
}

/// The bundles for macOS are laid out around a made-up library for both processors; nothing of it
/// can be run here. A Mac would sign it, and what is made up cannot be signed.
#[cfg(not(target_os = "macos"))]
#[test]
fn bundles_for_macos_are_folders_with_their_resources_inside() {
    shell::enter_root().unwrap();
    let home = tempfile::tempdir().unwrap();
    let target = Target::named(Some("aarch64-apple-darwin")).unwrap();
    let home = Home {
        folder: home.path().join("target"),
        target,
    };
    let library = home.folder.join("release").join(target.library(PACKAGE));
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    let both = [X86_64, ARM_64].map(|processor| (processor, mach_o(processor)));
    fs::write(&library, universal(&both)).unwrap();
    let runtime = home.folder.join("runtime");
    fs::create_dir(&runtime).unwrap();
    let onnx_runtime = runtime.join(target.library(onnx_runtime::BUNDLED_NAME));
    fs::write(&onnx_runtime, "ONNX Runtime").unwrap();
    for (_, licence) in crate::runtime::LICENCES {
        fs::write(runtime.join(licence), "a licence").unwrap();
    }
    let fetched = Fetched {
        library: onnx_runtime,
        ear: None,
    };
    let bundled = assemble(&home, true, &fetched).unwrap();
    for format in ["clap", "vst3"] {
        let contents = bundled.join(format!("{NAME}.{format}")).join("Contents");
        let binary = fs::read(contents.join("MacOS").join(NAME)).unwrap();
        assert_eq!(binary, fs::read(&library).unwrap());
        let list = fs::read_to_string(contents.join("Info.plist")).unwrap();
        assert!(list.contains(&format!("org.continuo.{format}")), "{list}");
        assert!(list.contains(env!("CARGO_PKG_VERSION")), "{list}");
        let resources = contents.join("Resources");
        for name in ["libonnxruntime-continuo.dylib", "models/default/model.json"] {
            assert!(resources.join(name).is_file(), "{name} in {format}");
        }
        assert!(
            !resources
                .join(Path::new("models/default/weights.safetensors"))
                .exists()
        );
    }
    assert!(!bundled.join(format!("{NAME}.resources")).exists());

    // A library without the entries of both formats becomes no bundle.
    fs::write(&library, universal(&[])).unwrap();
    assert!(assemble(&home, true, &fetched).is_err());
}
