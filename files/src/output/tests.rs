use super::*;
use crate::kind::{MIDI, PNG};

const SONG: &[u8] = b"MThd\0\0\0\x06 a song";

/// Returns all names in a folder, with hidden ones.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn check(path: &Path) -> Result<Output, WriteError> {
    Output::check(path, &MIDI, Replace::SameKind)
}

#[test]
fn file_appears_whole_and_replaces_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mid");
    let output = check(&path).unwrap();
    assert!(names(folder.path()).is_empty(), "the check leaves nothing");
    let mut draft = output.begin().unwrap();
    draft.write_all(SONG).unwrap();
    assert!(!path.exists(), "not before it is whole");
    draft.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), SONG);

    let mut draft = output.begin().unwrap();
    draft.write_all(b"MThd half").unwrap();
    drop(draft);
    assert_eq!(fs::read(&path).unwrap(), SONG, "given up: as it was");
    output.write(b"MThd another").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"MThd another");
    assert_eq!(names(folder.path()), ["a.mid"]);
}

#[test]
fn files_of_other_kinds_are_kept_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("letter"), "Dear sir").unwrap();
    fs::write(at("picture.mid"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(at("empty"), "").unwrap();
    for (name, says) in [
        ("letter", "a text file, not a MIDI file"),
        ("picture.mid", "a PNG picture, not a MIDI file"),
        ("song.mp3", "does not end in .mp3 but in .mid"),
        ("", "is a folder; name a file"),
        ("none/song.mid", "make it first"),
    ] {
        let refused = check(&at(name)).unwrap_err();
        assert!(refused.to_string().contains(says), "{name}: {refused}");
    }
    check(&at("empty")).unwrap();
    assert_eq!(fs::read(at("letter")).unwrap(), b"Dear sir");
    let forced = |name: &str| Output::check(&at(name), &MIDI, Replace::Any);
    forced("letter").unwrap().write(SONG).unwrap();
    assert_eq!(fs::read(at("letter")).unwrap(), SONG);
    assert!(matches!(forced("").unwrap_err(), WriteError::Folder(_)));
    let never = Output::check(&at("letter"), &MIDI, Replace::Never);
    assert!(matches!(never.unwrap_err(), WriteError::Exists(_)));
}

#[test]
fn file_that_appears_meanwhile_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mid");
    let output = check(&path).unwrap();
    fs::write(&path, "Dear sir").unwrap();
    assert!(matches!(
        output.write(SONG),
        Err(WriteError::OtherKind { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"Dear sir");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(output.write(SONG), Err(WriteError::Folder(_))));
    assert_eq!(names(folder.path()), ["a.mid"]);
}

#[test]
fn read_only_file_is_kept_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mid");
    fs::write(&path, SONG).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let refused = check(&path).unwrap_err();
    assert!(matches!(refused, WriteError::ReadOnly(_)) && refused.yields_to_force());
}

#[test]
fn file_is_recognised_by_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mid");
    fs::write(&path, SONG).unwrap();
    let around = folder.path().join(".").join("a.mid");
    assert!(check(&around).unwrap().is_file(&path));
    assert!(!check(&around).unwrap().is_file(folder.path()));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn links_stay_links_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/a.mid"), SONG).unwrap();
        fs::set_permissions(at("real/a.mid"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real/a.mid", at("link.mid")).unwrap();
        symlink("real/new.mid", at("free.mid")).unwrap();
        for name in ["link.mid", "free.mid"] {
            check(&at(name)).unwrap().write(b"MThd new").unwrap();
            assert!(fs::symlink_metadata(at(name)).unwrap().is_symlink());
            assert_eq!(fs::read(at(name)).unwrap(), b"MThd new");
        }
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("real/a.mid"), 0o640);
        // The file has the permissions of any new file there.
        fs::write(at("plain"), "").unwrap();
        assert_eq!(mode("real/new.mid"), mode("plain"));
    }

    #[test]
    fn devices_are_written_and_a_full_one_is_an_error() {
        check(Path::new("/dev/null")).unwrap().write(SONG).unwrap();
        if Path::new("/dev/full").exists() {
            let full = check(Path::new("/dev/full")).unwrap();
            let error = full.write(SONG).unwrap_err().to_string();
            assert!(
                error.contains("/dev/full") && error.contains("space"),
                "{error}"
            );
            use std::os::unix::fs::FileTypeExt;
            let still = fs::symlink_metadata("/dev/full").unwrap().file_type();
            assert!(still.is_char_device());
        }
    }

    #[test]
    fn pipe_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        let output = Output::check(&pipe, &PNG, Replace::SameKind).unwrap();
        output.write(b"\x89PNG").unwrap();
        assert_eq!(reader.join().unwrap(), b"\x89PNG");
    }
}

#[cfg(windows)]
mod windows {
    use super::*;
    use std::os::windows::fs::OpenOptionsExt;

    /// Windows' `FILE_SHARE_READ`.
    const OTHERS_MAY_READ: u32 = 1;

    /// Opens a file so that nobody else can replace it, as virus scanners do.
    fn hold(path: &Path) -> File {
        let mut options = OpenOptions::new();
        options.read(true).share_mode(OTHERS_MAY_READ);
        options.open(path).unwrap()
    }

    #[test]
    fn file_that_is_held_for_a_moment_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("\u{1f3b9} a.mid");
        fs::write(&path, SONG).unwrap();
        let output = check(&path).unwrap();
        let held = hold(&path);
        let release = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        output.write(b"MThd new").unwrap();
        release.join().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"MThd new");
    }

    #[test]
    fn file_that_stays_held_is_named_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mid");
        fs::write(&path, SONG).unwrap();
        let output = check(&path).unwrap();
        let held = hold(&path);
        let error = output.write(b"MThd new").unwrap_err().to_string();
        assert!(error.contains("a.mid"), "{error}");
        drop(held);
        assert_eq!(fs::read(&path).unwrap(), SONG);
        assert_eq!(names(folder.path()), ["a.mid"]);
    }
}
