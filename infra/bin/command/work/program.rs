//! A program that is run for a batch, in a process group of its own.

use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use schemas::file::FileRef;
use schemas::name::{FileName, MediaType};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use worker::{Batch, Failed, Output};

/// Longest line of its standard error that is looked at; longer ones are told in pieces.
const LINE_BYTES_MAX: u64 = 8_192;

/// How long is listened for what was said just before the end.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// What is run, and what its results are.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) command: String,
    pub(super) name: FileName,
    pub(super) media_type: MediaType,
}

/// `manifest.json`.
#[derive(Serialize)]
struct Manifest<'a> {
    pool: &'a str,
    batch: schemas::id::BatchId,
    revision: u32,
    attempt: u32,
    files: Vec<ManifestFile<'a>>,
}

#[derive(Serialize)]
struct ManifestFile<'a> {
    /// Below the folder of the batch.
    path: String,
    #[serde(flatten)]
    file: &'a FileRef,
}

impl Program {
    /// Runs it for one batch. Dropped, the program and what it has started are killed.
    pub(super) async fn run(&self, batch: Batch) -> Result<Output, Failed> {
        let output = self.prepare(&batch).await.map_err(|error| failed(&error))?;
        let mut running = Running(self.shell(&batch, &output).spawn()?);
        let (status, reason) = running.end().await?;
        if !status.success() {
            return Err(Failed::because(reason.unwrap_or_else(|| status.to_string())));
        }
        match tokio::fs::metadata(&output).await {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {
                Ok(Output::file(self.name.clone(), self.media_type.clone(), output))
            }
            _ => Err(Failed::because("the program wrote nothing to SLUICE_OUTPUT")),
        }
    }

