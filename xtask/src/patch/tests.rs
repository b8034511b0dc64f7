use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::wheel::sha256;

const LIB: &str = "//! One.\nfn one() {}\nfn two() {}\nfn three() {}\nfn four() {}\n";
const CHANGES: &str = "\
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -2,3 +2,3 @@
 fn one() {}
-fn two() {}
+fn second() {}
 fn three() {}
";

/// A repository with one patch file, and a cargo cache with `some-crate` 1.2.3.
struct Repository {
    root: tempfile::TempDir,
    folders: Folders,
}

impl Repository {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let folders = Folders {
            patches: at("patches"),
            patched: at("patched"),
            registry: Registry {
                cargo_home: at("cargo"),
            },
        };
        fs::create_dir_all(&folders.patches).unwrap();
        fs::create_dir(&folders.registry.cargo_home).unwrap();
        let config = folders.registry.cargo_home.join("config.toml");
        fs::write(config, "net.offline = true").unwrap();
        let repository = Self { root, folders };
        let sha256 = repository.release("some-crate-1.2.3", &[("src/lib.rs", LIB)]);
        repository.write_patch("Why.\n", &sha256, CHANGES);
        repository
    }

    /// Puts a crate into the cache, and returns its hash.
    fn release(&self, name: &str, files: &[(&str, &str)]) -> String {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (path, text) in files.iter().chain(&[("Cargo.lock", "")]) {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, format!("{name}/{path}"), text.as_bytes())
                .unwrap();
        }
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let cache = self.root.path().join("cargo/registry/cache/somewhere");
        fs::create_dir_all(&cache).unwrap();
        fs::write(cache.join(format!("{name}.crate")), &bytes).unwrap();
        sha256(&bytes)
    }

    fn patch_path(&self) -> PathBuf {
        self.folders.patches.join("some-crate-1.2.3.patch")
    }

    fn write_patch(&self, explanation: &str, sha256: &str, diff: &str) {
        let text = format!("{explanation}\nSHA-256: {sha256}  some-crate-1.2.3.crate\n\n{diff}");
        fs::write(self.patch_path(), text).unwrap();
    }

    /// Replaces a part of the patch file.
    fn change_patch(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.patch_path()).unwrap();
        assert!(text.contains(from));
        fs::write(self.patch_path(), text.replace(from, to)).unwrap();
    }

    fn lib(&self) -> PathBuf {
        self.folders.patched.join("some-crate/src/lib.rs")
    }

    fn make_error(&self) -> String {
        format!("{:#}", self.folders.make().unwrap_err())
    }

    fn save_error(&self) -> String {
        format!("{:#}", self.folders.save(&[]).unwrap_err())
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn make_applies_the_patch_once() {
    let repository = Repository::new();
    assert_eq!(repository.folders.make().unwrap(), ["some-crate"]);
    assert_eq!(read(&repository.lib()), LIB.replace("two", "second"));
    // A second run reads no crate from the cache.
    fs::remove_dir_all(repository.root.path().join("cargo")).unwrap();
    assert!(repository.folders.make().unwrap().is_empty());
}

#[test]
fn make_follows_a_changed_patch_but_not_a_changed_explanation() {
    let repository = Repository::new();
    repository.folders.make().unwrap();
    repository.change_patch("Why.", "Why, in more words.");
    assert!(repository.folders.make().unwrap().is_empty());
    repository.change_patch("+fn second", "+fn deux");
    assert_eq!(repository.folders.make().unwrap(), ["some-crate"]);
    assert_eq!(read(&repository.lib()), LIB.replace("two", "deux"));
}

#[test]
fn make_follows_a_newer_release() {
    let repository = Repository::new();
    repository.folders.make().unwrap();
    let newer = format!("{LIB}fn five() {{}}\n");
    let sha256 = repository.release("some-crate-2.0.0-rc.1", &[("src/lib.rs", &newer)]);
    fs::remove_file(repository.patch_path()).unwrap();
    let path = repository
        .folders
        .patches
        .join("some-crate-2.0.0-rc.1.patch");
    let text = format!("SHA-256: {sha256}  some-crate-2.0.0-rc.1.crate\n\n{CHANGES}");
    fs::write(path, text).unwrap();
    assert_eq!(repository.folders.make().unwrap(), ["some-crate"]);
    assert_eq!(read(&repository.lib()), newer.replace("two", "second"));
}

#[test]
fn make_keeps_edits_that_are_in_no_patch_file() {
    let repository = Repository::new();
    repository.folders.make().unwrap();
    let edited = read(&repository.lib()).replace("four", "last");
    fs::write(repository.lib(), &edited).unwrap();
    // The build continues with these edits.
    assert!(repository.folders.make().unwrap().is_empty());
    repository.change_patch("+fn second", "+fn deux");
    let error = repository.make_error();
    assert!(
        error.contains("holds changes that are in no patch file (src/lib.rs)"),
        "{error}"
    );
    assert!(
        repository
            .save_error()
            .contains("run `cargo xtask patch` first")
    );
    assert_eq!(read(&repository.lib()), edited);
}

#[test]
fn make_replaces_no_folder_of_unknown_origin() {
    let repository = Repository::new();
    repository.folders.make().unwrap();
    fs::remove_file(repository.folders.patched.join("some-crate").join(STAMP)).unwrap();
    let error = repository.make_error();
    assert!(error.contains("no record of the patch"), "{error}");
}

#[test]
fn make_starts_over_after_an_interruption() {
    let repository = Repository::new();
    let patched = &repository.folders.patched;
    for rest in [".new-some-crate", ".old-some-crate"] {
        fs::create_dir_all(patched.join(rest)).unwrap();
        fs::write(patched.join(rest).join("rest.rs"), "").unwrap();
    }
    repository.folders.make().unwrap();
    let mut names: Vec<_> = fs::read_dir(patched)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, [".lock", "some-crate"]);
    assert!(!patched.join("some-crate/rest.rs").exists());
}

