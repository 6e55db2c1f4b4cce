//! The parts of the document: one operation as JSON, and what operations refer to.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON objects: what is not there reads as null, and writing makes it"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::{Gives, Operation, Takes};
use crate::id::{AccountId, BatchId, ResultId, UploadId, WebhookId};
use crate::name::{PoolName, UserName};
use crate::problem::{CONTENT_TYPE, Code};
use crate::route::Route;

/// Bytes of any type.
fn bytes() -> Value {
    json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } })
}

fn content(kind: &str, schema: impl Into<Value>) -> Value {
    json!({ kind: { "schema": schema.into() } })
}

/// An operation, as the document says it.
pub(super) fn described(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let route = &operation.route;
    let mut said = json!({
        "operationId": camel(route.name),
        "tags": [tag(route)],
        "summary": route.summary,
        "description": format!("For {}.", route.who().join(", ")),
        "security": [],
        "responses": responses(operation, schemas),
    });
    if route.act.needs_token() {
        said["security"] = json!([{ "bearer": [] }]);
    }
    let mut parameters = in_path(route, schemas);
    if let Some(query) = operation.query {
        parameters.extend(in_query(query(schemas).to_value()));
    }
    for header in &operation.headers {
        parameters.push(json!({ "$ref": format!("#/components/parameters/{header}") }));
    }
    if !parameters.is_empty() {
        said["parameters"] = parameters.into();
    }
    if let Some(content) = taken(operation.takes, schemas) {
        said["requestBody"] = json!({ "required": true, "content": content });
    }
    said
}

fn taken(takes: Takes, schemas: &mut SchemaGenerator) -> Option<Value> {
    Some(match takes {
        Takes::Nothing => return None,
        Takes::Json(made) => content("application/json", made(schemas)),
        Takes::Form(made) => content("application/x-www-form-urlencoded", made(schemas)),
        Takes::File => bytes(),
        Takes::FileOrForm => json!({
            "multipart/form-data": { "schema": {
                "type": "object",
                "required": ["file"],
                "properties": { "file": { "type": "string", "format": "binary" } },
            }},
            "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
            "*/*": { "schema": { "type": "string", "format": "binary" } },
        }),
        Takes::Parts(made) => json!({ "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["manifest", "file"],
                "properties": {
                    "manifest": made(schemas),
                    "file": { "type": "array", "items": { "type": "string", "format": "binary" } },
                },
            },
            "encoding": { "manifest": { "contentType": "application/json" } },
        }}),
    })
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut all = Map::new();
    let reference = |name: &&str| {
        let header = match *name {
            "SluicePosition" => "Sluice-Position",
            "RateLimitPolicy" => "RateLimit-Policy",
            "ReprDigest" => "Repr-Digest",
            name => name,
        };
        (header.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    let headers: Map<_, _> = operation.gives_headers.iter().map(reference).collect();
    for (status, gives) in &operation.gives {
        let content = match gives {
            Gives::Nothing => None,
            Gives::Json(made) => Some(content("application/json", made(schemas))),
            Gives::File => Some(bytes()),
            Gives::Text(kind) => Some(content(kind, json!({ "type": "string" }))),
        };
        let mut answer = json!({ "description": meaning(*status) });
        if let Some(content) = content {
            answer["content"] = content;
        }
        if !headers.is_empty() {
            answer["headers"] = headers.clone().into();
        }
        all.insert(status.to_string(), answer);
    }
    let mut refusals: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in &operation.codes {
        refusals.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in refusals {
        all.insert(status.to_string(), refusal(status, &codes));
    }
    all.into()
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let mut description = String::new();
    for code in codes {
        let (name, title) = (code.as_str(), code.title());
        let stop = if description.is_empty() { "" } else { " " };
        write!(description, "{stop}`{name}`: {title}.").expect("a string takes all");
    }
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let mut answer = json!({
        "description": description,
        "x-codes": names,
        "content": content(CONTENT_TYPE, json!({ "$ref": "#/components/schemas/Problem" })),
    });
    if matches!(status, 429 | 503 | 507) {
        let header = json!({ "$ref": "#/components/headers/Retry-After" });
        answer["headers"] = json!({ "Retry-After": header });
    }
    answer
}

fn meaning(status: u16) -> &'static str {
    match status {
        101 => "A WebSocket, as asked for with `Upgrade`.",
        200 => "It is so.",
        201 => "It was made.",
        202 => "It is in the log and has no answer yet; see what comes of it at Location.",
        204 => "It was done; there is nothing more to say.",
        206 => "The part that was asked for.",
        304 => "What you have is what there is.",
        _ => "",
    }
}

fn in_path(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let names = route.path.split('{').skip(1).filter_map(|part| part.split('}').next());
    let parameter = |name: &str| {
        let (schema, what) = match name {
            "pool" => (PoolName::json_schema(schemas), "The pool."),
            "account" => (AccountId::json_schema(schemas), "The account."),
            "client" => (AccountId::json_schema(schemas), "The client's account."),
            "upload" => (UploadId::json_schema(schemas), "The upload."),
            "batch" => (BatchId::json_schema(schemas), "The batch."),
            "webhook" => (WebhookId::json_schema(schemas), "The webhook."),
            "result" => (ResultId::json_schema(schemas), "The result."),
            "user_name" => (UserName::json_schema(schemas), "The account's user name."),
            _ => (String::json_schema(schemas), "Its name."),
        };
        json!({ "name": name, "in": "path", "required": true, "description": what, "schema": schema })
    };
    names.map(parameter).collect()
}

/// A parameter for each property of the schema of a query.
fn in_query(schema: Value) -> Vec<Value> {
    let required = schema["required"].clone();
    let is_required = |name: &str| {
        required.as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = bare(schema.clone());
        let what = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name,
            "in": "query",
            "required": is_required(name),
            "description": what.unwrap_or_default(),
            "schema": schema,
        })
    };
    properties.iter().map(parameter).collect()
}

