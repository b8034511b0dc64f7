//! Memory and threads of many instances, in a process of its own.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::Instant;

use continuo_tests::daw::Daw;
use continuo_tests::host::Format;
use continuo_tests::{artifacts, assertions, scenario};

/// Whether a file whose path contains `name` is mapped into this process.
fn is_mapped(name: &str) -> bool {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .contains(name)
}

/// Names of this process's threads.
fn threads() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let named = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    let names = threads.filter_map(|thread| named(thread.unwrap()));
    names.map(|name| name.trim().to_string()).collect()
}

/// Anonymous memory of this process in kilobytes.
fn kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse().unwrap()
}

/// An instance with the bundled model that has answered the opening.
fn played(format: Format) -> Daw {
    let plugin = format.load(&artifacts::bundle(format).unwrap()).unwrap();
    let mut daw = Daw::new(plugin, scenario::default_setup(), &scenario::opening()).unwrap();
    daw.set(&[("thru", "Off")]).unwrap();
    daw.play_to(scenario::END).unwrap();
    daw.run_stopped(1_000).unwrap();
    assert!(!assertions::pair_notes(daw.sent()).unwrap().is_empty());
    daw
}

/// One test, because its parts must not run at the same time.
#[test]
fn scan_loads_no_model_and_sixteen_instances_share_one() {
    for format in Format::ALL {
        // A scanning host creates instances and reads parameters and state, without activation.
        let bundle = artifacts::bundle(format).unwrap();
        let before = threads();
        let began = Instant::now();
        for _ in 0..10 {
            let mut plugin = format.load(&bundle).unwrap();
            plugin.parameter_text("mode").unwrap();
            let state = plugin.save().unwrap();
            plugin.load(&state).unwrap();
        }
        let each = began.elapsed() / 10;
        println!("{format:?}: {each:?} to load, inspect and drop an instance");
        assert!(
            !is_mapped("onnxruntime"),
            "{format:?}: a scan loads the runtime"
        );
        assert_eq!(threads(), before, "{format:?}: a scan starts a thread");
    }

    let first = played(Format::Clap);
    assert!(is_mapped("onnxruntime"));
    let (one, threads_of_one) = (kilobytes(), threads());
    let mut others = Vec::new();
    for number in 1..16 {
        let began = Instant::now();
        let plugin = Format::Clap
            .load(&artifacts::bundle(Format::Clap).unwrap())
            .unwrap();
        let idle = Daw::new(plugin, scenario::default_setup(), &[]).unwrap();
        if number == 15 {
            println!(
                "the sixteenth instance is active after {:?}",
                began.elapsed()
            );
        }
        drop(idle);
        others.push(played(Format::Clap));
    }
    let sixteen = kilobytes();
    assert_eq!(threads(), threads_of_one, "one composer thread for all");
    let each = sixteen.saturating_sub(one) / 15;
    let (weights, window) = sizes();
    let (weights, window) = (weights / 1024, window / 1024);
    println!(
        "{one} kB with one instance, {sixteen} kB with sixteen: {each} kB each; weights {weights} \
         kB, the window's keys and values {window} kB"
    );
    // An instance has its own caches (two windows in place, and the played notes) and rings, but no copy
    // of the weights.
    let rings = 1_024;
    assert!(
        each < 3 * window + rings + weights / 2,
        "{each} kB each, and the weights are {weights} kB"
    );
    drop((first, others));
    let left = threads();
    assert!(
        left.len() < threads_of_one.len(),
        "the composer thread must end with the last instance: {left:?}"
    );
}

/// Bytes of the bundled model's graphs, and of the keys and values of a full window.
fn sizes() -> (u64, u64) {
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default");
    let text = fs::read_to_string(model.join("model.json")).unwrap();
    let manifest: continuo_score::manifest::Manifest = serde_json::from_str(&text).unwrap();
    let variant = ["cpu", "plain"].map(|variant| model.join(variant));
    let graphs = variant.iter().find_map(|folder| fs::read_dir(folder).ok());
    let bytes = |file: std::io::Result<fs::DirEntry>| file.unwrap().metadata().unwrap().len();
    let weights = graphs.expect("a variant").map(bytes).sum();
    let sizes = &manifest.shape.sizes;
    let row = 2 * sizes.heads * sizes.head_dim * size_of::<f32>();
    (weights, (sizes.layers * manifest.shape.window * row) as u64)
}
