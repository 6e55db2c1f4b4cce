//! The manifest of an update: what can be judged of it before its first file has come.

use schemas::api::{UpdateItem, UpdateManifest};
use schemas::digest::Digest;
use schemas::file::{FileRef, REFERENCES_BYTES_MAX};
use schemas::id::UploadId;
use schemas::limit::Limits;
use schemas::name::FileName;
use schemas::problem::{Code, FieldError};
use schemas::time::ObservedAt;

use super::super::{Declared, Rejection, file_type};
use crate::error::Error;

/// The least that a reference takes as JSON, beside the names in it.
const REFERENCE_BYTES_MIN: usize = 450;

/// One file of an update, as its manifest says.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its place, from 0.
    pub(super) index: u32,
    pub(super) upload: UploadId,
    name: String,
    pub(super) observed_at: ObservedAt,
    media_type: Option<String>,
    pub(super) size_bytes: Option<u64>,
    sha256: Option<Digest>,
}

/// Reads a manifest and judges the update as a whole.
pub(super) fn read(json: &[u8], limits: &Limits) -> Result<UpdateManifest, Error> {
    let manifest: UpdateManifest =
        serde_json::from_slice(json).map_err(|error| Error::Manifest(error.to_string()))?;
    let items = &manifest.items;
    if items.is_empty() {
        let detail = "at least one file".to_owned();
        return Err(Error::Update(vec![FieldError {
            pointer: "/items".to_owned(),
            detail,
            code: Some(Code::InvalidField),
        }]));
    }
    let files_max = limits.update_files_max;
    if items.len() as u64 > files_max {
        return Err(Error::UpdateTooLarge(format!("more than {files_max} files")));
    }
    let bytes = items.iter().filter_map(|item| item.size_bytes).fold(0, u64::saturating_add);
    let bytes_max = limits.update_bytes_max;
    if bytes > bytes_max {
        return Err(Error::UpdateTooLarge(format!("more than {bytes_max} bytes")));
    }
    let least = |item: &UpdateItem| REFERENCE_BYTES_MIN + item.name.len();
    let mut references = References::default();
    items.iter().try_for_each(|item| references.add_bytes(least(item)))?;
    Ok(manifest)
}

impl Item {
    pub(super) fn new(index: u32, upload: UploadId, said: UpdateItem) -> Self {
        let UpdateItem { name, observed_at, media_type, sha256, size_bytes } = said;
        Self { index, upload, name, observed_at, media_type, size_bytes, sha256 }
    }

    /// What the file is said to be: by the manifest, or else by its part.
    pub(super) fn declared(&self, content_type: Option<&str>) -> Result<Declared, Rejection> {
        let name: FileName = self.name.parse()?;
        let said = self.media_type.as_deref().or(content_type);
        let media_type = file_type(said.unwrap_or("application/octet-stream"))?;
        Ok(Declared { name, media_type, size_bytes: self.size_bytes, sha256: self.sha256 })
    }

    /// Whether a part sent under this file name may be this item. Browsers send a quotation mark
    /// as `%22`; names that programs give what has none say nothing.
    pub(super) fn is_named(&self, file_name: &str) -> bool {
        ["", "blob", "file"].contains(&file_name)
            || file_name == self.name
            || file_name.replace("%22", "\"") == self.name
    }

    /// Why it is not taken, with its place in the manifest.
    pub(super) fn fault(&self, rejection: &Rejection) -> FieldError {
        FieldError {
            pointer: format!("/items/{}", self.index),
            detail: rejection.to_string(),
            code: Some(rejection.code()),
        }
    }
}

/// How much of a record the references of an update take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References {
    bytes: usize,
}

impl References {
    /// One more.
    pub(super) fn add(&mut self, file: &FileRef) -> Result<(), Error> {
        let json = serde_json::to_vec(file).map_err(|_| Error::Broken("no JSON of a reference"))?;
        self.add_bytes(json.len())
    }

    fn add_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        // And the comma.
        self.bytes += bytes + 1;
        if self.bytes <= REFERENCES_BYTES_MAX {
            return Ok(());
        }
        let detail = format!("its references take more than {REFERENCES_BYTES_MAX} bytes");
        Err(Error::UpdateTooLarge(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::{Event, example};
    use serde_json::{Value, json};

    fn item(name: &str) -> Value {
        json!({ "name": name, "observed_at": "2026-11-21T10:30:00Z" })
    }

    fn code(manifest: &Value, limits: &Limits) -> &'static str {
        match read(manifest.to_string().as_bytes(), limits) {
            Ok(_) => "read",
            Err(Error::Manifest(_)) => "no manifest",
            Err(Error::Update(_)) => "invalid",
            Err(Error::UpdateTooLarge(_)) => "too large",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_update_is_judged_as_a_whole_first() {
        let limits = Limits { update_files_max: 3, update_bytes_max: 100, ..Limits::default() };
        let check = |manifest: Value, expected: &str| {
            assert_eq!(code(&manifest, &limits), expected, "{manifest}");
        };
        check(json!({ "items": [item("a")] }), "read");
        check(json!({ "sent_at": "2026-11-21T10:30:00Z", "items": vec![item("a"); 3] }), "read");
        check(json!({ "items": [item("a"), item("b"), item("c"), item("d")] }), "too large");
        check(json!({ "items": [] }), "invalid");
        check(json!([]), "no manifest");
        check(json!({ "items": [{ "name": "a" }] }), "no manifest");
        check(json!({ "items": [item("a")], "more": 1 }), "no manifest");
        let mut large = item("a");
        large["size_bytes"] = 51.into();
        check(json!({ "items": [large.clone()] }), "read");
        check(json!({ "items": [large.clone(), large] }), "too large");
    }

    #[test]
    fn references_that_cannot_fit_are_told_before_any_file() {
        let limits = Limits::default();
        let names = |n: usize, len: usize| json!({ "items": vec![item(&"x".repeat(len)); n] });
        assert_eq!(code(&names(800, 20), &limits), "read");
        assert_eq!(code(&names(800, 255), &limits), "too large");
    }

    #[test]
    fn no_reference_is_smaller_than_the_least() {
        let received = example::events().into_iter().find_map(|event| match event {
            Event::UploadReceived(received) => Some(received.file),
            _ => None,
        });
        let mut file = received.unwrap();
        file.name = "x".parse().unwrap();
        file.media_type = "a/b".parse().unwrap();
        file.object = format!("u/{}/{}", file.upload, file.upload).parse().unwrap();
        file.sent_at = None;
        file.size_bytes = 1;
        let bytes = serde_json::to_vec(&file).unwrap().len();
        assert!(bytes > REFERENCE_BYTES_MIN, "{bytes}");
    }

    #[test]
    fn names_of_parts_and_declared_types() {
        let said: UpdateItem = serde_json::from_value(item("a \"b\".csv")).unwrap();
        let item = Item::new(3, UploadId::from_bits(1), said);
        assert!(item.is_named("a \"b\".csv") && item.is_named("a %22b%22.csv"));
        assert!(item.is_named("blob") && !item.is_named("a.csv") && !item.is_named("blob.csv"));
        let kind = |part: Option<&str>| item.declared(part).map(|it| it.media_type.to_string());
        assert_eq!(kind(None).unwrap(), "application/octet-stream");
        assert_eq!(kind(Some("Text/CSV; charset=x")).unwrap(), "text/csv");
        let wrong = kind(Some("multipart/mixed")).unwrap_err();
        assert_eq!(item.fault(&wrong).pointer, "/items/3");
    }
}
