//! Receipts in a folder: one file for each upload, and the server's keys beside them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use client::Client;
use infra::identity::Verifier;
use schemas::api::UploadReceipt;
use serde::Serialize;
use serde_json::Value;

/// The file of the keys in a folder of receipts.
const KEYS_FILE: &str = "keys.json";
/// Longest file of receipts that is read: a thousand of them have less.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// One file that was sent, and its receipt.
#[derive(Serialize)]
pub(crate) struct Pushed<'a> {
    pub(crate) file: &'a Path,
    #[serde(flatten)]
    pub(crate) receipt: &'a UploadReceipt,
}

/// A folder of receipts.
#[derive(Debug)]
pub(crate) struct Receipts(PathBuf);

impl Receipts {
    /// The folder, made if it is not there, with the keys that this server has now added to it.
    pub(crate) async fn open(folder: &Path, client: &Client) -> anyhow::Result<Self> {
        let keys = client.keys().await.context("fetch the server's keys")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        keep_keys(&folder.join(KEYS_FILE), keys)?;
        Ok(Self(folder.to_owned()))
    }

    /// Keeps one: durable on return. That of a repeat takes the place of the same one.
    pub(crate) fn keep(&self, pushed: &Pushed<'_>) -> anyhow::Result<()> {
        let upload = pushed.receipt.upload;
        if pushed.receipt.receipt.is_none() {
            bail!("the server gave no receipt for {upload}: send it again under its key");
        }
        let path = self.0.join(format!("{upload}.json"));
        write(&path, &serde_json::to_vec_pretty(pushed)?)
    }
}

/// The file of keys that lies beside a receipt, if there is one.
pub(crate) fn keys_beside(receipt: &Path) -> Option<PathBuf> {
    let path = receipt.parent()?.join(KEYS_FILE);
    path.try_exists().is_ok_and(|there| there).then_some(path)
}

/// A folder's receipts in the order of their names; any other path as it is.
pub(crate) fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let named = || path.display().to_string();
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(path).with_context(named)? {
        let file = entry.with_context(named)?.path();
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        if is_json && file.file_name().is_some_and(|name| name != KEYS_FILE) {
            files.insert(file);
        }
    }
    Ok(files.into_iter().collect())
}

/// Adds keys to a file of them: those it has stay, whatever the server gives now.
pub(crate) fn keep_keys(path: &Path, keys: Value) -> anyhow::Result<()> {
    let mut keys = keys;
    let list = keys.get_mut("keys").and_then(Value::as_array_mut);
    let list = list.context("the server's keys are not a JWK Set")?;
    match fs::read(path) {
        Ok(kept) => {
            let kept: Value =
                serde_json::from_slice(&kept).with_context(|| path.display().to_string())?;
            for key in kept.get("keys").and_then(Value::as_array).into_iter().flatten() {
                if !list.iter().any(|known| known.get("kid") == key.get("kid")) {
                    list.push(key.clone());
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    write(path, &serde_json::to_vec_pretty(&keys)?)
}

/// Believes the keys in a file.
pub(crate) fn believe(verifier: &mut Verifier, path: &Path) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let keys = fs::read(path).with_context(named)?;
    verifier.believe(&keys).map_err(|error| anyhow::anyhow!("{}: no keys: {error}", named()))
}

/// A receipt as it was kept, and the path of the file it is for, if that was kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) receipt: String,
    pub(crate) file: Option<PathBuf>,
}

/// All receipts in a file: a saved answer, lines of `--json`, or bare receipts.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Kept>> {
    let named = || path.display().to_string();
    if fs::metadata(path).with_context(named)?.len() > FILE_BYTES_MAX {
        bail!("{} is too long for receipts", named());
    }
    let text = fs::read_to_string(path).with_context(named)?;
    let mut kept = Vec::new();
    if let Ok(value) = serde_json::from_str(&text) {
        collect(&value, &mut kept);
    } else {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(value) => collect(&value, &mut kept),
                Err(_) => kept.push(Kept { receipt: line.trim().to_owned(), file: None }),
            }
        }
    }
    if kept.is_empty() {
        bail!("{} has no receipt", named());
    }
    Ok(kept)
}

/// The receipts anywhere in an answer: an update has one for each file.
fn collect(value: &Value, kept: &mut Vec<Kept>) {
    match value {
        Value::Object(object) => {
            if let Some(receipt) = object.get("receipt").and_then(Value::as_str) {
                let file = object.get("file").and_then(Value::as_str).map(PathBuf::from);
                kept.push(Kept { receipt: receipt.to_owned(), file });
            }
            object.values().for_each(|value| collect(value, kept));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, kept)),
        _ => {}
    }
}

/// Replaces a file as a whole, durably.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_once_kept_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEYS_FILE);
        keep_keys(&path, json!({ "keys": [{ "kid": "a" }] })).unwrap();
        keep_keys(&path, json!({ "keys": [{ "kid": "b" }] })).unwrap();
        keep_keys(&path, json!({ "keys": [{ "kid": "b" }] })).unwrap();
        let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept, json!({ "keys": [{ "kid": "b" }, { "kid": "a" }] }));
        assert!(keep_keys(&path, json!([])).is_err());
    }

    #[test]
    fn receipts_are_found_in_answers_lines_and_bare() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let read_from = |text: &str| {
            fs::write(&path, text).unwrap();
            let kept = read(&path).unwrap();
            kept.into_iter().map(|kept| (kept.receipt, kept.file)).collect::<Vec<_>>()
        };
        let (a, b) = (("a".to_owned(), None), ("b".to_owned(), Some(PathBuf::from("x.csv"))));
        assert_eq!(read_from("{\n\"receipt\": \"a\"\n}"), std::slice::from_ref(&a));
        let update = r#"{"items": [{"receipt": "a"}, {"receipt": "b", "file": "x.csv"}]}"#;
        assert_eq!(read_from(update), [a.clone(), b.clone()]);
        let lines = "{\"receipt\": \"a\"}\n\n{\"file\": \"x.csv\", \"receipt\": \"b\"}\n";
        assert_eq!(read_from(lines), [a.clone(), b]);
        assert_eq!(read_from("a\n"), [a]);
        fs::write(&path, "{}").unwrap();
        assert!(read(&path).is_err());
        fs::write(folder.path().join(KEYS_FILE), "{}").unwrap();
        assert_eq!(files_of(folder.path()).unwrap(), std::slice::from_ref(&path));
        assert_eq!(keys_beside(&path), Some(folder.path().join(KEYS_FILE)));
    }
}
