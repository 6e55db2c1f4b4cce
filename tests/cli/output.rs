//! What scripts rely on: JSON, exit codes, no colours, settings from a file.

use std::fs;

use super::stand::{POOL, Stand, arg, said};
use crate::server::sluice;

#[test]
fn settings_come_from_the_file_unless_something_else_says() {
    let stand = Stand::new("1h");
    let url = stand.server.url();
    let config = stand.path("settings.toml");
    fs::write(&config, format!("server = '{url}'\npool = '{POOL}'\njson = true\n")).unwrap();
    let run = |arguments: &[&str], server: Option<&str>| {
        let mut command = sluice();
        command.env("XDG_CONFIG_HOME", stand.path("config")).env("SLUICE_CONFIG", &config);
        command.env_remove("SLUICE_SERVER").args(["--profile", "buoy-1"]).args(arguments);
        if let Some(server) = server {
            command.env("SLUICE_SERVER", server);
        }
        said(command.output().unwrap())
    };
    let file = stand.file("a.csv", "1\n");
    let pushed = run(&["push", arg(&file)], None);
    assert_eq!(pushed.code, 0, "{pushed:?}");
    assert!(pushed.objects()[0]["next_upload_after"].is_string());
    assert_eq!(run(&["push", "-p", "nowhere", arg(&file)], None).code, 5, "a flag counts before");
    let away = run(&["history"], Some("http://127.0.0.1:1"));
    assert_ne!(away.code, 0, "the environment counts before: {away:?}");
    fs::write(&config, "sever = 'x'\n").unwrap();
    let told = run(&["history"], None);
    assert!(told.code == 2 && told.err.contains("sever"), "{told:?}");
}

#[test]
fn exit_codes_and_errors_are_as_documented() {
    let stand = Stand::new("1h");
    for (who, arguments, code) in [
        ("ada", &["pool", "show", POOL][..], 0),
        ("ada", &["history", "--at-what"], 2),
        ("nobody", &["history"], 4),
        ("ada", &["pool", "show", "nowhere"], 5),
    ] {
        let all: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        let told = stand.run(who, &all);
        assert_eq!(told.code, code, "{arguments:?} {told:?}");
        if code > 2 {
            let error: serde_json::Value = serde_json::from_str(told.err.trim()).unwrap();
            assert_eq!(error["exit"], code, "{told:?}");
        }
        assert!(!told.out.contains('\u{1b}') && !told.err.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let stand = Stand::new("1h");
    let data = stand.server.data().to_owned();
    let look = |server: &str| {
        let arguments = ["--json", "doctor", "--data", arg(&data)];
        stand.run_at(server, "ada", &arguments)
    };
    let well = look(&stand.server.url());
    assert_eq!(well.code, 0, "{well:?}");
    for check in ["server", "version", "clock", "signed in", "data", "keys", "disk"] {
        assert!(well.objects().iter().any(|found| found["check"] == check), "{check}: {well:?}");
    }
    let away = look("http://127.0.0.1:1");
    assert_eq!(away.code, 1, "{away:?}");
    let server = away.objects().into_iter().find(|found| found["check"] == "server").unwrap();
    assert!(server["ok"] == false && server["fix"].as_str().unwrap().contains("sluice up"));
}

#[test]
fn completions_and_man_pages_are_made() {
    let stand = Stand::new("1h");
    for shell in ["bash", "zsh", "fish"] {
        assert!(stand.well("nobody", &["completions", shell]).out.contains("sluice"));
    }
    let man = stand.path("man");
    stand.well("nobody", &["man", arg(&man)]);
    assert!(man.join("sluice-push.1").exists() && man.join("sluice.1").exists());
    assert!(fs::read_dir(&man).unwrap().count() > 20);
}