/// Without `null`: a query leaves out what it does not say.
fn bare(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array() {
        schema["type"] = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
    }
    let any = schema["anyOf"].as_array().and_then(|any| any.first().cloned());
    if let Some(first) = any {
        let what = schema["description"].clone();
        schema = first;
        if what.is_string() {
            schema["description"] = what;
        }
    } else if let Some(schema) = schema.as_object_mut() {
        schema.retain(|_, value| !value.is_null());
    }
    schema
}

/// Headers of requests.
pub(super) fn parameters() -> Value {
    let header = |name: &str, what: &str| json!({ "name": name, "in": "header", "description": what, "schema": { "type": "string" } });
    json!({
        "IdempotencyKey": header("Idempotency-Key", "Names the request: a retry under the same key gets the same answer and does nothing twice (draft-ietf-httpapi-idempotency-key-header-07)."),
        "SluicePosition": header("Sluice-Position", "From the answer to a write: this read waits until the tables have it."),
        "ContentDigest": header("Content-Digest", "`sha-256` of the body, to be checked (RFC 9530)."),
        "ReprDigest": header("Repr-Digest", "`sha-256` of the file, to be checked (RFC 9530)."),
        "Range": header("Range", "One range of bytes (RFC 9110, section 14)."),
        "IfMatch": header("If-Match", "The ETag of the version to be replaced, or `*` for any (RFC 9110, section 13.1.1)."),
        "IfNoneMatch": header("If-None-Match", "The ETag of what you have."),
        "IfRange": header("If-Range", "The ETag of what you have a part of."),
        "LastEventId": header("Last-Event-ID", "The last event heard: what was missed since is told first."),
    })
}

/// Headers of answers.
pub(super) fn headers() -> Value {
    let header = |what: &str| json!({ "description": what, "schema": { "type": "string" } });
    json!({
        "SluicePosition": header("Where in the pool's log it was written: send it with a read that is to see it."),
        "Location": header("Where it is, or where to see what comes of it."),
        "Link": header("The next page, as `rel=\"next\"` (RFC 8288); none at the end."),
        "ETag": header("Names these bytes, or this version."),
        "ReprDigest": header("`sha-256` of the file (RFC 9530)."),
        "RateLimit": header("How many requests the client's address has left (draft-ietf-httpapi-ratelimit-headers-11)."),
        "RateLimitPolicy": header("How many requests an address has, and in how many seconds they come back."),
        "Retry-After": header("Seconds after which a retry may help."),
    })
}

const TAGS: [(&str, &str); 7] = [
    ("accounts", "Signing up, in and out; tokens."),
    ("pools", "Pools, their windows and their members."),
    ("files", "Sending files, and where each is now."),
    ("batches", "Batches, and the work on them."),
    ("results", "Results, who has them, and notices."),
    ("process", "Health, metrics and what is documented."),
    ("earlier systems", "Routes under the names that clients of earlier systems know."),
];

pub(super) fn tags() -> Value {
    TAGS.iter().map(|(name, what)| json!({ "name": name, "description": what })).collect()
}

/// What a route is about.
fn tag(route: &Route) -> &'static str {
    let mut parts = route.path.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("auth" | ".well-known"), ..) => "accounts",
        (Some("v1"), _, _, Some("uploads" | "updates" | "clients")) => "files",
        (Some("v1"), _, _, Some("batches" | "claims")) => "batches",
        (Some("v1"), _, _, Some("results" | "notices")) => "results",
        (Some("v1"), ..) => "pools",
        (Some("client" | "file" | "api"), ..) => "earlier systems",
        _ => "process",
    }
}

/// `SIGN_UP` as `signUp`.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for (n, word) in name.split('_').enumerate() {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&if n == 0 { first.to_ascii_lowercase() } else { first.to_owned() });
        camel.push_str(&rest.to_ascii_lowercase());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OfferQuery, UpdateQuery};

    #[test]
    fn names_become_ids() {
        assert_eq!(camel("SIGN_UP"), "signUp");
        assert_eq!(camel("LIVE"), "live");
    }

    #[test]
    fn a_query_becomes_parameters_without_nulls() {
        let mut schemas = SchemaGenerator::default();
        let parameters = in_query(OfferQuery::json_schema(&mut schemas).to_value());
        let of = |name: &str| parameters.iter().find(|known| known["name"] == name).unwrap();
        assert_eq!(of("epoch")["schema"]["type"], "integer");
        assert_eq!(
            (&of("epoch")["required"], &of("name")["required"]),
            (&json!(false), &json!(true))
        );
        assert!(of("epoch")["description"].as_str().unwrap().starts_with("The lease"));
        let parameters = in_query(UpdateQuery::json_schema(&mut schemas).to_value());
        assert_eq!(parameters[0]["required"], false, "{parameters:?}");
    }
}
