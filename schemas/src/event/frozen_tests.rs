//! The frozen examples: each can be read, and says the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::example::records;
use super::{Audit, Body, Delivery, Derived, Directory, Event};
use crate::wire;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/events"))
}

/// Whether all that the old value says the new one says too.
fn keeps(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| keeps(old, new)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| keeps(old, new))
        }
        (old, new) => old == new,
    }
}

fn read_again(bytes: &[u8]) -> Option<Vec<u8>> {
    fn again<B: Body>(bytes: &[u8]) -> Option<Vec<u8>> {
        wire::decode::<B>(bytes).ok().map(|(body, attributes)| wire::encode(&body, &attributes))
    }
    again::<Event>(bytes)
        .or_else(|| again::<Derived>(bytes))
        .or_else(|| again::<Delivery>(bytes))
        .or_else(|| again::<Directory>(bytes))
        .or_else(|| again::<Audit>(bytes))
}

#[test]
fn every_type_has_an_example_and_a_schema_that_are_written_down() {
    let schemas = super::all_schemas();
    let types: BTreeSet<_> = schemas.iter().flatten().map(|(name, _)| *name).collect();
    let shown: BTreeSet<_> = records().iter().map(|(name, _)| *name).collect();
    assert_eq!(types, shown, "an example of each type");
    for (name, schema) in schemas.iter().flatten() {
        let written =
            std::fs::read(folder().join(format!("{name}.schema.json"))).unwrap_or_default();
        let written: Value = serde_json::from_slice(&written).unwrap_or_default();
        assert_eq!(&written, schema.as_value(), "{name} is stale: run `make golden`");
        assert!(folder().join(format!("{name}.json")).exists(), "{name}: run `make golden`");
    }
}

#[test]
fn every_record_ever_released_can_be_read_and_says_the_same() {
    let mut read = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".schema.json") {
            continue;
        }
        let frozen = std::fs::read(&path).unwrap();
        let again =
            read_again(&frozen).unwrap_or_else(|| panic!("{} is unreadable", path.display()));
        let [frozen, again] = [frozen, again].map(|b| serde_json::from_slice::<Value>(&b).unwrap());
        assert!(keeps(&frozen, &again), "{}: {frozen} became {again}", path.display());
        read += 1;
    }
    assert!(read >= records().len());
}
