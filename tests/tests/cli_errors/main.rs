//! Common mistakes with every command of both programs. Each gives one clear line and the right exit
//! status, and leaves existing files unchanged.
//!
//! The programs themselves list their commands, so that none is missing: `commands::ROWS` must have a
//! row for each.

mod commands;
mod fixture;
mod numbers;
#[cfg(unix)]
mod unix;

use std::fs;
use std::process::Stdio;

use commands::{Makes, ROWS, Reads, rows};
use fixture::{Fixture, listed};

/// Content of a file that must not be lost.
const LETTER: &str = "Dear sir,\nthis is no music.\n";

#[test]
fn every_command_has_a_row_in_the_table() {
    for program in ["continuo", "continuo-trainer"] {
        let rows = ROWS.iter().filter(|row| row.program == program);
        let mut named: Vec<_> = rows.map(|row| row.command.to_string()).collect();
        named.sort();
        let mut listed = listed(program);
        listed.sort();
        assert_eq!(listed, named, "{program}");
    }
}

/// The output is a completion for each shell and a man page for each command, in a folder of their own.
#[test]
fn every_command_has_a_man_page() {
    let fixture = Fixture::new();
    for program in ["continuo", "continuo-trainer"] {
        let row = ROWS
            .iter()
            .find(|row| row.program == program && row.command == "pages");
        let row = row.unwrap();
        for _ in 0..2 {
            let done = fixture.run(row, &["pages", "--all", "pages"]);
            assert!(done.status.success(), "{done:?}");
        }
        for command in listed(program) {
            let page = fs::read_to_string(fixture.at(&format!("pages/{program}-{command}.1")));
            assert!(page.unwrap().contains(&command), "{program} {command}");
        }
        for name in [
            format!("{program}.1"),
            format!("{program}.bash"),
            format!("_{program}"),
        ] {
            assert!(fixture.at("pages").join(&name).is_file(), "{name}");
        }
        fixture.write("letter", LETTER);
        fixture.fails(
            row,
            &["pages", "--all", "letter"].map(String::from),
            "letter",
        );
        fixture.fails(row, &["pages", "--man", "gone"].map(String::from), "gone");
    }
}

#[test]
fn missing_input_is_named() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.reads != Reads::Nothing) {
        let arguments = row.with("gone.mid", "out");
        fixture.fails(row, &arguments, "gone.mid");
    }
    fixture.is_unchanged();
}

#[test]
fn input_of_another_kind_is_named() {
    let fixture = Fixture::new();
    fixture.write("letter", LETTER);
    fs::create_dir(fixture.at("folder")).unwrap();
    for row in rows().filter(|row| row.reads != Reads::Nothing) {
        // A file with other content, and a folder in place of a file or a file in place of a folder.
        fixture.fails(row, &row.with("letter", "out"), "letter");
        fixture.fails(row, &row.with("folder", "out"), "folder");
    }
    fixture.is_unchanged();
}

#[test]
fn existing_output_is_kept() {
    let fixture = Fixture::new();
    fixture.write("letter", LETTER);
    fs::create_dir(fixture.at("folder")).unwrap();
    fixture.write("folder/letter", LETTER);
    // Files beside the output with names like scratch files.
    for name in ["fresh.old", "fresh.partial", "fresh.tmp", "fresh.part"] {
        fixture.write(name, LETTER);
    }
    for row in rows().filter(|row| row.makes != Makes::Nothing) {
        let input = row.input();
        fixture.fails(row, &row.with(input, "letter"), "letter");
        // A folder output makes its parent folders; a file output does not.
        if row.makes == Makes::File {
            fixture.fails(row, &row.with(input, "none/of/these"), "none");
        }
        if row.command != "train" {
            fixture.fails(row, &row.with(input, "folder"), "folder");
        }
        if row.reads == Reads::Nothing {
            continue;
        }
        // `continue` keeps the content of its input file, unless it writes its own part alone.
        let mut arguments = row.with(input, input);
        if row.command == "continue" {
            arguments.push("--only".into());
        }
        fixture.fails(row, &arguments, input);
    }
    fixture.is_unchanged();
}

#[test]
fn output_with_extension_of_another_kind_is_refused() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes == Makes::File) {
        for name in ["out.mp3", "out.txt"] {
            fixture.fails(row, &row.with(row.input(), name), name);
        }
    }
    fixture.is_unchanged();
}

