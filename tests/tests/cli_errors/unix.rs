//! Devices, full disks, closed pipes and signals of Unix systems.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::process::Stdio;
use std::time::Duration;

use super::commands::{Makes, Reads, rows};
use super::fixture::Fixture;

/// A name in Latin-1, which is not valid UTF-8.
#[test]
fn file_name_that_is_not_utf8_is_accepted() {
    let fixture = Fixture::new();
    let name = std::ffi::OsString::from_vec(b"Fl\xf6te.mid".to_vec());
    for row in rows().filter(|row| row.reads == Reads::Midi) {
        fs::copy(fixture.at(row.input()), fixture.folder().join(&name)).unwrap();
        let mut arguments: Vec<std::ffi::OsString> = row
            .with("{in}", "own")
            .into_iter()
            .map(|word| match word.as_str() {
                "{in}" => name.clone(),
                _ => word.into(),
            })
            .collect();
        if row.json {
            arguments.push("--json".into());
        }
        let done = fixture.run(row, &arguments);
        assert!(done.status.success(), "{row:?}: {done:?}");
        if row.json {
            let json = serde_json::from_slice::<serde_json::Value>(&done.stdout);
            assert!(json.is_ok(), "{row:?}: {done:?}");
        }
        fixture.clean();
    }
}

#[test]
fn device_files_are_written_in_place() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes == Makes::File) {
        let done = fixture.run(row, &row.with(row.input(), "/dev/null"));
        assert!(done.status.success(), "{row:?}: {done:?}");
        if fs::metadata("/dev/full").is_ok() {
            fixture.fails(row, &row.with(row.input(), "/dev/full"), "space");
        }
    }
    for device in ["/dev/null", "/dev/full"] {
        let kind = fs::symlink_metadata(device).map(|data| data.file_type().is_char_device());
        assert!(kind.unwrap_or(true), "{device}");
    }
    fixture.is_unchanged();
}

#[test]
fn full_standard_output_fails() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        return;
    };
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes == Makes::Nothing) {
        let full = full.try_clone().unwrap();
        let arguments = row.with(row.input(), "");
        let done = fixture.start(row, &arguments, Stdio::null(), full.into());
        let done = done.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{row:?}: {done:?}");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("standard output"), "{row:?}: {said}");
        // Help is output, too.
        let help = [row.command, "--help"].map(String::from);
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let done = fixture.start(row, &help, Stdio::null(), full.into());
        let done = done.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{row:?}: {done:?}");
    }
}

/// A folder without write permission: the error names the output, and no scratch file.
#[test]
fn folder_without_write_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fs::create_dir(fixture.at("closed")).unwrap();
    fs::set_permissions(fixture.at("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(fixture.at("closed/any"), "").is_ok() {
        // The superuser can write everywhere.
        fs::remove_file(fixture.at("closed/any")).unwrap();
        return;
    }
    for row in rows().filter(|row| row.makes != Makes::Nothing) {
        fixture.fails(row, &row.with(row.input(), "closed/own"), "closed");
    }
}

/// A limit on file sizes simulates a full disk.
#[test]
fn full_disk_keeps_the_existing_output() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes != Makes::Nothing) {
        let arguments = row.with(row.input(), "own");
        let done = fixture.run(row, &arguments);
        assert!(done.status.success(), "{row:?}: {done:?}");
        let before = fixture.contents("own");
        if row.command != "train" {
            let done = fixture.run_on_full_disk(row, &arguments);
            assert_eq!(done.status.code(), Some(1), "{row:?}: {done:?}");
            assert!(fixture.contents("own") == before, "{row:?}");
        }
        fs::remove_file(fixture.at("own"))
            .or_else(|_| fs::remove_dir_all(fixture.at("own")))
            .unwrap();
        let done = fixture.run_on_full_disk(row, &arguments);
        assert_eq!(done.status.code(), Some(1), "{row:?}: {done:?}");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let names_scratch = said.contains(" at path ");
        assert!(
            !said.contains("panicked") && !names_scratch,
            "{row:?}: {said}"
        );
        assert!(!fixture.at("own/model.json").exists() && !fixture.at("own").is_file());
        let scratch = fixture
            .names()
            .into_iter()
            .find(|name| name.starts_with(".continuo") || name.starts_with("own."));
        assert_eq!(scratch, None, "{row:?}");
        fixture.clean();
    }
}

#[test]
fn closed_pipe_exits_without_an_error() {
    let fixture = Fixture::new();
    for row in rows() {
        let arguments = row.with(row.input(), "own");
        let mut child = fixture.start(row, &arguments, Stdio::null(), Stdio::piped());
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{row:?}: {said}");
        assert!(
            !said.contains("panicked") && !said.contains("ipe"),
            "{said}"
        );
        fixture.clean();
        if row.makes != Makes::File {
            continue;
        }
        let arguments = row.with(row.input(), "-");
        let mut child = fixture.start(row, &arguments, Stdio::null(), Stdio::piped());
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{row:?}: {done:?}");
    }
    fixture.is_unchanged();
}

#[test]
fn interrupt_removes_scratch_files_and_keeps_the_output() {
    let fixture = Fixture::new();
    for row in rows() {
        for wait in [30, 120, 400] {
            if row.makes == Makes::File {
                let done = fixture.run(row, &row.with(row.input(), "own"));
                assert!(done.status.success(), "{row:?}: {done:?}");
            }
            let before = fixture.contents("own");
            let arguments = row.with(row.input(), "own");
            let child = fixture.start(row, &arguments, Stdio::null(), Stdio::piped());
            std::thread::sleep(Duration::from_millis(wait));
            let sent = std::process::Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .stderr(Stdio::null())
                .status();
            assert!(sent.is_ok());
            let done = child.wait_with_output().unwrap();
            // The command may have ended before the signal, or not installed its handler; in that
            // case the system ends it.
            let code = done.status.code();
            assert!(matches!(code, Some(0 | 130) | None), "{row:?}: {done:?}");
            if row.makes == Makes::File {
                assert!(fixture.contents("own") == before, "{row:?}");
            }
            let left = fixture.names();
            let scratch = left.iter().find(|name| name.starts_with(".continuo"));
            assert_eq!(scratch, None, "{row:?}");
            fixture.clean();
        }
    }
}
