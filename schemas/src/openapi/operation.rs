//! One operation: a route with what it takes, what it gives and what refuses it.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::problem::Code;
use crate::role::Act;
use crate::route::{self, Method, Route, Side};

/// Makes the schema of a type.
pub(super) type Made = fn(&mut SchemaGenerator) -> Schema;

/// What a request has as its body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Nothing,
    Json(Made),
    Form(Made),
    /// A file, as it is.
    File,
    /// A file, as it is or in a form.
    FileOrForm,
    /// A manifest and files.
    Parts(Made),
}

/// What an answer has as its body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    Nothing,
    Json(Made),
    /// A file, as it is.
    File,
    /// Another media type, as text.
    Text(&'static str),
}

/// A route, described.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) route: Route,
    /// Makes a schema whose properties are the parameters of the query.
    pub(super) query: Option<Made>,
    pub(super) takes: Takes,
    /// Status and body of answers that are no refusals.
    pub(super) gives: Vec<(u16, Gives)>,
    /// Headers of the request, by their names among the parts of the document.
    pub(super) headers: Vec<&'static str>,
    /// Headers of the answers that are no refusals, likewise.
    pub(super) gives_headers: Vec<&'static str>,
    pub(super) codes: Vec<Code>,
}

/// What reading a JSON body or a form may come to.
const OF_BODIES: &[Code] = &[
    Code::InvalidRequest,
    Code::LengthMismatch,
    Code::SlowBody,
    Code::BodyTooLarge,
    Code::StorageFull,
];
/// What taking a file may come to.
const OF_FILES: &[Code] = &[
    Code::LengthMismatch,
    Code::DigestMismatch,
    Code::SlowBody,
    Code::FileTooLarge,
    Code::ForbiddenFileType,
    Code::EmptyFile,
    Code::InvalidFileName,
    Code::TypeMismatch,
    Code::UnsupportedMediaType,
    Code::StorageFull,
];

impl Operation {
    pub(super) fn on(route: Route) -> Self {
        let mut operation = Self {
            route,
            query: None,
            takes: Takes::Nothing,
            gives: Vec::new(),
            headers: Vec::new(),
            gives_headers: Vec::new(),
            codes: Vec::new(),
        };
        let exempt = [route::LIVE, route::READY, route::METRICS].contains(&route);
        if !exempt {
            operation =
                operation.refuses(&[Code::RateLimited]).with(&["RateLimit", "RateLimitPolicy"]);
        }
        operation = operation.refuses(&[Code::Internal]);
        if route.act.needs_token() {
            operation =
                operation.refuses(&[Code::NotSignedIn, Code::InvalidToken, Code::Unavailable]);
        }
        if route.act == Act::Platform {
            operation = operation.refuses(&[Code::Forbidden]);
        }
        if route.path.contains('{') {
            operation = operation.refuses(&[Code::InvalidRequest]);
        }
        if route.path.contains("{pool}") {
            operation =
                operation.refuses(&[Code::Forbidden, Code::NotFound, Code::MemberSuspended]);
        }
        match (route.side, route.method) {
            (Side::Read, Method::Get) if route != route::NOTICES => operation
                .sends(&["SluicePosition"])
                .refuses(&[Code::InvalidRequest, Code::PositionNotReached]),
            (Side::Write, Method::Post | Method::Put | Method::Delete) => {
                operation.refuses(&[Code::Unavailable, Code::OutcomeUnknown, Code::StorageFull])
            }
            _ => operation,
        }
    }

    pub(super) fn asks<T: JsonSchema>(mut self) -> Self {
        // The object itself, not a reference to it: its properties are wanted.
        self.query = Some(T::json_schema);
        self.refuses(&[Code::InvalidRequest])
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::Json(SchemaGenerator::subschema_for::<T>);
        self.refuses(OF_BODIES).refuses(&[Code::InvalidJson, Code::UnsupportedMediaType])
    }

    pub(super) fn takes_form<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::Form(SchemaGenerator::subschema_for::<T>);
        self.refuses(OF_BODIES)
    }

    pub(super) fn takes_file(mut self) -> Self {
        self.takes = Takes::File;
        self.sends(&["ContentDigest", "ReprDigest"]).refuses(OF_FILES).refuses(&[
            Code::InvalidRequest,
            Code::LengthRequired,
            Code::UnsupportedDigest,
        ])
    }

    pub(super) fn takes_file_or_form(mut self) -> Self {
        self = self.takes_file().refuses(&[Code::MalformedMultipart]);
        self.takes = Takes::FileOrForm;
        self
    }

    pub(super) fn takes_parts<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::Parts(SchemaGenerator::subschema_for::<T>);
        self.refuses(OF_FILES).refuses(&[
            Code::InvalidRequest,
            Code::InvalidJson,
            Code::MalformedMultipart,
            Code::UpdateTooLarge,
            Code::UpdateInvalid,
        ])
    }

    pub(super) fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.answers(status, Gives::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// One page of a list.
    pub(super) fn lists<T: JsonSchema>(self) -> Self {
        self.gives::<T>(200).with(&["Link"])
    }

    pub(super) fn answers(mut self, status: u16, gives: Gives) -> Self {
        self.gives.push((status, gives));
        self
    }

    /// The bytes of a file, whole or in part.
    pub(super) fn gives_file(self) -> Self {
        self.answers(200, Gives::File)
            .answers(206, Gives::File)
            .answers(304, Gives::Nothing)
            .sends(&["Range", "IfNoneMatch", "IfRange"])
            .with(&["ETag", "ReprDigest"])
            .refuses(&[Code::ContentErased, Code::RangeNotSatisfiable, Code::Unavailable])
    }

    /// In the log, but not answered yet.
    pub(super) fn may_be_pending(self) -> Self {
        self.answers(202, Gives::Nothing).with(&["SluicePosition", "Location"])
    }

    /// Request headers.
    pub(super) fn sends(mut self, headers: &[&'static str]) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Answer headers.
    pub(super) fn with(mut self, headers: &[&'static str]) -> Self {
        for header in headers {
            if !self.gives_headers.contains(header) {
                self.gives_headers.push(header);
            }
        }
        self
    }

    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        for code in codes {
            if !self.codes.contains(code) {
                self.codes.push(*code);
            }
        }
        self
    }
}
