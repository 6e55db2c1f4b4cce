//! The OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.1>): the table of routes, who may
//! take them, and the bodies' own schemas. Nothing in it is written by hand twice.

mod operation;
mod operations;
mod parts;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::problem::{Code, Problem};
use crate::route::{Method, Route};

/// The document, as JSON.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations::all() {
        let (path, method) = (operation.route.path, verb(operation.route.method));
        let described = parts::described(&operation, &mut schemas);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method.to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Sluice",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Pools of clients that send files, and the server that works on them in rounds.",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": parts::tags(),
        "paths": paths,
        "components": components(schemas),
    })
}

const DESCRIPTION: &str = "Refusals are problem details (RFC 9457) with a stable `code`; what each means \
    is at [/docs/errors](/docs/errors). Answers to writes carry `Sluice-Position`; a read that sends it \
    back waits until the tables have it. Whoever is not in a pool is told that there is none.";

fn components(mut schemas: SchemaGenerator) -> Value {
    schemas.subschema_for::<Problem>();
    schemas.subschema_for::<crate::api::Noticed>();
    json!({
        "schemas": schemas.take_definitions(true),
        "parameters": parts::parameters(),
        "headers": parts::headers(),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `access_token` of `POST /auth/signup`, `PUT /auth/login/{user_name}` or `POST /auth/token`.",
            },
        },
    })
}

/// The codes that the document says a request of this route may be refused with; none when the
/// route is not in it.
pub fn codes(route: &Route) -> Option<Vec<Code>> {
    let operation = operations::all().into_iter().find(|operation| operation.route == *route);
    operation.map(|operation| operation.codes)
}

fn verb(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
        Method::Delete => "delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;
    use std::collections::BTreeSet;

    /// From <https://spec.openapis.org/oas/3.1/schema/2022-10-07>, Apache-2.0.
    const META_SCHEMA: &str = include_str!("openapi-3.1.schema.json");

    #[test]
    fn it_is_an_openapi_document_and_its_schemas_are_schemas() {
        let document = document();
        let meta: Value = serde_json::from_str(META_SCHEMA).unwrap();
        let validator = jsonschema::draft202012::new(&meta).unwrap();
        let wrong = |document: &Value| -> Vec<String> {
            let errors = validator.iter_errors(document);
            errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
        };
        assert_eq!(wrong(&document), Vec::<String>::new());
        let mut broken = document.clone();
        broken["paths"]["/v1/pools"]["get"]["responses"] = json!([]);
        assert_ne!(wrong(&broken), Vec::<String>::new(), "the meta-schema finds faults");
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}: {schema}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_part_is_used() {
        let document = document();
        let mut references = BTreeSet::new();
        gather(&document, &mut references);
        for reference in &references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for kind in ["schemas", "parameters", "headers"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                // What is streamed is named in a description only.
                let used = references.contains(&reference) || name == "Noticed";
                assert!(used, "{reference} is used nowhere");
            }
        }
    }

    fn gather(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    references.insert(reference.clone());
                }
                map.values().for_each(|value| gather(value, references));
            }
            Value::Array(values) => values.iter().for_each(|value| gather(value, references)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_in_it_with_who_may_and_what_refuses() {
        let document = document();
        let mut ids = BTreeSet::new();
        for route in route::ALL {
            let operation = &document["paths"][route.path][verb(route.method)];
            assert_eq!(operation["summary"], route.summary, "{}", route.path);
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(in_path, route.path.matches('{').count(), "{}", route.path);
            assert!(codes(route).is_some(), "{}", route.path);
        }
        assert_eq!(ids.len(), operations::all().len(), "and nothing else is");
    }
}
