//! `sluice golden`: writes what is generated from the code. Tests fail when it is stale.

use std::path::Path;

use anyhow::Context as _;
use schemas::event::{Delivery, Derived, Directory, Event, example};

/// Writes all of it below `root`, the folder of the sources.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    events(&root.join("schemas/events"))
}

/// The JSON Schema of each type's data, and an example of each that has none yet: an example once
/// written is never written again.
fn events(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let schemas = [Event::schemas(), Derived::schemas(), Delivery::schemas(), Directory::schemas()];
    for (name, schema) in schemas.iter().flatten() {
        let text = serde_json::to_string_pretty(schema)? + "\n";
        put(&folder.join(format!("{name}.schema.json")), &text)?;
    }
    for (name, bytes) in example::records() {
        let path = folder.join(format!("{name}.json"));
        if !path.try_exists()? {
            let value: serde_json::Value = serde_json::from_slice(&bytes)?;
            put(&path, &(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