    /// Lays out what the program finds; gives the path it writes to.
    async fn prepare(&self, batch: &Batch) -> anyhow::Result<std::path::PathBuf> {
        let folder = batch.folder();
        let file = |input: &'_ worker::InputFile| {
            let path = input.path.strip_prefix(folder).unwrap_or(&input.path);
            path.to_string_lossy().into_owned()
        };
        let files = batch.files.iter();
        let manifest = Manifest {
            pool: batch.pool.as_str(),
            batch: batch.batch,
            revision: batch.revision,
            attempt: batch.attempt,
            files: files
                .map(|input| ManifestFile { path: file(input), file: &input.file })
                .collect(),
        };
        let json = serde_json::to_vec_pretty(&manifest)?;
        tokio::fs::write(folder.join("manifest.json"), json).await.context("manifest.json")?;
        let outputs = folder.join("output");
        tokio::fs::create_dir(&outputs).await.context("output")?;
        Ok(outputs.join(self.name.as_str()))
    }

    fn shell(&self, batch: &Batch, output: &std::path::Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(&self.command)
            .current_dir(batch.folder())
            .env("SLUICE_BATCH", batch.batch.to_string())
            .env("SLUICE_POOL", batch.pool.as_str())
            .env("SLUICE_REVISION", batch.revision.to_string())
            .env("SLUICE_ATTEMPT", batch.attempt.to_string())
            .env("SLUICE_INPUTS", batch.inputs())
            .env("SLUICE_MANIFEST", batch.folder().join("manifest.json"))
            .env("SLUICE_OUTPUT", output)
            // It works on files; who we are to the server is none of its business.
            .env_remove("SLUICE_PASSWORD")
            .env_remove("SLUICE_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// A program that runs.
struct Running(Child);

impl Running {
    /// Passes on what it says until it ends; gives the last line of its standard error.
    async fn end(&mut self) -> std::io::Result<(ExitStatus, Option<String>)> {
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        let (mut said, mut reason) = (None, None);
        let listening = async {
            tokio::join!(passed_on(out, &mut said), passed_on(err, &mut reason));
        };
        let status = {
            let mut listening = std::pin::pin!(listening);
            tokio::select! {
                () = &mut listening => self.0.wait().await?,
                status = self.0.wait() => {
                    // What it has started may go on and hold its ends of the pipes open.
                    _ = tokio::time::timeout(LAST_WORDS_MAX, listening).await;
                    status?
                }
            }
        };
        Ok((status, reason))
    }
}

impl Drop for Running {
    /// Killing the shell alone would leave what it has started.
    fn drop(&mut self) {
        // There is no id any more once it has ended.
        if let (true, Some(group)) = (cfg!(unix), self.0.id()) {
            let mut kill = std::process::Command::new("kill");
            let kill = kill.args(["-KILL", "--", &format!("-{group}")]);
            _ = kill.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Passes lines on to our standard error, since standard output is for data. `last` is the last
/// one that is not blank.
async fn passed_on(from: Option<impl AsyncRead + Unpin>, last: &mut Option<String>) {
    let Some(from) = from else { return };
    let (mut from, mut to, mut line) = (BufReader::new(from), std::io::stderr(), Vec::new());
    loop {
        line.clear();
        match (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // Whoever listened to us may have gone.
        _ = to.write_all(&line);
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            *last = Some(text);
        }
    }
}

fn failed(error: &anyhow::Error) -> Failed {
    Failed::because(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::id::BatchId;

    /// What a program gives that runs on a batch of one file, and what is in its output.
    async fn run(command: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inputs")).unwrap();
        std::fs::write(folder.path().join("inputs/1.csv"), "hello").unwrap();
        let named = ("north".parse().unwrap(), (BatchId::from_bits(1), 2));
        let batch = Batch::laid_out(named.0, named.1, vec![], folder.path().to_owned());
        let program = Program {
            command: command.to_owned(),
            name: "sum.csv".parse().unwrap(),
            media_type: "text/csv".parse().unwrap(),
        };
        let ran = program.run(batch).await.map_err(|failed| failed.reason)?;
        assert!(format!("{ran:?}").contains("output/sum.csv"), "{ran:?}");
        Ok(std::fs::read_to_string(folder.path().join("output/sum.csv")).unwrap())
    }

    #[tokio::test]
    async fn a_program_reads_its_inputs_and_writes_its_output() {
        let said = run("cat inputs/* \"$SLUICE_INPUTS\"/1.csv > \"$SLUICE_OUTPUT\"").await;
        assert_eq!(said.unwrap(), "hellohello");
        let told = "echo $SLUICE_POOL $SLUICE_REVISION $SLUICE_ATTEMPT > $SLUICE_OUTPUT";
        assert_eq!(run(told).await.unwrap(), "north 2 1\n");
        let manifest = run("cat \"$SLUICE_MANIFEST\" > \"$SLUICE_OUTPUT\"").await.unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!((&manifest["pool"], &manifest["revision"]), (&"north".into(), &2.into()));
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let reason = run("echo first >&2; echo; echo last >&2; echo >&2; exit 3").await;
        assert_eq!(reason.unwrap_err(), "last");
        assert_eq!(run("exit 3").await.unwrap_err(), "exit status: 3");
        let nothing = "the program wrote nothing to SLUICE_OUTPUT";
        assert_eq!(run("true").await.unwrap_err(), nothing);
        assert_eq!(run(": > $SLUICE_OUTPUT").await.unwrap_err(), nothing);
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_not_waited_for() {
        let left = run("sleep 600 & echo $! > $SLUICE_OUTPUT").await.unwrap();
        let killed = std::process::Command::new("kill").arg(left.trim()).status().unwrap();
        assert!(killed.success(), "it ran on");
    }

    #[tokio::test]
    async fn a_program_that_is_dropped_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let mut command = Command::new("/bin/sh");
        let script =
            format!("sleep 600 & echo $! > {}.part; mv {0}.part {0}; wait", path.display());
        command.arg("-c").arg(script).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut running = Running(command.spawn().unwrap());
        let started = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = running.end() => panic!("it ended"),
            () = started => {}
        }
        drop(running);
        let pid = std::fs::read_to_string(&path).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        // The system may need a moment to take it away, and shows it as a zombie until then.
        while state().is_ok_and(|state| !state.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }
}
