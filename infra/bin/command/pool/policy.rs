//! A pool's rules as the command line says them: a file, single fields, or neither.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
use serde_json::{Map, Value};

use crate::outcome::Misused;
use crate::session::Session;
use crate::span::Span;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyAct {
    /// Show the newest version of a pool's rules as JSON
    Show {
        /// The pool
        name: PoolName,
    },
    /// Replace a pool's rules from the next window on; what is not said gets its default
    Set {
        /// The pool
        name: PoolName,
        /// Only if this is the newest version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u32>,
        #[command(flatten)]
        policy: PolicyArgs,
    },
}

pub(super) async fn run(act: PolicyAct, session: &Session) -> anyhow::Result<()> {
    let client = session.client()?;
    let view = match act {
        PolicyAct::Show { name } => client.policy(&name).await?,
        PolicyAct::Set { name, if_version, policy } => {
            let view = client.change_policy(&name, if_version, &policy.read()?).await?;
            let (version, from) = (view.version, view.effective_from);
            session.print.note(&format!("version {version} groups files of {from} and later"));
            view
        }
    };
    let text = serde_json::to_string_pretty(&view)?;
    session.print.object(&view, |_| text)
}

/// How a new pool's rules are said.
#[derive(Args, Debug, Default)]
pub(super) struct PolicyArgs {
    /// How often members are asked to send, such as 5m; windows follow it
    #[arg(long, value_name = "SPAN")]
    every: Option<Span>,
    /// File with the rules as JSON, or - for standard input (docs/policy.md)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// One rule, such as count=100, grace_ms=30s or windows.kind=tumbling
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    fields: Vec<String>,
}

impl PolicyArgs {
    /// The file first, then what was said singly.
    pub(super) fn read(&self) -> anyhow::Result<PolicyAsk> {
        let mut ask = match &self.policy {
            None => Map::new(),
            Some(path) if path.as_os_str() == "-" => {
                serde_json::from_reader(std::io::stdin().lock()).context("read standard input")?
            }
            Some(path) => {
                let text = std::fs::read(path).with_context(|| path.display().to_string())?;
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?
            }
        };
        if let Some(every) = self.every {
            ask.insert("update_every_ms".to_owned(), every.millis.into());
        }
        for field in &self.fields {
            let (name, value) = field.split_once('=').ok_or_else(|| misused(field, "no ="))?;
            put(&mut ask, name, said(value)).map_err(|()| misused(field, "no field within"))?;
        }
        let ask = serde_json::from_value(Value::Object(ask));
        ask.map_err(|error| Misused(format!("the policy: {error}")).into())
    }
}

fn misused(field: &str, why: &str) -> Misused {
    Misused(format!("--set {field}: {why}: FIELD=VALUE is expected"))
}

/// A span in milliseconds, JSON, or else a text.
fn said(value: &str) -> Value {
    match value.parse::<Span>() {
        Ok(span) => span.millis.into(),
        Err(_) => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
    }
}

/// Puts a value at a path of names with dots.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), ()> {
    match path.split_once('.') {
        None => {
            into.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let within = into.entry(first).or_insert_with(|| Map::new().into());
            put(within.as_object_mut().ok_or(())?, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_documented() {
        let text = include_str!("../../../../docs/policy.md");
        let ask = serde_json::to_value(PolicyAsk::default()).unwrap();
        for name in ask.as_object().unwrap().keys() {
            let row = if name == "windows" { "| `windows." } else { &format!("| `{name}` |") };
            assert!(text.contains(row), "docs/policy.md lacks {name}");
        }
    }
    use schemas::policy::WindowsAsk;

    fn read(every: Option<&str>, fields: &[&str]) -> anyhow::Result<PolicyAsk> {
        let every = every.map(|every| every.parse().unwrap());
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        PolicyArgs { every, fields, policy: None }.read()
    }

    #[test]
    fn single_rules() {
        assert_eq!(read(None, &[]).unwrap(), PolicyAsk::default());
        let ask = read(
            Some("5m"),
            &["count=100", "grace_ms=30s", "on_join=all", "media_types=[\"text/csv\"]"],
        );
        let ask = ask.unwrap();
        assert_eq!(
            (ask.update_every_ms, ask.count, ask.grace_ms),
            (Some(300_000), Some(100), Some(30_000))
        );
        assert_eq!(ask.media_types.unwrap()[0].as_str(), "text/csv");
        let ask = read(None, &["windows.kind=tumbling", "windows.period_ms=1h"]).unwrap();
        let hour = Some(3_600_000);
        assert_eq!(ask.windows, Some(WindowsAsk::Tumbling { period_ms: hour, origin: None }));
    }

    #[test]
    fn rules_that_do_not_exist_are_misuse() {
        for bad in ["nonsense=1", "count", "count=many", "count.x=1", "update_every_ms=5m=6"] {
            let error = read(Some("5m"), &["count=1", bad]).unwrap_err();
            assert!(error.is::<Misused>(), "{bad}: {error}");
        }
    }

    #[test]
    fn a_file_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        std::fs::write(&path, r#"{"count": 5, "update_every_ms": 1}"#).unwrap();
        let args = PolicyArgs { every: "1m".parse().ok(), policy: Some(path), fields: vec![] };
        let ask = args.read().unwrap();
        assert_eq!((ask.count, ask.update_every_ms), (Some(5), Some(60_000)));
    }
}
