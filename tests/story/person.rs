//! A person, a device or a program with an account: whatever it does is a run of the binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use schemas::api::{IssuedToken, ResultView};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::process::{Child, Command};

use super::stage::{SOON, Stage};
use crate::server::sluice;

pub(super) const PASSWORD: &str = "a long password";

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    server: String,
    pool: &'static str,
}

/// What `sluice listen` says of a result.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Received {
    pub(super) path: PathBuf,
    #[serde(flatten)]
    pub(super) result: ResultView,
}

impl Person {
    /// Makes an account.
    pub(super) async fn signs_up(stage: &Stage, name: &str, pool: &'static str) -> Self {
        let (folder, server) = (stage.folder(name), stage.server.url());
        let person = Self { name: name.to_owned(), folder, server, pool };
        person.says(["signup", name]).await;
        person
    }

    /// Makes an account and joins the pool by a token of its owner's.
    pub(super) async fn joins(stage: &Stage, name: &str, owner: &Self, role: &str) -> Self {
        let token: Vec<IssuedToken> =
            owner.reads(["pool", "token", owner.pool, "--role", role]).await;
        let person = Self::signs_up(stage, name, owner.pool).await;
        person.says(["join", person.pool, &token[0].token]).await;
        person
    }

    fn command(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = Command::from(sluice());
        command.args(["--json", "--server", &self.server, "--profile"]);
        command.arg(self.folder.join("profile.json")).args(arguments);
        command.env("SLUICE_PASSWORD", PASSWORD).env("SLUICE_POOL", self.pool);
        command.current_dir(&self.folder).kill_on_drop(true);
        command
    }

    /// Runs a command to its good end; gives the objects it printed.
    pub(super) async fn says<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<Value> {
        self.ends_with(0, arguments).await
    }

    /// Runs a command that ends with this code; gives the objects it printed.
    pub(super) async fn ends_with<A: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<Value> {
        let text = String::from_utf8(self.prints(code, arguments).await).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a command that ends with this code; gives what it wrote to standard output.
    pub(super) async fn prints<A: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<u8> {
        let mut command = self.command(arguments);
        let said = format!("{} of {}", shown(&command), self.name);
        let output = tokio::time::timeout(SOON, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{said}: not after {SOON:?}")).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}: {errors}");
        output.stdout
    }

    /// As [`Self::says`], for what is printed as bodies of the API.
    pub(super) async fn reads<T: DeserializeOwned, A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<T> {
        let said = self.says(arguments).await.into_iter();
        said.map(|value| serde_json::from_value(value).unwrap()).collect()
    }

    /// Begins a command that goes on until it is told to end, or dropped.
    pub(super) fn begins<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Child {
        self.command(arguments).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Listens until so many more results have come, each with the bytes it should have.
    pub(super) async fn receives(&self, count: usize, more: &[&str]) -> Vec<Received> {
        let mut received: Vec<Received> = Vec::new();
        while received.len() < count {
            let listen = ["listen", "--once", "--save", "results"].iter().chain(more);
            received.extend(self.reads(listen).await);
        }
        assert_eq!(received.len(), count, "{} received {received:?}", self.name);
        for Received { path, result } in &mut received {
            *path = self.folder.join(&*path);
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(schemas::digest::Digest::of(&bytes), result.sha256, "{}", self.name);
        }
        received
    }
}

/// Tells a program to end, and waits until it has done so well.
pub(super) async fn end(mut program: Child) {
    let pid = program.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(told.success());
    let ended = tokio::time::timeout(SOON, program.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "{ended}");
}

fn shown(command: &Command) -> String {
    let arguments = command.as_std().get_args().map(|word| word.to_string_lossy());
    arguments.collect::<Vec<_>>().join(" ")
}

/// A path as one word of a shell's.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_str().unwrap().replace('\'', r"'\''"))
}