#[test]
fn make_at_the_same_time_does_the_work_once() {
    let repository = Repository::new();
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                made.fetch_add(repository.folders.make().unwrap().len(), Ordering::Relaxed);
                assert_eq!(read(&repository.lib()), LIB.replace("two", "second"));
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn make_names_the_file_and_hunk_that_do_not_apply() {
    let repository = Repository::new();
    let second_hunk = "@@ -5 +5 @@\n-fn cuatro() {}\n+fn last() {}\n";
    let patch = read(&repository.patch_path());
    fs::write(repository.patch_path(), patch + second_hunk).unwrap();
    let error = repository.make_error();
    for part in [
        "some-crate-1.2.3.patch does not apply",
        "src/lib.rs",
        "hunk #2",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!repository.lib().exists());
}

#[test]
fn make_refuses_another_crate_than_the_pinned() {
    let repository = Repository::new();
    repository.change_patch("SHA-256: ", "SHA-256: 0");
    let error = repository.make_error();
    for part in ["is not the crate that", "expected 0", "delete the file"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn make_says_which_crate_cannot_be_downloaded() {
    let repository = Repository::new();
    fs::remove_dir_all(repository.root.path().join("cargo/registry")).unwrap();
    let error = repository.make_error();
    for part in [
        "cannot download some-crate@1.2.3",
        "registry",
        " info --quiet",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn patch_file_is_named_for_its_crate() {
    let repository = Repository::new();
    let wrong = repository.folders.patches.join("some-crate.patch");
    fs::rename(repository.patch_path(), &wrong).unwrap();
    let error = repository.make_error();
    assert!(error.contains("call it some-crate-1.2.3.patch"), "{error}");
    fs::write(&wrong, CHANGES).unwrap();
    let error = repository.make_error();
    assert!(error.contains("has no line `SHA-256: "), "{error}");
}

#[test]
fn save_writes_edits_new_files_and_deletions() {
    let repository = Repository::new();
    let files = [("src/lib.rs", LIB), ("src/gone.rs", "fn gone() {}\n")];
    let sha256 = repository.release("some-crate-1.2.3", &files);
    repository.write_patch("Why.\n", &sha256, "");
    repository.folders.make().unwrap();
    let folder = repository.folders.patched.join("some-crate");
    fs::write(repository.lib(), LIB.replace("four() {}\n", "four() {}")).unwrap();
    fs::remove_file(folder.join("src/gone.rs")).unwrap();
    fs::create_dir(folder.join("src/deep")).unwrap();
    fs::write(folder.join("src/deep/new.rs"), "fn new() {}\r\n").unwrap();
    // Cargo makes these; they are no changes.
    fs::write(folder.join("Cargo.lock"), "").unwrap();
    fs::create_dir(folder.join("target")).unwrap();
    repository.folders.save(&["some-crate".into()]).unwrap();

    let saved = read(&repository.patch_path());
    assert!(saved.starts_with("Why.\n\nSHA-256: "), "{saved}");
    assert!(saved.contains("+++ /dev/null"), "{saved}");
    assert!(repository.folders.make().unwrap().is_empty());
    let edited = tree::read(&folder).unwrap();
    fs::remove_dir_all(&repository.folders.patched).unwrap();
    repository.folders.make().unwrap();
    assert_eq!(tree::read(&folder).unwrap(), edited);
    repository.folders.save(&[]).unwrap();
    assert_eq!(read(&repository.patch_path()), saved);
}

#[test]
fn save_refuses_changes_that_no_patch_can_hold() {
    let repository = Repository::new();
    repository.folders.make().unwrap();
    let picture = repository.folders.patched.join("some-crate/picture.png");
    fs::File::create(picture)
        .unwrap()
        .write_all(&[0xff; 8])
        .unwrap();
    let error = repository.save_error();
    assert!(error.contains("picture.png is not a text file"), "{error}");
    let error = repository.folders.save(&["other".into()]).unwrap_err();
    assert!(error.to_string().contains("is for other"), "{error}");
}

/// Applies the patches of this repository in empty folders, and checks that `--save` writes the
/// same patches. The crates are in cargo's cache, since xtask made the folders before its tests
/// ran.
#[test]
fn patches_of_the_repository_apply_and_are_saved_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let folders = Folders {
        patches: temporary.path().join("patches"),
        patched: temporary.path().join("patched"),
        registry: Registry::of_user().unwrap(),
    };
    fs::create_dir(&folders.patches).unwrap();
    let mut committed = Vec::new();
    for entry in fs::read_dir(root.join(PATCHES)).unwrap() {
        let path = entry.unwrap().path();
        let copy = folders.patches.join(path.file_name().unwrap());
        fs::copy(&path, &copy).unwrap();
        committed.push((copy, read(&path)));
    }
    let made = folders.make().unwrap();
    assert_eq!(made.len(), committed.len());
    assert!(made.contains(&"nice-plug".to_owned()));
    folders.save(&[]).unwrap();
    for (copy, text) in committed {
        assert_eq!(read(&copy), text, "{}", copy.display());
    }
}