#[test]
fn force_replaces_files_but_not_folders() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.at("folder")).unwrap();
    fixture.write("folder/letter", LETTER);
    let before = fixture.names();
    for row in rows().filter(|row| row.makes == Makes::File) {
        fixture.write("letter.txt", LETTER);
        let mut arguments = row.with(row.input(), "letter.txt");
        arguments.push("--force".into());
        let done = fixture.run(row, &arguments);
        assert!(done.status.success(), "{arguments:?}: {done:?}");
        assert_ne!(
            fs::read(fixture.at("letter.txt")).unwrap(),
            LETTER.as_bytes()
        );
        fs::remove_file(fixture.at("letter.txt")).unwrap();
        arguments = row.with(row.input(), "folder");
        arguments.push("--force".into());
        fixture.fails(row, &arguments, "folder");
    }
    let left = fixture.names();
    assert_eq!(left, before);
}

#[test]
fn read_only_output_is_kept() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes == Makes::File) {
        let done = fixture.run(row, &row.with(row.input(), "own"));
        assert!(done.status.success(), "{row:?}: {done:?}");
        let path = fixture.at("own");
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        fixture.fails(row, &row.with(row.input(), "own"), "read-only");
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        #[expect(
            clippy::permissions_set_readonly_false,
            reason = "the file is removed at once"
        )]
        permissions.set_readonly(false);
        fs::set_permissions(&path, permissions).unwrap();
        fs::remove_file(&path).unwrap();
        let _ = fs::remove_file(fixture.at("own.skipped.tsv"));
    }
    fixture.is_unchanged();
}

#[test]
fn output_of_the_same_kind_is_replaced() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.makes == Makes::File) {
        for _ in 0..2 {
            let done = fixture.run(row, &row.with(row.input(), "own"));
            assert!(done.status.success(), "{row:?}: {done:?}");
        }
        fs::remove_file(fixture.at("own")).unwrap();
    }
    fixture.is_unchanged();
}

/// `-` is standard input and standard output: the bytes equal those of files.
#[test]
fn dash_means_standard_input_and_output() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.pipes_in()) {
        let input = fs::File::open(fixture.at(row.input())).unwrap();
        let piped = fixture.start(row, &row.with("-", "piped"), input.into(), Stdio::piped());
        let piped = piped.wait_with_output().unwrap();
        assert!(piped.status.success(), "{row:?}: {piped:?}");
        if row.makes == Makes::File {
            let done = fixture.run(row, &row.with(row.input(), "named"));
            assert!(done.status.success(), "{row:?}: {done:?}");
            // A picture and notation contain the name of their file.
            if !["notate", "view"].contains(&row.command) {
                let read = |name: &str| fs::read(fixture.at(name)).unwrap();
                assert!(read("named") == read("piped"), "{row:?}");
            }
        }
        fixture.clean();
    }
    for row in rows().filter(|row| row.makes == Makes::File) {
        let done = fixture.run(row, &row.with(row.input(), "named"));
        assert!(done.status.success(), "{row:?}: {done:?}");
        let named = fs::read(fixture.at("named")).unwrap();
        fs::remove_file(fixture.at("named")).unwrap();
        let piped = fixture.run(row, &row.with(row.input(), "-"));
        assert!(piped.status.success(), "{row:?}: {piped:?}");
        assert!(piped.stdout == named, "{row:?}: nothing but the output");
        if row.json {
            let mut arguments = row.with(row.input(), "-");
            arguments.push("--json".into());
            fixture.fails(row, &arguments, "--json");
        }
    }
    fixture.is_unchanged();
}

/// With `--json`, standard output has only JSON, whatever the path.
#[test]
fn json_output_is_valid_for_every_path() {
    let fixture = Fixture::new();
    for row in rows().filter(|row| row.json) {
        let mut input = row.input().to_string();
        if row.reads == Reads::Midi {
            // Windows allows neither quotes nor control characters nor `\` in a name.
            input = match cfg!(windows) {
                true => "a 'song' \u{1f3b9}.mid".to_string(),
                false => "a \"song\"\n\\ \u{1f3b9}.mid".to_string(),
            };
            fs::copy(fixture.at(row.input()), fixture.at(&input)).unwrap();
        }
        let mut arguments = row.with(&input, "own");
        arguments.push("--json".into());
        let done = fixture.run(row, &arguments);
        assert!(done.status.success(), "{row:?}: {done:?}");
        let text = String::from_utf8(done.stdout).unwrap();
        // `songs` prints an object on each line.
        let documents = match row.command {
            "songs" => text.lines().map(str::to_string).collect(),
            _ => vec![text],
        };
        for document in documents {
            let json = serde_json::from_str::<serde_json::Value>(&document);
            assert!(json.is_ok(), "{row:?}: {document}");
        }
        fixture.clean();
    }
}
