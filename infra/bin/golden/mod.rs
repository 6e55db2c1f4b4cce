//! `sluice golden`: writes what is generated from the code, or says what is stale.

mod cli;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use infra::http::docs;
use schemas::event::{self, NamedSchema, example};
use schemas::limit::Limits;
use schemas::openapi;
use schemas::route::{self, Side};

/// Write what is generated from the code.
#[derive(Args, Debug)]
pub(crate) struct GoldenArgs {
    /// Folder of the sources
    #[arg(long, default_value = ".")]
    pub(crate) root: PathBuf,
    /// Write nothing; fail when something is stale
    #[arg(long)]
    pub(crate) check: bool,
}

/// Runs it.
pub(crate) fn run(args: &GoldenArgs) -> anyhow::Result<()> {
    let root = &args.root;
    let mut stale = Vec::new();
    for (name, text, frozen) in all()? {
        let path = root.join(&name);
        let written = std::fs::read_to_string(&path).ok();
        // An example once written is never written again: it is what was released.
        if (frozen && written.is_some()) || written.as_ref() == Some(&text) {
            continue;
        }
        if args.check {
            stale.push(name);
        } else {
            put(&path, &text)?;
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("stale: {}; run `make golden`", stale.join(", ")) }
}

/// Each file with its text, and whether it is frozen once it is there.
fn all() -> anyhow::Result<Vec<(String, String, bool)>> {
    let mut all = Vec::new();
    let schemas = event::all_schemas();
    for (name, schema) in schemas.iter().flatten() {
        let text = serde_json::to_string_pretty(schema)? + "\n";
        all.push((format!("schemas/events/{name}.schema.json"), text, false));
    }
    for (name, bytes) in example::records() {
        let value: serde_json::Value = serde_json::from_slice(&bytes)?;
        let text = serde_json::to_string_pretty(&value)? + "\n";
        all.push((format!("schemas/events/{name}.json"), text, true));
    }
    all.push(("docs/errors.md".into(), docs::errors_text(), false));
    all.push(("docs/events.md".into(), events(&schemas), false));
    all.push(("docs/config.md".into(), config(), false));
    all.push(("docs/api.md".into(), api(), false));
    all.push(("docs/cli.md".into(), cli::text(), false));
    let document = serde_json::to_string_pretty(&openapi::document())? + "\n";
    all.push(("docs/openapi.json".into(), document, false));
    Ok(all)
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    let named = || format!("write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(named)?;
    }
    std::fs::write(path, text).with_context(named)
}

fn events(schemas: &[Vec<NamedSchema>; 5]) -> String {
    let mut text = String::from(
        "# Events\n\nGenerated from schemas/src/event; do not edit. Records are CloudEvents 1.0 in structured\n\
         JSON; on Kafka their attributes are mirrored as `ce_*` headers. Derived records carry `causeoffset`,\n\
         `causeindex` and `causelast`: readers keep the greatest pair and ignore anything at or below it.\n\
         Each type has its JSON Schema and a frozen example in schemas/events/.\n",
    );
    let topics = [
        ("sluice.pool.POOL.events", "what was said; one partition, kept for ever"),
        ("sluice.pool.POOL.batches", "what follows; one partition, kept for ever"),
        ("sluice.pool.POOL.deliveries", "who has which result; one partition, kept for ever"),
        ("sluice.directory", "what every instance must know to let a request in; compacted"),
        ("sluice.audit", "what matters for security; one partition, kept for ever"),
    ];
    for ((topic, what), types) in topics.iter().zip(schemas) {
        write!(text, "\n## {topic}\n\n{what}\n\n| type | says |\n|---|---|\n").expect("a string");
        for (name, schema) in types {
            let says = schema.get("description").and_then(|d| d.as_str()).unwrap_or_default();
            let says = says.replace('\n', " ");
            let link = format!("[{name}](../schemas/events/{name}.schema.json)");
            writeln!(text, "| {link} | {says} |").expect("a string");
        }
    }
    text
}

fn config() -> String {
    let mut text = String::from(
        "# Configuration\n\nGenerated from the code; do not edit. `sluice up --help` lists the flags; each has its\n\
         variable of the environment beside it. Limits are set with `--limit NAME=NUMBER`, as often as needed.\n\
         What decides how files are grouped is no setting of a process: it is in the pool's policy.\n\n\
         | limit | default | meaning |\n|---|---|---|\n",
    );
    for (name, default, meaning) in Limits::TABLE {
        writeln!(text, "| `{name}` | {default} |{meaning} |").expect("a string");
    }
    text
}

fn api() -> String {
    let mut text = String::from(
        "# Routes\n\nGenerated from schemas/src/route.rs and role.rs; do not edit. `/docs` has them to try, `/openapi.json`\n\
         (docs/openapi.json) with all their bodies. Refusals are problem details (docs/errors.md). Lists take `limit` and `cursor` and\n\
         name their next page in `Link` (RFC 8288); answers to writes carry `Sluice-Position`, and a read\n\
         that sends it back waits until the tables have it. `*`: on what is one's own. A stranger to a pool gets\n\
         404, a member without the role 403.\n\n\
         Each client address may make so many requests (limits `address_requests_per_s` and `address_burst`):\n\
         answers say how it stands in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11),\n\
         one too many gets 429 with `Retry-After`. Health and metrics are not counted.\n",
    );
    let sides = [
        (Side::Write, "Writes (ingest)"),
        (Side::Read, "Reads (projector)"),
        (Side::Process, "Every process"),
    ];
    for (side, title) in sides {
        write!(text, "\n## {title}\n\n| route | who | what |\n|---|---|---|\n").expect("a string");
        for route in route::ALL.iter().filter(|route| route.side == side) {
            let method = format!("{:?}", route.method).to_uppercase();
            let (path, who, summary) = (route.path, route.who().join(", "), route.summary);
            writeln!(text, "| `{method} {path}` | {who} | {summary} |").expect("a string");
        }
    }
    text
}
